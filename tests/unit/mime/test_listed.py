"""The listed fields answer as the header would, octet for octet."""

from __future__ import annotations

from datetime import UTC, datetime

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.limits import LISTED_OCTETS_MAX
from mssante.mime.header import chosen_fields
from mssante.mime.listed import NAMES, Chooser, pack
from mssante.mime.structure import scan
from mssante.mime.summary import Summary, summarise
from mssante.reasons import Reason, Refused

THUNDERBIRD = (
    b"from to cc bcc resent-message-id subject date message-id priority x-priority references newsgroups"
    b" in-reply-to content-type reply-to"
).split()
HEADER = (
    b"Return-Path: <a@b.fr>\r\nReceived: from x\r\n\tby y\r\nFrom: A <a@b.fr>\r\nTO : c@d.fr,\r\n e@f.fr\r\n"
    b"Subject:un\r\n\tdeux\r\nX-Other: 1\r\nsubject: again\r\nReferences: <1@a>\r\n <2@a>\r\nnonsense\r\n\r\n"
)

lines = st.sampled_from(
    b"From: a|from : b|FROM\t:c| Subject: folded|\tmore|Subject:||:|X-Y: z|Message-ID: <a@b>|Message-IDs: no"
    b"|nonsense|To:\xff\x00|References: <a>|  ".split(b"|")
)
blocks = st.lists(lines, max_size=12).flatmap(
    lambda found: st.sampled_from([b"\r\n".join([*found, b"", b""]), b"\r\n".join(found)])
)
asked = st.frozensets(st.sampled_from([*NAMES[:12], b"x-priority"]), max_size=6)


def listed(block: bytes, names: frozenset[bytes]) -> bytes | None:
    chooser = Chooser.of(names)
    assert chooser is not None
    return chooser.fields(pack(block))


def summary(message: bytes) -> Summary:
    return summarise(scan(message), internal_date=datetime(2026, 1, 1, tzinfo=UTC))


@given(blocks, asked)
@settings(deadline=None)
def test_listed_fields_come_out_as_from_the_header(block: bytes, names: frozenset[bytes]) -> None:
    assert listed(block, names) == chosen_fields(block, names)


@pytest.mark.parametrize("names", [THUNDERBIRD, NAMES, [b"subject"], []])
def test_a_letters_listed_fields_come_out_as_from_its_header(names: list[bytes]) -> None:
    chosen = frozenset(names)
    assert listed(HEADER, chosen) == chosen_fields(HEADER, chosen)


def test_a_name_that_is_not_kept_is_read_from_the_header() -> None:
    assert Chooser.of([b"from", b"received"]) is None


def test_places_are_stored_and_so_never_change() -> None:
    assert pack(b"From: a\r\nX-MSS-MES: FIN\r\n\r\n") == msgpack.packb(
        [b"\x00\x3a", b"From: a\r\n", b"X-MSS-MES: FIN\r\n"]
    )
    assert (NAMES.index(b"references"), NAMES.index(b"list-post"), len(set(NAMES))) == (10, 23, len(NAMES))


def test_too_much_is_left_to_the_header() -> None:
    fits = b"To: %b\r\n\r\n" % (b"x" * (LISTED_OCTETS_MAX - 6))
    assert pack(fits)
    assert pack(b"X" + fits) != pack(b"To: " + fits) == b""
    assert pack(b"To: x\r\n" * 1001) == b""
    assert Chooser(b"\0").fields(b"") is None


def test_a_header_cut_at_its_bound_is_not_listed() -> None:
    assert summary(b"Subject: s\r\nX: %b\r\n\r\n" % (b"x" * 70_000)).listed(b"subject") is None


def test_a_summary_tells_values_unfolded_in_order() -> None:
    found = Summary.from_bytes(summary(HEADER + b"body").to_bytes())
    assert found.listed(b"references") == (b"<1@a> <2@a>",)
    assert found.listed(b"subject") == (b"un\tdeux", b"again")
    assert found.listed(b"in-reply-to") == ()


@pytest.mark.parametrize(
    "packed",
    [msgpack.packb([b"\0\1", b"From: a\r\n"]), b"\x91", b"\x90", b"\x91\x01", b"\x01", b"\x80", b"\xc1"],
)
def test_what_is_no_list_of_fields_is_refused_as_corruption(packed: bytes) -> None:
    with pytest.raises(Refused) as caught:
        Chooser(b"\0").fields(packed)
    assert caught.value.reason is Reason.CORRUPTION
