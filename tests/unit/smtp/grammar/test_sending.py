"""Doubling dots block by block: the same at any cut, undone by the parser, and nothing but canonical text."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.reasons import Reason, Refused
from mssante.smtp.grammar.data import DataParser
from mssante.smtp.grammar.sending import DotStuffer
from tests.support.smtp.smuggling import FORBIDDEN

CANONICAL = st.lists(
    st.one_of(st.sampled_from([b"", b".", b"..", b". ", b".\t.", b"x."]), st.binary(max_size=40)), max_size=30
).map(lambda lines: b"".join(_plain(line) + b"\r\n" for line in lines))


def _plain(line: bytes) -> bytes:
    return line.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")


def _sent(content: bytes, cut: int) -> bytes:
    stuffer = DotStuffer()
    blocks = [stuffer.feed(content[at : at + cut]) for at in range(0, len(content), cut)]
    return b"".join(blocks) + stuffer.end()


@settings(max_examples=300)
@given(CANONICAL, st.integers(1, 50), st.integers(1, 50))
def test_what_is_sent_comes_out_again_octet_for_octet(content: bytes, cut: int, other: int) -> None:
    wire = _sent(content, cut)
    assert wire == (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
    parser = DataParser(octets_max=1 << 20)
    received = b""
    for at in range(0, len(wire), other):
        received += parser.receive_data(wire[at : at + other])
    assert (parser.done, parser.fault, parser.leftover) == (True, None, b"")
    assert hashlib.sha256(received).digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize("ending", [ending for ending in FORBIDDEN if b"\0" not in ending])
@pytest.mark.parametrize("cut", [1, 2, 3, 1000])
def test_a_false_ending_is_never_followed_by_a_true_one(ending: bytes, cut: int) -> None:
    with pytest.raises(Refused) as caught:
        _sent(b"a\r\n" + ending + b"MAIL FROM:<x@y.test>\r\n", cut)
    assert caught.value.reason is Reason.BARE_LINE_ENDING


@pytest.mark.parametrize(
    ("content", "reason"), [(b"a", Reason.BARE_LINE_ENDING), (b"a\0\r\n", Reason.NUL_OCTET)]
)
def test_an_unended_line_and_a_nul_are_not_sent(content: bytes, reason: Reason) -> None:
    with pytest.raises(Refused) as caught:
        _sent(content, 2)
    assert caught.value.reason is reason


def test_a_message_without_a_line_is_sent_as_one_dot() -> None:
    assert DotStuffer().end() == b".\r\n"
