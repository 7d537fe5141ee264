"""What a remote's reply costs, however it is cut, and where it ends being heard."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from aiosmtplib.protocol import SMTPProtocol

from mssante import limits
from mssante.reasons import Passing, Reason
from mssante.smtp.client.wire import ClientWire, Patience

LONG = b"250-x\r\n" * (limits.REMOTE_REPLY_LINES_MAX - 1) + b"250 x\r\n"


class _Transport(asyncio.Transport):
    """Remembers what was written, and whether the wire ended the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.aborted

    def close(self) -> None:
        self.aborted = True

    def abort(self) -> None:
        self.aborted = True


class _Parser:
    """Counts how often aiosmtplib's parser is called, and the octets that lie before it."""

    calls = 0
    octets = 0


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> _Parser:
    counted, parse = _Parser(), SMTPProtocol._read_response_from_buffer

    def counting(self: SMTPProtocol) -> object:
        counted.calls += 1
        counted.octets += len(self._buffer)
        return parse(self)

    monkeypatch.setattr(SMTPProtocol, "_read_response_from_buffer", counting)
    return counted


def _connected() -> tuple[ClientWire, _Transport]:
    wire, transport = ClientWire(Patience()), _Transport()
    wire.connection_made(transport)
    return wire, transport


def _cut(data: bytes, octets: int) -> Iterator[bytes]:
    for start in range(0, len(data), octets):
        yield data[start : start + octets]


@pytest.mark.parametrize("octets", [1, 2, 7, 1460])
async def test_a_reply_is_parsed_once_however_it_is_cut(parser: _Parser, octets: int) -> None:
    wire, _ = _connected()
    for segment in _cut(LONG, octets):
        wire.data_received(segment)
    reply = await wire.greeting()
    assert (reply.code, reply.message.count("x")) == (250, limits.REMOTE_REPLY_LINES_MAX)
    assert (parser.calls, parser.octets) == (1, len(LONG))
    assert wire.is_quiet


async def test_a_reply_of_24_kilobytes_in_small_segments_is_left_unparsed(parser: _Parser) -> None:
    wire, transport = _connected()
    for segment in _cut(b"250-x\r\n" * (24 * limits.KIB // 7), 7):
        wire.data_received(segment)
    assert (parser.calls, parser.octets) == (0, 0)
    with pytest.raises(Passing) as refused:
        await wire.greeting()
    assert refused.value.reason is Reason.REMOTE_UNREACHABLE
    assert transport.aborted


@pytest.mark.parametrize(
    "said",
    [
        b"2" * (limits.REMOTE_REPLY_LINE_OCTETS_MAX + 1),
        b"250-" + b"x" * limits.REMOTE_REPLY_LINE_OCTETS_MAX + b"\r\n",
        b"250-x\r\n" * (limits.REMOTE_REPLY_LINES_MAX + 1),
        (b"250-" + b"x" * 1000 + b"\r\n") * 17,
    ],
    ids=["a line without end", "a long line", "many lines", "much in clear"],
)
async def test_what_is_longer_than_its_bound_ends_the_connection(said: bytes) -> None:
    wire, transport = _connected()
    for segment in _cut(said, 100):
        wire.data_received(segment)
    assert transport.aborted
    with pytest.raises(Passing):
        await wire.greeting()


async def test_all_replies_before_the_proof_share_one_bound() -> None:
    greeting = (b"250-" + b"x" * 1000 + b"\r\n") * 9 + b"250 x\r\n"
    wire, transport = _connected()
    wire.data_received(greeting)
    await wire.greeting()
    asked = asyncio.ensure_future(wire.command(b"EHLO a.test"))
    await asyncio.sleep(0)
    wire.data_received(greeting)
    with pytest.raises(Passing):
        await asked
    assert transport.aborted

    known, transport = _connected()
    known.proved()
    for _ in range(3):
        asked = asyncio.ensure_future(known.command(b"NOOP"))
        await asyncio.sleep(0)
        known.data_received(greeting)
        assert (await asked).code == 250
    assert not transport.aborted


async def test_octets_that_nobody_asked_for_end_the_connection_at_once() -> None:
    wire, transport = _connected()
    wire.data_received(b"220 remote\r\n250 and more\r\n")
    assert transport.aborted
    assert (await wire.greeting()).code == 220
    with pytest.raises(Passing):
        await wire.command(b"EHLO a.test")
    assert transport.written == b""
