"""Header blocks: fields where they stand, parameters as RFC 2045 and RFC 2231 write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante import limits
from mssante.mime import header

BLOCK = (
    b"Received: from a\r\n\tby b;\r\n Thu, 1 Jan 2026 10:00:00 +0100\r\n"
    b"Subject: un\r\n deux\r\n"
    b"this line is no field\r\n"
    b"X-Empty:\r\n"
    b"To:c@d.fr\r\n"
    b"Subject : trois\r\n"
    b"\r\n"
)


def test_a_folded_field_is_one_line_and_keeps_its_blank() -> None:
    found = {field.name: field.value for field in reversed(header.fields(BLOCK))}
    assert found == {
        b"received": b"from a\tby b; Thu, 1 Jan 2026 10:00:00 +0100",
        b"subject": b"un deux",
        b"x-empty": b"",
        b"to": b"c@d.fr",
    }


def test_a_field_knows_where_it_stands() -> None:
    subject = header.fields(BLOCK)[1]
    assert BLOCK[subject.start : subject.end] == b"Subject: un\r\n deux\r\n"


def test_repeated_fields_are_all_given_in_order() -> None:
    assert header.values(BLOCK, b"subject") == (b"un deux", b"trois")


def test_selected_fields_are_given_as_written_then_a_blank_line() -> None:
    chosen = header.chosen_fields(BLOCK, frozenset({b"to", b"subject", b"cc"}))
    assert chosen == b"Subject: un\r\n deux\r\nTo:c@d.fr\r\nSubject : trois\r\n\r\n"
    others = header.chosen_fields(BLOCK, frozenset({b"subject", b"received"}), others=True)
    assert others == b"X-Empty:\r\nTo:c@d.fr\r\n\r\n"


def test_a_name_is_matched_whole_and_never_as_a_pattern() -> None:
    assert (
        header.chosen_fields(b"To: a\r\nToo: b\r\nX.: c\r\nXY: d\r\n", frozenset({b"to", b"x."}))
        == b"To: a\r\nX.: c\r\n\r\n"
    )
    assert header.chosen_fields(b"To: a\r\n", frozenset()) == b"\r\n"
    assert header.chosen_fields(b"To: a\r\n", frozenset(), others=True) == b"To: a\r\n\r\n"


def test_a_block_cut_short_is_selected_with_a_line_end() -> None:
    assert header.chosen_fields(b"To: a\r\nCc: b", frozenset({b"cc"})) == b"Cc: b\r\n\r\n"


def test_lines_beyond_the_limit_are_not_read() -> None:
    block = b"A: b\r\n" * limits.MIME_HEADER_LINES_MAX + b"Subject: x\r\n"
    assert header.values(block, b"subject") == ()


@pytest.mark.parametrize(
    ("value", "main", "parameters"),
    [
        (b"text/plain", b"text/plain", ()),
        (b"text/plain; charset=utf-8", b"text/plain", ((b"charset", b"utf-8"),)),
        (b'a/b; Name="x; \\"y\\""; z=1', b"a/b", ((b"name", b'x; "y"'), (b"z", b"1"))),
        (b"a/b (comment; c=d); e=f (g(h)i)", b"a/b", ((b"e", b"f"),)),
        (b"a/b; boundary=un deux ;c=d", b"a/b", ((b"boundary", b"un deux"), (b"c", b"d"))),
        (b'a/b;; ; junk; c="d" tail; e=', b"a/b", ((b"c", b"d"), (b"e", b""))),
        (b'a/b; c="unterminated; d=e', b"a/b", ((b"c", b"unterminated; d=e"),)),
        (b"a/b; t*0=un; t*1=deux; u=v", b"a/b", ((b"t", b"undeux"), (b"u", b"v"))),
        (b"a/b; t*1*=%C3%A9; t*0*=utf-8'fr'%41", b"a/b", ((b"t*", b"utf-8'fr'%41%C3%A9"),)),
        (b"a/b; t*0*=utf-8''x; t*1=\"y %\"", b"a/b", ((b"t*", b"utf-8''xy%20%25"),)),
        (b"a/b; t*0=a; t*2=c", b"a/b", ((b"t", b"a"),)),
        (b"a/b; t*=utf-8''%C3%A9", b"a/b", ((b"t*", b"utf-8''%C3%A9"),)),
    ],
)
def test_parameters(value: bytes, main: bytes, parameters: header.Parameters) -> None:
    assert header.with_parameters(value) == (main, parameters)


@pytest.mark.parametrize(
    ("value", "rest"),
    [
        (b"a (b) c", b"a  c"),
        (b"a (b (c) d) e", b"a  e"),
        (b"a (b \\) c) d", b"a  d"),
        (b"a (b \\( c) d", b"a  d"),
        (b'a (b " c) d', b"a  d"),  # a quotation mark means nothing inside a comment
        (b'a "b (c)" d', b'a "b (c)" d'),
        (b"a (b", b"a"),
        (b"a (b\\", b"a"),
        (b"a) b (c)", b"a) b"),
    ],
)
def test_comments_are_left_out(value: bytes, rest: bytes) -> None:
    assert header.without_comments(value) == rest


def test_parameters_beyond_the_limit_are_not_read() -> None:
    value = b"a/b" + b"".join(b"; p%d=v" % n for n in range(200))
    assert len(header.with_parameters(value)[1]) == limits.MIME_PARAMETERS_MAX


def test_message_identifiers_are_found_among_other_words() -> None:
    assert header.message_identifiers(b"<a@b> (c) junk <d@e><f") == (b"<a@b>", b"<d@e>")


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_nothing_written_in_a_header_raises(block: bytes) -> None:
    header.fields(block)
    header.with_parameters(block)
    header.without_comments(block)
    assert header.chosen_fields(block, frozenset({b"to"})).endswith(b"\r\n")


@given(st.lists(st.sampled_from([b"A: b\r\n", b" c\r\n", b"\tD: e\r\n", b"F:\r\n", b"?\r\n"]), max_size=12))
@settings(deadline=None)
def test_fields_and_selection_agree(lines: list[bytes]) -> None:
    block = b"".join(lines)
    written = b"".join(block[field.start : field.end] for field in header.fields(block))
    assert header.chosen_fields(block, frozenset(), others=True) == written + b"\r\n"


@given(st.lists(st.sampled_from([b"\\", b"a", b'"', b"\r"])))
def test_quoted_pairs_are_undone_from_left_to_right(octets: list[bytes]) -> None:
    quoted = b"".join(octets)
    assert header.unescaped(quoted) == re.sub(rb"\\(.)", rb"\1", quoted, flags=re.DOTALL)
