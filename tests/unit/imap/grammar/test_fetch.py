"""What FETCH items ask for, and how responses are written."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from imapclient.response_parser import parse_fetch_response

from mssante.imap.grammar import encode
from mssante.imap.grammar.fetch import Attribute, BodySection, FetchItems, Partial, Slice, parse
from mssante.imap.grammar.lexer import Cursor, Unacceptable
from mssante.imap.grammar.need import Need
from mssante.imap.rules.fetched import CLOSING, Change, FetchFormat, change_lines, modseq_lines
from mssante.mime.header import FieldPicker, chosen_fields


def items(text: str) -> FetchItems:
    return parse(Cursor(text.encode()))


@dataclass(frozen=True)
class Row:
    sequence: int = 3
    uid: int = 70
    flags: bytes = rb"\Seen $x"
    internal_date: bytes = b'" 1-May-2024 10:00:00 +0000"'
    size: int = 1234
    envelope: bytes = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
    body: bytes = b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1)'
    structure: bytes = b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1 NIL NIL NIL NIL)'
    preview: bytes = b'""'
    modseq: int = 1
    save_date: bytes = b"NIL"
    email_id: bytes = b"NIL"
    thread_id: bytes = b"NIL"


def as_imaplib(octets: bytes) -> list[object]:
    """The response as imaplib hands it to imapclient: (line with {n}, literal) pairs, then the rest."""
    found: list[object] = []
    rest = octets.removeprefix(b"* ").replace(b"FETCH ", b"", 1)
    while True:
        line, _, after = rest.partition(b"\r\n")
        if not line.endswith(b"}"):
            assert after == b""
            return [*found, line]
        size = int(line[line.rindex(b"{") + 1 : -1])
        found.append((line, after[:size]))
        rest = after[size:]


def test_macros() -> None:
    assert items("all").attributes == (
        Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE, Attribute.ENVELOPE,
    )  # fmt: skip
    assert items("FULL").attributes[-1] is Attribute.BODY
    assert items("fast").need is Need.SUMMARY


def test_one_item_has_one_name_and_is_told_once() -> None:
    assert items("(FLAGS flags UID)").attributes == (Attribute.FLAGS, Attribute.UID)
    for text in ("(BODY[] BODY.PEEK[])", "(BODY.PEEK[1.2]<0.5> BODY[1.2]<0.5>)"):
        found = items(text)
        assert (len(found.items), found.sets_seen) == (1, True)


@pytest.mark.parametrize(
    ("text", "need", "sets_seen"),
    [
        ("FLAGS", Need.FLAGS, False),
        ("(UID FLAGS)", Need.FLAGS, False),
        ("RFC822.SIZE", Need.SUMMARY, False),
        ("(FLAGS BODYSTRUCTURE)", Need.SUMMARY, False),
        ("BODY", Need.SUMMARY, False),
        ("RFC822.HEADER", Need.HEADER, False),
        ("BODY.PEEK[HEADER]", Need.HEADER, False),
        ("BODY[HEADER.FIELDS (TO)]", Need.HEADER, True),
        ("BODY.PEEK[1.HEADER]", Need.BODY, False),
        ("BODY.PEEK[1.MIME]", Need.BODY, False),
        ("BODY.PEEK[]", Need.BODY, False),
        ("BODY[]", Need.BODY, True),
        ("RFC822", Need.BODY, True),
        ("RFC822.TEXT", Need.BODY, True),
    ],
)
def test_how_far_an_item_opens_and_whether_it_marks_as_read(text: str, need: Need, sets_seen: bool) -> None:
    assert (items(text).need, items(text).sets_seen) == (need, sets_seen)


@pytest.mark.parametrize(
    ("text", "section"),
    [
        ("body[]", BodySection(b"BODY[]")),
        ("body.peek[]<40>", BodySection(b"BODY[]<40>", partial=Partial(40, 0xFFFFFFFF), peek=True)),
        ("body.peek[]<0.65536>", BodySection(b"BODY[]<0>", partial=Partial(0, 65536), peek=True)),
        ("BODY[1.2.3]", BodySection(b"BODY[1.2.3]", (1, 2, 3))),
        ("BODY[2.text]", BodySection(b"BODY[2.TEXT]", (2,), Slice.TEXT)),
        ("BODY[2.1.mime]", BodySection(b"BODY[2.1.MIME]", (2, 1), Slice.MIME)),
        (
            'BODY[2.header.fields.not (from "To" x-"y\\"z")]<5.1>'.replace('x-"y\\"z"', '"x-\\"y"'),
            BodySection(
                b'BODY[2.HEADER.FIELDS.NOT (FROM TO "X-\\"Y")]<5>',
                (2,),
                Slice.FIELDS_NOT,
                frozenset({b"from", b"to", b'x-"y'}),
                Partial(5, 1),
            ),
        ),
        ("RFC822.HEADER", BodySection(b"RFC822.HEADER", slice=Slice.HEADER, peek=True)),
    ],
)
def test_sections(text: str, section: BodySection) -> None:
    assert items(text).sections == (section,)


def test_a_preview_may_be_lazy() -> None:
    # RFC 8970 §6; what follows in parentheses and is no LAZY belongs to the command (RFC 7162 §3.1.4.1).
    for text in ("PREVIEW", "preview (lazy)", "(PREVIEW (LAZY))", "PREVIEW (LAZY LAZY)"):
        assert items(text).items == (Attribute.PREVIEW,)
        assert items(text).need is Need.SUMMARY
    assert items("(PREVIEW (LAZY) UID PREVIEW)").items == (Attribute.PREVIEW, Attribute.UID)
    for octets in (b"preview (changedsince 5)", b"preview (lazy) (changedsince 5)"):
        cursor = Cursor(octets)
        assert parse(cursor).items == (Attribute.PREVIEW,)
        assert octets[cursor.at :] == b" (changedsince 5)"
    for text in ("(PREVIEW (KEEN))", "(PREVIEW ())", "(PREVIEW (LAZY)FLAGS)"):
        with pytest.raises(Unacceptable):
            items(text)


def test_an_item_asked_twice_is_answered_once() -> None:
    assert items("(FLAGS UID FLAGS BODY[] BODY[])").items == (
        Attribute.FLAGS, Attribute.UID, BodySection(b"BODY[]"),
    )  # fmt: skip


def test_the_same_items_in_different_places_are_read_alike() -> None:
    assert items("(FLAGS UID)") == items("(FLAGS UID)") == parse(Cursor(b"(flags uid) tail"))
    cursor = Cursor(b"x (FLAGS UID)")
    cursor.at = 2
    assert parse(cursor) == items("(FLAGS UID)")
    cursor.end()


@pytest.mark.parametrize(
    ("partial", "size", "expected"),
    [
        (Partial(0, 10), 5, range(5)),
        (Partial(3, 1), 5, range(3, 4)),
        (Partial(5, 1), 5, range(5, 5)),
        (Partial(9, 2), 5, range(5, 5)),
        (Partial(0, 0xFFFFFFFF), 5, range(5)),
    ],
)
def test_a_partial_never_reaches_beyond_the_end(partial: Partial, size: int, expected: range) -> None:
    assert partial.cut(size) == expected


def test_responses_are_assembled_in_order_with_sections_last() -> None:
    format_ = FetchFormat(items("(BODY.PEEK[1] UID FLAGS RFC822.SIZE)"))
    assert format_.line(Row(), [b"ab\r\n"]) == (
        b"* 3 FETCH (UID 70 FLAGS (\\Seen $x) RFC822.SIZE 1234 BODY[1] {4}\r\nab\r\n)\r\n"
    )
    assert format_.line(Row(), [None]).endswith(b" BODY[1] NIL)\r\n")


def test_a_section_alone_and_an_item_alone() -> None:
    assert FetchFormat(items("BODY.PEEK[]")).line(Row(), [b"x"]) == b"* 3 FETCH (BODY[] {1}\r\nx)\r\n"
    assert FetchFormat(items("FLAGS")).lines([Row(), Row(sequence=4, flags=b"")]) == (
        b"* 3 FETCH (FLAGS (\\Seen $x))\r\n* 4 FETCH (FLAGS ())\r\n"
    )


def test_a_body_can_be_streamed_between_opening_and_closing() -> None:
    format_ = FetchFormat(items("(UID BODY[] BODY[1]<0.2>)"))
    streamed = b"".join(
        [
            format_.opening(Row()),
            format_.announcement(0, 3),
            b"abc",
            format_.announcement(1, 2),
            b"ab",
            CLOSING,
        ]
    )
    assert streamed == format_.line(Row(), [b"abc", b"ab"])
    assert streamed == b"* 3 FETCH (UID 70 BODY[] {3}\r\nabc BODY[1]<0> {2}\r\nab)\r\n"


def test_another_parser_reads_what_we_write() -> None:
    asked = items("(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY[] BODY[2])")
    line = FetchFormat(asked).line(Row(), [b"a)\r\n* 9 EXPUNGE\r\n", None])
    read = parse_fetch_response(as_imaplib(line), normalise_times=False)[70]
    assert read[b"FLAGS"] == (b"\\Seen", b"$x")
    assert read[b"RFC822.SIZE"] == 1234
    assert read[b"INTERNALDATE"].replace(tzinfo=UTC) == datetime(2024, 5, 1, 10, tzinfo=UTC)
    assert read[b"BODY[]"] == b"a)\r\n* 9 EXPUNGE\r\n"
    assert read[b"BODY[2]"] is None


def test_changes_are_told_with_what_the_client_understands() -> None:
    changes = [Change(1, 5, b"", 7), Change(2, 9, rb"\Seen", 8)]
    assert change_lines(changes) == (b"* 1 FETCH (UID 5 FLAGS ())\r\n* 2 FETCH (UID 9 FLAGS (\\Seen))\r\n")
    assert change_lines(changes, uid=False) == (b"* 1 FETCH (FLAGS ())\r\n* 2 FETCH (FLAGS (\\Seen))\r\n")
    assert change_lines(changes, uid=False, modseq=True) == (  # RFC 7162 §3.2.4
        b"* 1 FETCH (UID 5 FLAGS () MODSEQ (7))\r\n* 2 FETCH (UID 9 FLAGS (\\Seen) MODSEQ (8))\r\n"
    )
    assert modseq_lines([(1, 5, 7)]) == b"* 1 FETCH (UID 5 MODSEQ (7))\r\n"


# I15: nothing in a header forges a response.
NASTY = st.binary(max_size=60) | st.text('ab "\\(){}[]<>\r\n\0é*%NIL{3}+', max_size=40).map(str.encode)


@given(st.lists(NASTY, min_size=10, max_size=10), NASTY)
@example([b")\r\n* 1 EXPUNGE"] * 10, b"{5}\r\n")
@example([b'"'] * 10, b"x" * 1500)
def test_no_header_forges_a_response(strings: list[bytes], body: bytes) -> None:
    forges_nothing(strings, body)


def forges_nothing(strings: list[bytes], body: bytes) -> None:
    value = b"(" + b" ".join(encode.nstring(string) for string in strings) + b")"
    asked = FetchFormat(items("(UID BODYSTRUCTURE BODY[])"))
    line = asked.line(Row(structure=value), [body])
    read = parse_fetch_response(as_imaplib(line))[70]
    assert list(read) == [b"SEQ", b"BODYSTRUCTURE", b"BODY[]"]
    assert read[b"BODY[]"] == body
    # imapclient reads numbers and NIL as such only outside quotes; strings come back as octets.
    assert list(read[b"BODYSTRUCTURE"]) == [string.replace(b"\0", b"") for string in strings]


@pytest.mark.campaign
def test_no_header_of_a_hundred_thousand_forges_a_response() -> None:
    chance = random.Random(15)
    nasty = [
        b'"',
        b"\\",
        b"\r",
        b"\n",
        b"\0",
        b")",
        b"(",
        b"{3}",
        b"{3+}\r\n",
        b"NIL",
        b"\xe9",
        b" ",
        b"* 1 EXPUNGE",
    ]
    for _ in range(10_000):  # of ten headers each
        strings = [b"".join(chance.choices([*nasty, b"ab"], k=chance.randrange(8))) for _ in range(10)]
        forges_nothing(strings, chance.randbytes(chance.randrange(40)))


def test_dates_on_the_wire() -> None:
    moment = datetime(2024, 5, 1, 9, 8, 7, tzinfo=timezone(-timedelta(hours=3, minutes=30)))
    assert encode.date_time(moment) == b'" 1-May-2024 09:08:07 -0330"'
    assert encode.date_time(datetime(2024, 12, 31, tzinfo=UTC)) == b'"31-Dec-2024 00:00:00 +0000"'
    assert Cursor(encode.date_time(moment)).date_time() == moment
    for beyond in (b'" 1-Jan-0001 00:00:00 +1400"', b'"31-Dec-9999 23:59:59 -1200"'):
        with pytest.raises(Unacceptable, match="No such date"):  # no instant that Python knows
            Cursor(beyond).date_time()


HEADER = (
    b"Received: from a\r\n\tby b\r\n by c\r\nFrom: x <x@y>\r\nSubject : folded\r\n  twice\r\n"
    b"from: second\r\nX-Empty:\r\nnot a field\r\n stray fold\r\nFromage: no\r\nTo: z\r\n\r\n"
)


@pytest.mark.parametrize(
    ("names", "others", "expected"),
    [
        ({b"from"}, False, b"From: x <x@y>\r\nfrom: second\r\n\r\n"),
        ({b"subject", b"to"}, False, b"Subject : folded\r\n  twice\r\nTo: z\r\n\r\n"),
        ({b"x-empty"}, False, b"X-Empty:\r\n\r\n"),
        ({b"nothing"}, False, b"\r\n"),
        (
            {b"from", b"received", b"subject", b"fromage"},
            True,
            b"X-Empty:\r\nTo: z\r\n\r\n",
        ),
    ],
)
def test_header_fields_keep_order_folding_and_repeats(
    names: set[bytes], others: bool, expected: bytes
) -> None:
    assert chosen_fields(HEADER, frozenset(names), others=others) == expected


def _naively(block: bytes, names: frozenset[bytes], *, others: bool) -> bytes:
    kept, keeping = [], False
    for line in block.split(b"\n")[:-1]:
        if line[:1] not in (b" ", b"\t"):
            name, colon, _ = line.partition(b":")
            name = name.rstrip(b" \t").lower()
            keeping = bool(colon) and len(name.split()) == 1 and (name in names) is not others
        if keeping:
            kept.append(line + b"\n")
    return b"".join(kept) + b"\r\n"


LINES = st.lists(
    st.sampled_from([b"From: a", b"a:", b"B : c", b" fold", b"\tfold", b"", b"x y: z", b"plain", b":"])
)


@given(LINES, st.booleans())
def test_fields_are_those_a_line_by_line_reading_finds(lines: list[bytes], others: bool) -> None:
    block = b"".join(line + b"\r\n" for line in lines)
    names = frozenset({b"a", b"from"})
    assert chosen_fields(block, names, others=others) == _naively(block, names, others=others)


@given(LINES, st.booleans(), st.lists(st.integers(0, 60)), st.sampled_from([6, 4096]))
def test_fields_chosen_from_pieces_are_those_of_the_whole(
    lines: list[bytes], others: bool, cuts: list[int], held: int
) -> None:
    """However the header is cut, and however long a field may be before its fate is decided."""
    block = b"".join(line + b"\r\n" for line in lines).removesuffix(b"\r\n" if len(lines) % 2 else b"")
    names = frozenset({b"a", b"from"})
    places = sorted({0, len(block), *(cut for cut in cuts if cut < len(block))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mssante.limits.LINE_OCTETS_MAX", held)
        picker = FieldPicker(names, others=others)
        pieces = [picker.feed(block[start:stop]) for start, stop in itertools.pairwise(places)]
        pieces.append(picker.finish())
    assert b"".join(pieces) == chosen_fields(block, names, others=others)


@given(st.binary(max_size=200))
def test_no_header_upsets_the_fields(block: bytes) -> None:
    assert chosen_fields(block, frozenset({b"a"})).endswith(b"\r\n")


def test_a_header_without_its_last_line_end_still_gives_whole_fields() -> None:
    assert chosen_fields(b"A: 1\r\nFrom: x", frozenset({b"from"})) == b"From: x\r\n\r\n"
