"""No header forges a response (I15): hostile fields through scan and summary, read back by imapclient."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imapclient.response_parser import parse_fetch_response
from imapclient.response_types import Envelope

from mssante.imap.grammar import bodystructure, envelope
from mssante.mime.structure import scan
from mssante.mime.summary import summarise

AT = datetime(2026, 1, 1, tzinfo=UTC)
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")
# What ends a string, a list, a line or a literal too early, between octets of any kind.
PIECES = st.one_of(
    st.binary(max_size=20),
    st.sampled_from(
        [
            b'"', b"\\", b"(", b")", b"{3}", b"{10}\r\n ", b"\r\n ", b"\r\n\t", b" NIL ", b'")', b"\\\\\"",
            b") BODY[] {5}", b"* 9 EXPUNGE", b"a1 OK done", b"=?utf-8?q?=0D=0A*_BYE?=", b"\xff", b"\x80",
            b"=?utf-8?b?Ig0KKQ==?=", b"=00", b"\x7f", b"\x01", b"[", b"]", b"%", b"~{1}", b"NIL", b"12345",
        ]
    ),
)  # fmt: skip
VALUES = st.lists(PIECES, max_size=8).map(
    # Ends of line only where the next line goes on: what a header can hold (RFC 5322 §2.2.3).
    lambda pieces: re.sub(rb"(\r\n[ \t])|[\r\n\0]", lambda end: end[1] or b"", b"".join(pieces))
)
FIELDS = (b"Subject", b"Date", b"In-Reply-To", b"Message-ID", b"From", b"To", b"Content-Type", b"Content-ID")


def as_imaplib(line: bytes) -> list[Any]:
    """A response's pieces as imaplib hands them over: literals apart."""
    pieces: list[Any] = []
    position = 0
    while literal := _LITERAL.search(line, position):
        end = literal.end() + int(literal[1])
        pieces.append((line[position : literal.end() - 2], line[literal.end() : end]))
        position = end
    return [*pieces, line[position:]]


def unfolded(value: bytes) -> bytes:
    return value.replace(b"\r\n", b"").strip(b" \t\r\n")


def text(value: Any) -> bytes:
    """imapclient takes a quoted string of digits for a number."""
    return b"" if value is None else value if isinstance(value, bytes) else str(value).encode()


def check(values: list[bytes]) -> None:
    header = b"".join(b"%b: %b\r\n" % pair for pair in zip(FIELDS, values, strict=True))
    summary = summarise(scan(header + b"\r\nx\r\n"), internal_date=AT)
    line = b"1 (ENVELOPE %b BODYSTRUCTURE %b UID 7)" % (
        envelope.envelope(summary.envelope),
        bodystructure.bodystructure(summary.structure),
    )
    (found,) = parse_fetch_response(as_imaplib(line), normalise_times=False).values()
    assert set(found) == {b"SEQ", b"ENVELOPE", b"BODYSTRUCTURE"}
    read: Envelope = found[b"ENVELOPE"]
    told = (read.subject, read.in_reply_to, read.message_id)
    for value, at in zip(told, (0, 2, 3), strict=True):
        if value is None or not values[at].strip():
            continue
        assert _alike(text(value)) == _alike(unfolded(values[at])), values[at]


def _alike(octets: bytes) -> bytes:
    """Without blanks and NUL: what folding and the grammar may take away."""
    return re.sub(rb"[ \t\0]", b"", octets)


@given(st.lists(VALUES, min_size=len(FIELDS), max_size=len(FIELDS)))
@settings(max_examples=300, deadline=None)
def test_no_field_of_a_header_forges_a_response(values: list[bytes]) -> None:
    check(values)


@pytest.mark.campaign
@given(st.lists(VALUES, min_size=len(FIELDS), max_size=len(FIELDS)))
@settings(max_examples=100_000, deadline=None)
def test_a_hundred_thousand_headers_forge_no_response(values: list[bytes]) -> None:
    check(values)
