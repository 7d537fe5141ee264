"""The octets of a connection, cut anywhere, give the same events."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mssante.imap.grammar import commands
from mssante.imap.grammar import wire as wire_module
from mssante.imap.grammar.commands import Request
from mssante.imap.grammar.events import (
    AppendEnd,
    AppendRefused,
    AppendStart,
    Bye,
    LiteralChunk,
    RawLine,
    Rejected,
    Signal,
)
from mssante.imap.grammar.responses import ResponseStatus
from mssante.imap.grammar.wire import Wire
from mssante.model import Secret
from tests.unit.imap.spoken import MESSAGE_OCTETS_MAX, events, logged_in, only

WORDS = [
    b"a NOOP\r\n",
    b"a1 LOGIN {4}\r\nuser {6+}\r\nse\r\ncr\r\n",
    b'b select "INBOX"\r\n',
    b"c IDLE\r\nDONE\r\n",
    b"d AUTHENTICATE PLAIN\r\nAGEAYg==\r\n",
    b'e APPEND "Sent" (\\Seen) {11+}\r\nHello\r\nyou\n\r\n',
    b"e APPEND {4}\r\nSent {5}\r\n12345 (\\Draft) {0+}\r\n\r\n",
    b"f APPEND Sent {3+}\r\nabc rubbish {5+}\r\n12345 x\r\n",
    b"f APPEND &bad {3+}\r\nabc\r\n",
    b"g SEARCH SUBJECT {3}\r\nabc TEXT ~{2+}\r\n\x00b\r\n",
    b"h NOOP\n",
    b"\r\n",
    b"i LOGIN \x00 x {3+}\r\nabc\r\n",
    b'j SELECT "open{5}\r\n',
    b"k FETCH 1 (" + b"(" * 70_000 + b" {4+}\r\nabcd)\r\n",
    b"l FETCH 1 (" + b"x" * 70_000 + b" {4}\r\n",
    b'l FETCH "' + b"x" * 70_000 + b'" "{4+}\r\nabcd"\r\n',
    b"m APPEND Sent {200000}\r\n",
    b"n APPEND Sent {100001+}\r\n" + b"y" * 100_001 + b"\r\n",
    b"o SEARCH TEXT {102401}\r\n",
    b"p SEARCH TEXT {102401+}\r\n",
    b"q\r\n",
    b"\xff\xfe{}}\r\n",
]


@st.composite
def cuts(draw: st.DrawFn, of: bytes) -> list[bytes]:
    places = sorted(draw(st.lists(st.integers(0, len(of)), max_size=12)))
    return [of[start:end] for start, end in zip([0, *places], [*places, len(of)], strict=True)]


@given(st.data(), st.lists(st.sampled_from(WORDS), min_size=1, max_size=5), st.booleans(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_events_do_not_depend_on_where_the_bytes_are_cut(
    data: st.DataObject, words: list[bytes], known: bool, refuse: bool
) -> None:
    octets = b"".join(words)
    whole = events(logged_in() if known else Wire(), [octets], refuse=refuse)
    pieces = data.draw(cuts(octets))
    assert events(logged_in() if known else Wire(), pieces, refuse=refuse) == whole


def test_the_announcement_at_the_end_of_a_line_too_long_is_seen_wherever_it_is_cut() -> None:
    octets = b"a FETCH " + b"x" * 70_000 + b" {0007+}\r\n" + b"b NOOP\n{3+}\r\nabc\r\nz NOOP\r\n"
    whole = events(logged_in(), [octets])
    assert [type(event) for event in whole] == [Rejected, Request]
    for cut in [*range(69_990, len(octets)), 66_000]:
        assert events(logged_in(), [octets[:cut], octets[cut:]]) == whole
    in_two = [octets[:66_000], octets[66_000:70_012], octets[70_012:]]
    assert events(logged_in(), in_two) == whole


@given(st.binary(max_size=300), st.booleans())
@settings(max_examples=200, deadline=None)
@example(b"a APPEND x {1}\r\nb {1}\r\nc", True)
def test_no_octets_upset_the_wire_and_one_by_one_is_the_same(octets: bytes, known: bool) -> None:
    whole = events(logged_in() if known else Wire(), [octets])
    single = [octets[at : at + 1] for at in range(len(octets))]
    assert events(logged_in() if known else Wire(), single) == whole


ALPHABET = st.text('aA1 ()[]{}+~"\\*%\r\n\0é<>.,:-&=INBOXFETCHSEARCHUIDTEXTAPPEND', max_size=60)


@given(st.lists(ALPHABET, max_size=6))
@settings(max_examples=300, deadline=None)
def test_text_that_looks_like_imap_never_raises(lines: list[str]) -> None:
    octets = b"\r\n".join(line.encode() for line in lines) + b"\r\n"
    assert events(logged_in(), [octets]) == events(logged_in(), [octets[:7], octets[7:]])


@given(st.lists(st.sampled_from([word for word in WORDS if b"p SEARCH" not in word]), max_size=4))
@settings(max_examples=60, deadline=None)
def test_after_any_recoverable_command_the_next_one_is_understood(words: list[bytes]) -> None:
    wire = logged_in()
    told = events(wire, [*words, b"z NOOP\r\n"])
    assert told[-1] == Request("z", commands.Noop())
    assert not wire.pending


def test_a_synchronising_literal_is_asked_for() -> None:
    wire = Wire()
    assert only(wire, b'a1 LOGIN "x" {3}\r\n') is Signal.CONTINUE
    assert events(wire, [b"abc"]) == []
    assert only(wire, b"\r\n") == Request("a1", commands.Login("x", Secret("abc")))


def test_a_literal_that_does_not_wait_is_not_asked_for() -> None:
    told = events(logged_in(), [b"a SELECT {5+}\r\nInbox\r\n"])
    assert told == [Request("a", commands.Select("INBOX", read_only=False))]


def test_an_appended_message_passes_through_and_counts_only_at_its_end() -> None:
    wire = logged_in()
    told = events(wire, [b'a APPEND "Sent" (\\Seen) {5}\r\n'])
    assert isinstance(told[0], AppendStart)
    assert (told[0].tag, told[0].mailbox, told[0].size, told[0].index) == ("a", "Sent", 5, 0)
    assert told[1:] == [Signal.CONTINUE]
    assert events(wire, [b"12345"]) == [LiteralChunk(b"12345"), Signal.LITERAL_END]
    assert events(wire, [b"\r\n"]) == [AppendEnd("a")]


def test_several_messages_in_one_append() -> None:  # RFC 3502
    told = events(logged_in(), [b"a APPEND Sent {1+}\r\nx (\\Seen) {1+}\r\ny\r\n"])
    starts = [event for event in told if isinstance(event, AppendStart)]
    assert [(start.index, start.flags.system) for start in starts] == [(0, 0), (1, 1)]
    assert told[-1] == AppendEnd("a")
    # IMAPClient writes a space too many before each further message.
    told = events(logged_in(), [b"a APPEND Sent {1+}\r\nx  (\\Seen) {1+}\r\ny  {1+}\r\nz\r\n"])
    assert [event.index for event in told if isinstance(event, AppendStart)] == [0, 1, 2]
    assert told[-1] == AppendEnd("a")


def test_a_refused_append_that_waits_is_over_at_once() -> None:
    wire = logged_in()
    told = events(wire, [b"a APPEND Nowhere {5}\r\n"], refuse=True)
    assert told[1:] == [AppendRefused("a")]
    assert only(wire, b"b NOOP\r\n") == Request("b", commands.Noop())


def test_a_refused_append_that_does_not_wait_is_read_past() -> None:
    octets = b"a APPEND Nowhere {5+}\r\n12345 {3+}\r\nabc\r\nb NOOP\r\n"
    told = events(logged_in(), [octets], refuse=True)
    assert told[1:] == [AppendRefused("a"), Request("b", commands.Noop())]


def test_an_append_can_be_refused_in_its_middle() -> None:
    wire = logged_in()
    wire.receive_data(b"a APPEND Sent {5+}\r\n12")
    assert isinstance(wire.next_event(), AppendStart)
    wire.accept()
    assert wire.next_event() == LiteralChunk(b"12")
    wire.refuse()
    assert wire.next_event() is Signal.NEED_DATA
    assert events(wire, [b"345\r\nb NOOP\r\n"]) == [AppendRefused("a"), Request("b", commands.Noop())]


def test_text_after_the_message_spoils_the_append() -> None:
    told = events(logged_in(), [b"a APPEND Sent {1+}\r\nx rubbish\r\n"])
    assert told[-1] == Rejected("a", ResponseStatus.BAD, "Unexpected text after the message")


def test_a_message_above_the_limit_is_refused_not_hung_up_on() -> None:
    size = MESSAGE_OCTETS_MAX + 1
    expected = Rejected("a", ResponseStatus.NO, wire_module._TOO_BIG.text, "TOOBIG")
    assert events(logged_in(), [b"a APPEND Sent {%d}\r\n" % size]) == [expected]
    assert events(logged_in(), [b"a APPEND Sent {%d+}\r\n" % size, b"x" * size, b"\r\n"]) == [expected]


def test_a_message_beyond_all_measure_ends_the_conversation() -> None:
    told = events(logged_in(), [b"a APPEND Sent {999999999999+}\r\n"])
    assert told == [Bye("A literal is too large", "LIMIT")]


def test_idle_ends_with_a_raw_line() -> None:
    told = events(logged_in(), [b"a IDLE\r\nDONE\r\nb NOOP\r\n"])
    assert told == [Request("a", commands.Idle()), RawLine(b"DONE"), Request("b", commands.Noop())]


def test_an_authentication_line_is_no_command() -> None:
    told = events(Wire(), [b"a authenticate plain\r\nb LOGOUT\r\nc NOOP\r\n"])
    assert told[1:] == [RawLine(b"b LOGOUT"), Request("c", commands.Noop())]


def test_octets_behind_starttls_are_seen_to_be_there() -> None:  # CVE-2011-0411
    wire = Wire()
    wire.receive_data(b"a STARTTLS\r\nb NOOP\r\n")
    assert wire.next_event() == Request("a", commands.StartTls())
    assert wire.pending
    clean = Wire()
    clean.receive_data(b"a STARTTLS\r\n")
    clean.next_event()
    assert not clean.pending


def test_after_bye_nothing_is_heard() -> None:
    wire = Wire()
    assert isinstance(events(wire, [b"x" * 20_000])[-1], Bye)
    assert events(wire, [b"a NOOP\r\n"] * 5) == []
    assert not wire.pending
