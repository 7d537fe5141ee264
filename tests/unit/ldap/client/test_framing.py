"""The socket under ldap3 gives whole messages, small ones, in time."""

from __future__ import annotations

import socket
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssante.ldap.client.framing import AnswerRefused, FramedSocket
from mssante.limits import LDAP_ANSWER_OCTETS_MAX, LDAP_MESSAGE_OCTETS_MAX, LDAP_SECONDS_MAX


class _Wire:
    """Octets that arrive in pieces, and the time each piece takes."""

    def __init__(self, octets: bytes, *, piece: int = 1_000_000, seconds: float = 0) -> None:
        self.octets, self.piece, self.seconds = octets, piece, seconds
        self.now = 0.0
        self.timeouts: list[float] = []
        self.asked = 0

    def recv(self, count: int) -> bytes:
        self.asked = max(self.asked, count)
        self.now += self.seconds
        taken = self.octets[: min(count, self.piece)]
        self.octets = self.octets[len(taken) :]
        return taken

    def sendall(self, octets: bytes) -> None: ...

    def settimeout(self, seconds: float) -> None:
        self.timeouts.append(seconds)


def _framed(wire: _Wire, *, messages_max: int = 100, deadline: float = 60) -> FramedSocket:
    return FramedSocket(
        cast(socket.socket, wire), deadline=deadline, messages_max=messages_max, clock=lambda: wire.now
    )


def _message(content: bytes, *, long: bool) -> bytes:
    if long or len(content) > 127:
        return b"\x30\x84" + len(content).to_bytes(4, "big") + content
    return bytes([0x30, len(content)]) + content


MESSAGES = st.lists(st.builds(_message, st.binary(max_size=300), long=st.booleans()), max_size=5)


@given(MESSAGES, st.integers(1, 64))
def test_messages_come_whole_wherever_the_octets_were_cut(messages: list[bytes], piece: int) -> None:
    framed = _framed(_Wire(b"".join(messages), piece=piece))
    assert [framed.recv(4096) for _ in messages] == messages
    assert framed.recv(4096) == b""


@pytest.mark.parametrize(
    "octets",
    [
        b"\x31\x00",
        b"HTTP/1.1 400",
        b"\x16\x03\x01",
        b"\x30\x80\x00\x00",
        b"\x30\x85\x00\x00\x00\x00\x01",
        b"\x30\x05ab",
        b"\x30",
        b"\x30\x84\x00",
        b"\x30\x84" + (LDAP_MESSAGE_OCTETS_MAX + 1).to_bytes(4, "big"),
    ],
)
def test_what_is_no_message_is_refused(octets: bytes) -> None:
    wire = _Wire(octets)
    with pytest.raises(AnswerRefused):
        _framed(wire).recv(4096)
    assert wire.asked < 10  # nothing was asked for that had only been announced


def test_messages_between_two_requests_are_counted() -> None:
    framed = _framed(_Wire(b"\x30\x00" * 10), messages_max=2)
    framed.recv(1)
    framed.recv(1)
    framed.sendall(b"")
    framed.recv(1)
    framed.recv(1)
    with pytest.raises(AnswerRefused):
        framed.recv(1)


def test_an_answer_is_bounded_over_all_its_pages() -> None:
    one = _message(bytes(LDAP_MESSAGE_OCTETS_MAX), long=True)
    count = LDAP_ANSWER_OCTETS_MAX // len(one)
    framed = _framed(_Wire(one * (count + 2)))
    for _ in range(count):
        framed.recv(1)
        framed.sendall(b"")
    with pytest.raises(AnswerRefused):
        framed.recv(1)


def test_the_deadline_holds_however_slowly_octets_drip() -> None:
    wire = _Wire(_message(bytes(200), long=False), piece=1, seconds=1)
    with pytest.raises(TimeoutError):
        _framed(wire, deadline=10).recv(1)
    assert wire.now == 10
    assert wire.timeouts[0] == LDAP_SECONDS_MAX
    assert min(wire.timeouts) == 1
