"""Laws of the DATA parser: RFC 5321 §4.1.1.4 and §4.5.2, at any cut (attack catalogue S1–S3, S5, S6, S8)."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.mime.canonical import CanonicalText
from mssante.reasons import Reason
from mssante.smtp.grammar.data import DataParser
from tests.support.smtp.smuggling import FAKE_TERMINATORS

OCTETS_MAX = 60
LINE_MAX = 20
WIRE_MAX = 150


def outcome(wire: bytes, cuts: list[int], **limits: int) -> tuple[object, ...]:
    """What a peer and the store see of `wire` cut at `cuts`."""
    parser = DataParser(
        **(limits or {"octets_max": OCTETS_MAX, "line_octets_max": LINE_MAX, "wire_octets_max": WIRE_MAX})
    )
    content = b""
    places = [0, *sorted(cuts), len(wire)]
    blocks = [wire[a:b] for a, b in itertools.pairwise(places)]
    while blocks and not parser.done and not parser.exhausted:
        content += parser.receive_data(blocks.pop(0))
    if parser.exhausted:
        return "exhausted", parser.fault
    if not parser.done:
        return "unfinished", parser.fault
    left = parser.leftover + b"".join(blocks)
    if parser.fault is not None:
        return parser.fault, parser.octets, left
    return content, parser.octets, left, parser.long_line


def oracle(wire: bytes) -> tuple[object, ...]:
    """The same, said as plainly as possible: no blocks, one line at a time, a regular expression."""
    end = (b"\r\n" + wire).find(b"\r\n.\r\n")
    if end < 0 or end + 3 > WIRE_MAX:
        raw = wire[:WIRE_MAX] if len(wire) > WIRE_MAX else wire
        return ("exhausted" if len(wire) > WIRE_MAX else "unfinished", None, raw)
    raw, left = wire[:end], wire[end + 3 :]
    lines = raw.split(b"\r\n")
    assert lines[-1] == b""
    lines = [line[1:] if line.startswith(b".") else line for line in lines]
    content = b"\r\n".join(lines)
    if re.search(rb"\r(?!\n)|(?<!\r)\n", content):
        return Reason.BARE_LINE_ENDING, len(content), left
    if b"\0" in content:
        return Reason.NUL_OCTET, len(content), left
    if len(content) > OCTETS_MAX:
        return Reason.MESSAGE_TOO_LARGE, len(content), left
    if any(len(line) > LINE_MAX for line in lines):
        return Reason.LINE_TOO_LONG, len(content), left
    return content, len(content), left, any(len(line) > 998 for line in lines)


TOKENS = st.sampled_from(
    [
        b"\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b".",
        b"..",
        b".\r\n",
        b"\r\n.\r\n",
        b"a",
        b"hello",
        b"\0",
        b"x" * 17,
        b"\xe9",
    ]
)
WIRES = st.lists(TOKENS, max_size=25).map(b"".join)
CLEAN = st.lists(
    st.sampled_from([b"\r\n", b".", b"a", b"bcd", b".\r\n", b"\r\n..", b"\xe9"]), max_size=15
).map(b"".join)


@settings(max_examples=1500, deadline=None)
@given(st.one_of(WIRES, CLEAN.map(lambda text: text + b"\r\n.\r\nQUIT\r\n")), st.data())
def test_the_outcome_is_the_oracles_wherever_the_octets_are_cut(wire: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=8))
    seen = outcome(wire, cuts)
    expected = oracle(wire)
    if expected[0] in ("exhausted", "unfinished"):
        assert seen[0] == expected[0]
        assert seen == outcome(wire, list(range(len(wire))))
    else:
        assert seen == expected


@settings(max_examples=100, deadline=None)
@given(WIRES.map(lambda text: text + b"\r\n.\r\nNOOP\r\n"))
def test_every_single_cut_gives_the_same_outcome(wire: bytes) -> None:
    whole = outcome(wire, [])
    assert all(outcome(wire, [cut]) == whole for cut in range(len(wire)))
    assert outcome(wire, list(range(len(wire)))) == whole


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.binary(max_size=30).filter(lambda line: not set(line) & set(b"\r\n\0")), max_size=12),
    st.integers(1, 7),
)
def test_dots_survive_the_round_trip(lines: list[bytes], step: int) -> None:
    content = b"".join(line + b"\r\n" for line in lines)
    wire = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"
    seen = outcome(wire + b"QUIT\r\n", list(range(0, len(wire), step)), octets_max=1000)
    assert seen[0] == content
    assert seen[2] == b"QUIT\r\n"


@pytest.mark.parametrize("fake", FAKE_TERMINATORS)
def test_a_fake_end_of_data_ends_nothing(fake: bytes) -> None:
    smuggled = b"MAIL FROM:<x@evil.test>\r\n"
    seen = outcome(b"Subject: a\r\n\r\nbody" + fake + smuggled + b"\r\n.\r\n", [], octets_max=1000)
    assert seen[2] == b""  # everything up to the true end belonged to the one message
    bare = fake not in (b"\r\n. \r\n", b"\xc2\x85.\xc2\x85", b"\r\n\x00.\r\n", b"\r\n.\x00\r\n")
    if bare:
        assert seen[0] is Reason.BARE_LINE_ENDING


@pytest.mark.parametrize("size", [*range(985, 1012), *range(1990, 2012), *range(65530, 65546)])
@pytest.mark.parametrize("cut", [0, -1, -2, -3, -4, -5])
def test_no_buffer_boundary_makes_a_terminator(size: int, cut: int) -> None:
    line = b"x" * size + b".\r\n"
    wire = line + b".\r\n"
    seen = outcome(wire, [len(wire) + cut], octets_max=200_000, line_octets_max=100_000)
    assert seen[0] == line


@pytest.mark.parametrize(
    ("octets", "fault", "noted"),
    [
        (997, None, False),
        (998, None, False),
        (999, None, True),
        (1000, None, True),
        (1001, None, True),
        (4095, None, True),
        (4096, None, True),
        (4097, Reason.LINE_TOO_LONG, True),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 999, 1000, 1001, 70_000])
@pytest.mark.parametrize("before", [0, 3])
def test_lines_are_measured_to_the_octet(
    octets: int, fault: Reason | None, noted: bool, step: int, before: int
) -> None:
    wire = b"abc\r\n" * before + b"." + b"." * octets + b"\r\nlast\r\n.\r\n"
    parser = DataParser(octets_max=10_000)
    for at in range(0, len(wire), step):
        parser.receive_data(wire[at : at + step])
    assert (parser.fault, parser.long_line) == (fault, noted)


def test_a_line_of_ten_mebibytes_is_judged_at_the_end_and_kept_nowhere() -> None:
    parser = DataParser(octets_max=20 * 2**20)
    block = b"x" * 65536
    given_out = sum(len(parser.receive_data(block)) for _ in range(160))
    assert parser.fault is Reason.LINE_TOO_LONG
    assert given_out == 0  # judged as soon as it is past the limit
    assert parser.receive_data(b"\r\n.\r\n") == b""
    assert parser.done


def test_a_message_of_exactly_the_maximum_is_taken_and_one_octet_more_is_not() -> None:
    assert outcome(b"12345678\r\n.\r\n", [], octets_max=10)[0] == b"12345678\r\n"
    assert outcome(b"123456789\r\n.\r\n", [], octets_max=10)[0] is Reason.MESSAGE_TOO_LARGE


def test_draining_ends_at_the_wire_bound() -> None:
    parser = DataParser(octets_max=1000)
    sent = 0
    while not parser.exhausted:
        parser.receive_data(b"y" * 100 + b"\r\n")
        sent += 102
    assert sent <= 2 * 1000 + 65536 + 102
    assert parser.fault is Reason.MESSAGE_TOO_LARGE


def test_what_comes_behind_the_end_is_given_back_even_beyond_the_wire_bound() -> None:
    wire = b"a\r\n.\r\n" + b"NOOP\r\n" * 100
    whole = outcome(wire, [])
    assert whole[2] == b"NOOP\r\n" * 100
    assert outcome(wire, [3]) == whole


def test_an_empty_message_is_an_empty_message() -> None:
    assert outcome(b".\r\n", [1, 2], octets_max=10) == (b"", 0, b"", False)


@settings(max_examples=300, deadline=None)
@given(st.lists(TOKENS, max_size=20).map(b"".join), st.integers(1, 5))
def test_canonical_text_is_judged_alike_at_any_cut(text: bytes, step: int) -> None:
    whole, cut = CanonicalText(line_octets_max=LINE_MAX), CanonicalText(line_octets_max=LINE_MAX)
    whole.see(text)
    for at in range(0, len(text), step):
        cut.see(text[at : at + step])
    whole.end()
    cut.end()
    assert (whole.fault, whole.octets) == (cut.fault, cut.octets)
    bare = bool(re.search(rb"\r(?!\n)|(?<!\r)\n", text))
    assert (whole.fault is Reason.BARE_LINE_ENDING) == bare
