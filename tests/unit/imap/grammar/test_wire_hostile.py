"""The attack catalogue's rows I1, I2, I3, I5 and I12 against the core, at their figures."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.imap.grammar import wire as wire_module
from mssante.imap.grammar.commands import Request
from mssante.imap.grammar.events import Bye, LiteralChunk, Rejected, Signal
from mssante.imap.grammar.responses import ResponseStatus
from mssante.imap.grammar.sets import render
from mssante.imap.grammar.wire import Wire
from tests.unit.imap.spoken import events, fastest, logged_in, only, refused

MIB = 1024 * 1024


def flood(octets: bytes, times: int) -> Iterable[bytes]:
    for _ in range(times):
        yield octets


def peak_growth(wire: Wire, pieces: Iterable[bytes]) -> tuple[int, list[object]]:
    tracemalloc.start()
    try:
        told = events(wire, pieces)
        return tracemalloc.get_traced_memory()[1], list(told)
    finally:
        tracemalloc.stop()


# I1: ten ways to send a literal that should never be held.
BEFORE_LOGIN_BOMBS = {
    "announced": [b"a LOGIN {2147483647}\r\n"],
    "announced, not waiting": [b"a LOGIN {2147483647+}\r\n"],
    "just above the bound": [b"a LOGIN {1025+}\r\n"],
    "sixty-four bits": [b"a LOGIN {18446744073709551616+}\r\n"],
    "many small ones": [b"a LOGIN", *([b" {1000+}\r\n" + b"x" * 1000] * 2000)],
    "many empty ones": [b"a LOGIN", *([b" {0+}\r\n"] * 100_000)],
    "an appended message": [b"a APPEND x {50000000+}\r\n", *([b"x" * 65536] * 100)],
    "many commands": [b"a NOOP\r\n"] * 20_000,
    "an endless line": [b"x" * 65536] * 100,
    "lines that continue": [b"a LOGIN {1+}\r\nx", *([b"y" * 7000 + b" {1+}\r\nz"] * 100)],
}


@pytest.mark.parametrize("name", BEFORE_LOGIN_BOMBS)
def test_before_login_a_literal_bomb_takes_no_memory(name: str) -> None:
    growth, told = peak_growth(Wire(), BEFORE_LOGIN_BOMBS[name])
    assert growth < MIB
    last = told[-1]
    if name == "announced":
        assert last == Rejected("a", ResponseStatus.NO, wire_module._TOO_LARGE, "LIMIT")
    else:
        assert isinstance(last, Bye)


def test_before_login_a_peer_may_send_sixteen_kibibytes_in_all() -> None:
    noop = b"a NOOP\r\n"
    told = events(Wire(), [noop] * (16 * 1024 // len(noop)))
    assert all(isinstance(event, Request) for event in told)
    wire = Wire()
    assert isinstance(events(wire, [noop] * (16 * 1024 // len(noop) + 1))[-1], Bye)


def test_before_login_lines_read_past_count_too() -> None:
    told = events(Wire(), [b"a" + b"x" * 8192 + b"\r\n"] * 2)
    assert [type(event) for event in told] == [Rejected, Bye]


def test_nul_is_bad_except_in_a_literal8() -> None:
    for line in (b"a SEARCH TEXT {2+}\r\n\0b\r\n", b'a SEARCH TEXT "\0"\r\n', b"a SEARCH\0TEXT x\r\n"):
        assert isinstance(only(logged_in(), line), Rejected)
    assert isinstance(only(logged_in(), b"a SEARCH TEXT ~{2+}\r\n\0b\r\n"), Request)


def test_after_login_literals_are_bounded_one_by_one_in_number_and_in_all() -> None:
    assert refused(only(logged_in(), b"a SEARCH TEXT {102401}\r\n")).code == "LIMIT"
    assert isinstance(only(logged_in(), b"a SEARCH TEXT {102401+}\r\n"), Bye)
    many = [b"a SEARCH", *([b" TEXT {1+}\r\nx"] * 1001)]
    assert isinstance(events(logged_in(), many)[-1], Bye)
    large = [b"a SEARCH", *([b" TEXT {100000+}\r\n" + b"x" * 100_000] * 11)]
    growth, told = peak_growth(logged_in(), large)
    assert isinstance(told[-1], Bye)
    assert growth < 3 * MIB


def test_fifty_mebibytes_of_append_stay_flat() -> None:
    wire = Wire()
    wire.authenticated(message_octets_max=60 * MIB)
    tracemalloc.start()
    passed = 0
    wire.receive_data(b"a APPEND Sent {%d+}\r\n" % (50 * MIB))
    wire.next_event()
    wire.accept()
    for piece in flood(b"x" * 65536, 800):
        wire.receive_data(piece)
        while (event := wire.next_event()) is not Signal.NEED_DATA:
            passed += len(event.octets) if isinstance(event, LiteralChunk) else 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert passed == 50 * MIB
    assert peak < MIB


# I2: brackets, quotes and lines without end.
DEEP = {
    "round, open": b"a NOOP " + b"(" * 100_000,
    "round, closed": b"a NOOP " + b"(" * 50_000 + b")" * 50_000,
    "square": b"a FETCH 1 BODY" + b"[" * 100_000,
    "braces": b"a SELECT " + b"{" * 100_000,
    "search": b"a SEARCH " + b"(" * 100_000,
    "not": b"a SEARCH " + b"NOT " * 25_000 + b"ALL",
    "quotes": b'a SELECT "' + b"x" * 100_000,
    "backslashes": b'a SELECT "' + b"\\" * 100_000,
    "tag": b"a" * 100_000 + b" NOOP",
}


@pytest.mark.parametrize("length", [8_000, 60_000, 100_010])
@pytest.mark.parametrize("name", DEEP)
def test_depth_without_end_is_bad_at_once(name: str, length: int) -> None:
    line = DEEP[name][:length] + b"\r\n"
    wire = logged_in()
    event = only(wire, line)
    assert isinstance(event, Rejected)
    assert event.status is ResponseStatus.BAD
    assert fastest(lambda: only(wire, line)) < 0.010
    assert isinstance(only(wire, b"b NOOP\r\n"), Request)


@pytest.mark.parametrize("name", DEEP)
def test_before_login_depth_without_end_is_bad_or_the_end(name: str) -> None:
    for length in (7_000, 100_010):
        assert isinstance(only(Wire(), DEEP[name][:length] + b"\r\n"), Rejected | Bye)


def test_a_line_is_bounded_before_and_after_login() -> None:
    def line(octets: int) -> bytes:
        return b"a SELECT " + b"x" * (octets - 11) + b"\r\n"

    assert refused(only(Wire(), line(8192))).code == "CANNOT"  # read, and its name found too long
    assert refused(only(Wire(), line(8193))).code == "LIMIT"
    assert refused(only(logged_in(), line(65536))).code == "CANNOT"
    assert refused(only(logged_in(), line(65537))).code == "LIMIT"


def test_nesting_is_allowed_to_twenty() -> None:
    def nested(depth: int) -> bytes:
        return b"a SEARCH " + b"(" * depth + b"ALL" + b")" * depth + b"\r\n"

    assert isinstance(only(logged_in(), nested(19)), Request)
    assert refused(only(logged_in(), nested(20))).text == "Search keys are nested too deep"
    assert isinstance(only(logged_in(), b"a SEARCH " + b"NOT " * 19 + b"ALL\r\n"), Request)
    assert isinstance(only(logged_in(), b"a SEARCH " + b"NOT " * 20 + b"ALL\r\n"), Rejected)
    assert isinstance(only(logged_in(), b"a SEARCH " + b"OR ALL " * 20 + b"ALL\r\n"), Rejected)


# I3: sequence sets.
@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        (b",".join([b"1:*"] * 10_000), True),
        (b",".join([b"1:*"] * 10_001), False),
        (b"1:4294967295", True),
        (render(range(1, 20_000, 2)), True),
        (render(range(1, 20_002, 2)), False),
        (b"1:4294967296", False),
        (b",".join([b"5:1"] * 10_000), True),
        (b"," * 60_000, False),
    ],
)
def test_hostile_sets_cost_little(text: bytes, accepted: bool) -> None:
    wire = logged_in()
    line = b"a FETCH %b FLAGS\r\n" % text
    assert isinstance(only(wire, line), Request) is accepted
    assert fastest(lambda: only(wire, line)) < 0.050


# I5: FETCH.
def test_part_numbers_and_items_are_bounded() -> None:
    def part(depth: int) -> bytes:
        return b"a FETCH 1 BODY[%b]\r\n" % b".".join([b"1"] * depth)

    assert isinstance(only(logged_in(), part(50)), Request)
    assert refused(only(logged_in(), part(51))).code == "LIMIT"
    assert refused(only(logged_in(), part(20_000))).code == "LIMIT"

    def items(count: int) -> bytes:
        return b"a FETCH 1 (" + b" ".join(b"BODY[%d]" % at for at in range(1, count + 1)) + b")\r\n"

    assert isinstance(only(logged_in(), items(100)), Request)
    assert refused(only(logged_in(), items(101))).code == "LIMIT"


def test_search_keys_are_bounded() -> None:
    assert isinstance(only(logged_in(), b"a SEARCH" + b" SEEN" * 100 + b"\r\n"), Request)
    assert refused(only(logged_in(), b"a SEARCH" + b" SEEN" * 101 + b"\r\n")).code == "LIMIT"
    assert refused(only(logged_in(), b"a SEARCH" + b" TEXT x" * 1000 + b"\r\n")).code == "LIMIT"


# I12: SASL.
@pytest.mark.parametrize("initial", [b"!", b"AAA", b"=A", b"A" * 4097, b"YQ==YQ==", b"\xff", b"YQ== x"])
def test_a_malformed_initial_response_is_bad(initial: bytes) -> None:
    event = only(Wire(), b"a AUTHENTICATE PLAIN %b\r\n" % initial)
    assert isinstance(event, Rejected)
    assert (event.tag, event.status) == ("a", ResponseStatus.BAD)


def test_an_authentication_line_without_end_ends_the_conversation() -> None:
    told = events(Wire(), [b"a AUTHENTICATE PLAIN\r\n", *([b"x" * 1000] * 20)])
    assert isinstance(told[-1], Bye)


@given(st.lists(st.sampled_from([b"*", b"\0", b"=", b"AGEAYg==", b"\r\n", b"a AUTHENTICATE PLAIN", b" "])))
@settings(max_examples=300, deadline=None)
def test_no_order_of_sasl_pieces_upsets_the_wire(pieces: list[bytes]) -> None:
    assert events(Wire(), pieces) == events(Wire(), [b"".join(pieces)])
