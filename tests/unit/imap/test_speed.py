"""The core's share of the time targets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from mssante.flags import FlagNames
from mssante.imap.grammar import search_syntax
from mssante.imap.grammar.fetch import parse
from mssante.imap.grammar.lexer import Cursor
from mssante.imap.grammar.sets import render
from mssante.imap.rules.fetched import FetchFormat
from mssante.imap.rules.matching import Context, Known, judged, prepared
from mssante.imap.rules.view import FolderView
from mssante.mime.header import chosen_fields
from tests.unit.imap.spoken import fastest, logged_in


@pytest.mark.parametrize(
    "line",
    [
        b"12 UID fetch 1:* (FLAGS)\r\n",
        b"13 UID fetch 1:100 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date "
        b"Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])\r\n",
        b"14 uid store 5 +Flags (\\Seen $label1 dossier)\r\n",
        b'15 list (subscribed) "" "*" return (special-use)\r\n',
        b"16 uid SEARCH UNDELETED SUBJECT resultats SINCE 1-Feb-2024\r\n",
    ],
)
def test_a_command_is_read_in_sixty_microseconds(line: bytes) -> None:
    wire = logged_in()

    def hundred() -> None:
        for _ in range(100):
            wire.receive_data(line)
            wire.next_event()

    assert fastest(hundred) / 100 < 60e-6


@dataclass(slots=True)
class Row:
    sequence: int
    uid: int
    flags: bytes
    envelope: bytes
    internal_date: bytes = b'" 1-May-2024 10:00:00 +0000"'
    size: int = 1
    body: bytes = b""
    structure: bytes = b""
    preview: bytes = b'""'
    modseq: int = 1
    save_date: bytes = b"NIL"
    email_id: bytes = b"NIL"
    thread_id: bytes = b"NIL"


ENVELOPE = b'("Wed, 1 May 2024 10:00:00 +0000" "=?utf-8?q?R=C3=A9sultats?=" ' + b"x" * 300 + b")"
ROWS = [Row(at, at + 7, rb"\Seen $label1", ENVELOPE) for at in range(1, 10_001)]


def test_ten_thousand_lines_of_flags_take_fifteen_milliseconds() -> None:
    format_ = FetchFormat(parse(Cursor(b"(UID FLAGS)")))
    assert fastest(lambda: format_.lines(ROWS)) < 0.015


def test_ten_thousand_envelopes_take_twenty_milliseconds() -> None:
    format_ = FetchFormat(parse(Cursor(b"(UID ENVELOPE)")))
    assert fastest(lambda: format_.lines(ROWS)) < 0.020


def test_a_view_of_100_000_messages_is_cheap() -> None:
    uids = range(1, 100_001)
    assert fastest(lambda: FolderView(uids)) < 0.050
    view = FolderView(uids)
    assert fastest(lambda: [view.sequence_of(uid) for uid in range(1, 10_001)]) < 0.050
    assert fastest(lambda: render(view.uids)) < 0.100


def test_searching_flags_of_100_000_messages() -> None:
    context = Context(FlagNames(), 100_000, 100_000, datetime(2024, 1, 1, tzinfo=UTC))
    known = Known(context, flags={at: at & 1 for at in range(1, 100_001)})
    key = prepared(search_syntax.parse(Cursor(b" UNSEEN UID 1:50000")).key, context)
    assert fastest(lambda: judged(key, frozenset(known.flags), known.judge), 3) < 0.300


def test_header_fields_of_one_message_take_tens_of_microseconds() -> None:
    received = (
        b"Received: from a.example (a.example [192.0.2.1])\r\n\tby b.example with ESMTPS\r\n\tid 12345\r\n"
    )
    header = received * 4 + b"".join(b"X-Field-%d: %b\r\n" % (at, b"v" * 60) for at in range(25))
    header += b"From: a\r\nTo: b\r\nSubject: c\r\n\r\n"
    names = frozenset({b"from", b"to", b"subject", b"date", b"message-id", b"cc"})

    def hundred() -> None:
        for _ in range(100):
            chosen_fields(header, names)

    assert fastest(hundred) / 100 < 40e-6
