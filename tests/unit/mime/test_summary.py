"""What is kept of a message: quick to open, the same tomorrow, and what IMAP writes of it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.imap.grammar.bodystructure import body, bodystructure
from mssante.imap.grammar.envelope import envelope
from mssante.mime.structure import scan
from mssante.mime.summary import Summary, summarise
from mssante.reasons import Reason, Refused
from tests.unit.mime.trees import Tree, trees

ARRIVED = datetime(2026, 1, 1, 10, tzinfo=UTC)
LETTER = (
    b"From: =?utf-8?q?=C3=89lodie?= <e@b.fr>\r\nTo: c@d.fr\r\nCc: G: x@y.fr;\r\n"
    b"Subject: =?utf-8?q?=C3=89t=C3=A9?=\r\nDate: Thu, 01 Jan 2026 10:11:12 +0130\r\nMessage-ID: <i@b.fr>\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\nun\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
    b"--c\r\nX: y\r\n\r\ndeux\r\n--c--\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: plain\r\n\r\ntrois\r\n"
    b"--b--\r\n"
)
# Frozen: a summary sealed by version 1, and what it says. Never to be changed.
FROZEN = bytes.fromhex(
    "019a4ace695645a0ce695633285ac48028225468752c203031204a616e20323032362031303a31313a3132202b303133"
    "302220227322202828224122204e494c202261222022622e6672222929202828224122204e494c202261222022622e66"
    "72222929202828224122204e494c202261222022622e6672222929204e494c204e494c204e494c204e494c204e494c29"
    "c43a282274657874222022706c61696e222028226368617273657422202275732d61736369692229204e494c204e494c"
    "202237626974222033203129c44a282274657874222022706c61696e222028226368617273657422202275732d617363"
    "69692229204e494c204e494c2022376269742220332031204e494c204e494c204e494c204e494c29c41195a173aa4120"
    "3c6140622e66723ea0a0a0c4109281a131940047470381a0940047470347"
)

FROZEN_LISTED = bytes.fromhex(
    "019c4ace695645a0ce695633285ac48028225468752c203031204a616e20323032362031303a31313a3132202b303133"
    "302220227322202828224122204e494c202261222022622e6672222929202828224122204e494c202261222022622e66"
    "72222929202828224122204e494c202261222022622e6672222929204e494c204e494c204e494c204e494c204e494c29"
    "c43a282274657874222022706c61696e222028226368617273657422202275732d61736369692229204e494c204e494c"
    "202237626974222033203129c44a282274657874222022706c61696e222028226368617273657422202275732d617363"
    "69692229204e494c204e494c2022376269742220332031204e494c204e494c204e494c204e494c29c41195a173aa4120"
    "3c6140622e66723ea0a0a0c4109281a131940047470381a094004747034700c45194c403000607c41246726f6d3a2041"
    "203c6140622e66723e0d0ac40c5375626a6563743a20730d0ac427446174653a205468752c203031204a616e20323032"
    "362031303a31313a3132202b303133300d0a"
)


def summary(message: bytes = LETTER) -> Summary:
    return summarise(scan(message), internal_date=ARRIVED)


def section(message: bytes, path: str, text: str = "") -> bytes | None:
    where = summary(message).parts.locate(path, text)  # type: ignore[arg-type]  # any text is asked here
    return None if where is None else message[where[0] : where[0] + where[1]]


def test_dates_and_sizes_are_exact() -> None:
    found = summary()
    assert found.size == len(LETTER)
    assert found.internal_date == int(ARRIVED.timestamp())
    assert found.sent_at == int(datetime(2026, 1, 1, 8, 41, 12, tzinfo=UTC).timestamp())
    assert found.sent_offset == 90
    assert found.header_octets == LETTER.index(b"\r\n\r\n") + 4


def test_a_message_without_a_date_says_so() -> None:
    found = summary(b"Date: yesterday\r\n\r\n")
    assert (found.sent_at, found.sent_offset) == (None, None)
    assert Summary.from_bytes(found.to_bytes()) == found


def test_the_texts_for_search_are_decoded() -> None:
    assert summary().texts == ("Été", "Élodie <e@b.fr>", "c@d.fr", "G, x@y.fr", "")


@pytest.mark.parametrize(
    ("path", "text", "octets"),
    [
        ("", "", LETTER),
        ("", "HEADER", LETTER[: LETTER.index(b"--b")]),
        ("", "TEXT", LETTER[LETTER.index(b"--b") :]),
        ("", "MIME", None),
        ("1", "", b"un"),
        ("1", "MIME", b"\r\n"),
        ("1", "HEADER", None),
        ("2", "MIME", b"Content-Type: message/rfc822\r\n\r\n"),
        ("2", "HEADER", b"Content-Type: multipart/mixed; boundary=c\r\n\r\n"),
        ("2", "TEXT", b"--c\r\nX: y\r\n\r\ndeux\r\n--c--"),
        ("2.1", "", b"deux"),
        ("2.1", "MIME", b"X: y\r\n\r\n"),
        ("3", "", b"Subject: plain\r\n\r\ntrois"),
        ("3", "TEXT", b"trois"),
        ("3.1", "", b"trois"),
        ("4", "", None),
        ("1.1", "", None),
        ("0", "", None),
    ],
)
def test_sections_are_slices(path: str, text: str, octets: bytes | None) -> None:
    assert section(LETTER, path, text) == octets


def test_a_message_that_is_no_multipart_is_its_own_part_one() -> None:
    assert section(b"A: b\r\n\r\nbody", "1") == b"body"
    assert section(b"A: b\r\n\r\nbody", "1", "MIME") == b"A: b\r\n\r\n"


@given(trees)
@settings(deadline=None)
def test_a_summary_is_read_back_as_it_was(tree: Tree) -> None:
    found = summary(tree.written())
    again = Summary.from_bytes(found.to_bytes())
    assert again == found
    assert (again.texts, again.parts) == (found.texts, found.parts)


def test_an_ordinary_summary_is_small() -> None:
    assert len(summary().to_bytes()) < 1700


def test_a_structure_beyond_reason_is_shown_as_one_text() -> None:
    part = b"--b\r\nContent-Type: a/b; c=" + b"x" * 600 + b"\r\n\r\n\r\n"
    message = b"Content-Type: multipart/mixed; boundary=b\r\nContent-Description: %b\r\n\r\n%b" % (
        b'"' * 200_000,
        part * 900,
    )
    found = summary(message)
    assert bodystructure(found.structure).startswith(b'("text" "plain" NIL NIL NIL "7bit" ')
    assert section(message, "1") == message[message.index(b"--b") :]
    assert section(message, "2") is None


def test_a_later_summary_with_more_fields_is_read() -> None:
    found = summary()
    later = b"\x02" + msgpack.packb([*found, "later", {"and": "more"}])
    assert Summary.from_bytes(later) == found


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x01",
        b"\x02",
        b"\x03" + summary().to_bytes()[1:],
        summary().to_bytes()[:-1],
        summary().to_bytes() + b"\0",
        b"\x02" + msgpack.packb([1, 2]),
        b"\x02" + msgpack.packb({"size": 1}),
        b"\x02" + msgpack.packb([*summary()[:4], "text", *summary()[5:]]),
        b"\x02" + msgpack.packb([*summary()[:10], "text", *summary()[11:]]),
        b"\x02" + msgpack.packb([*summary()[:11], "text"]),
        b"\x02" + b"\x91" * 5000,
    ],
)
def test_what_is_no_summary_is_refused_as_corruption(octets: bytes) -> None:
    with pytest.raises(Refused) as caught:
        Summary.from_bytes(octets)
    assert caught.value.reason is Reason.CORRUPTION


@given(st.sampled_from([b"\x01", b"\x02"]), st.binary(max_size=200))
@settings(deadline=None)
def test_any_octets_are_a_summary_or_are_refused(version: bytes, octets: bytes) -> None:
    with suppress(Refused):  # and nothing else
        Summary.from_bytes(version + octets)


def test_a_summary_of_version_one_is_read_for_ever() -> None:
    found = Summary.from_bytes(FROZEN)
    assert found[:4] == (74, 1767261600, 1767256872, 90)
    assert envelope(found.envelope).startswith(
        b'("Thu, 01 Jan 2026 10:11:12 +0130" "s" (("A" NIL "a" "b.fr")) '
    )
    assert body(found.structure) == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1)'
    assert bodystructure(found.structure) == body(found.structure)[:-1] + b" NIL NIL NIL NIL)"
    assert found.texts == ("s", "A <a@b.fr>", "", "", "")
    assert found.parts.locate("1") == (71, 3)
    assert found.header_octets == 71
    assert found.listed(b"subject") is None  # not kept then: the header tells


def test_a_summary_of_version_one_with_listed_fields_is_read_for_ever() -> None:
    found = Summary.from_bytes(FROZEN_LISTED)
    assert found[:10] == (*Summary.from_bytes(FROZEN)[:9], 0)
    assert found.listed(b"from") == (b"A <a@b.fr>",)
    assert found.listed(b"date") == (b"Thu, 01 Jan 2026 10:11:12 +0130",)


def test_a_summary_does_not_show_what_it_holds() -> None:
    assert repr(summary()) == f"Summary(size={len(LETTER)})"
