"""Summaries of version 1 are read for ever, and say what they said, octet for octet."""

from __future__ import annotations

import msgpack
import pytest

from mssante.imap.grammar.bodystructure import body, bodystructure
from mssante.imap.grammar.envelope import envelope
from mssante.mime.structure import scan
from mssante.mime.summary import Summary, is_of_before, summarise
from mssante.reasons import Reason, Refused
from tests.vectors.make_summaries import ARRIVED, Vector, of_version_1, of_version_2

VECTORS = of_version_1()
KEPT_NOW = of_version_2()
each_letter = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)


def told(summary: Summary) -> tuple[bytes, bytes, bytes]:
    return envelope(summary.envelope), body(summary.structure), bodystructure(summary.structure)


@each_letter
def test_what_was_kept_is_told_in_the_same_octets(vector: Vector) -> None:
    assert is_of_before(vector.summary)
    assert told(Summary.from_bytes(vector.summary)) == vector[3:]


@each_letter
def test_what_is_kept_today_is_told_in_the_same_octets(vector: Vector) -> None:
    kept = summarise(scan(vector.letter), internal_date=ARRIVED, head=vector.letter)
    assert told(kept) == vector[3:]
    assert kept.to_bytes() == KEPT_NOW[vector.name]
    assert Summary.from_bytes(KEPT_NOW[vector.name]) == kept
    assert not is_of_before(KEPT_NOW[vector.name])


@each_letter
def test_a_summary_becomes_one_of_today_and_loses_nothing(vector: Vector) -> None:
    renewed = Summary.from_bytes(vector.summary)
    today = Summary.from_bytes(KEPT_NOW[vector.name])
    assert renewed._replace(structure=today.structure) == today  # IMAP shows a part where there is none
    assert Summary.from_bytes(renewed.to_bytes()) == renewed


@pytest.mark.parametrize(
    ("envelope", "structure"),
    [
        (b"", b""),
        (b"()", b"()"),
        (b"NIL", b"NIL"),
        (b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)", b'("text" "plain")'),
        (b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)", b"(" * 2000 + b")" * 2000),
        (b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL)", b'("a" "b" NIL NIL NIL "7bit" 1 NIL NIL NIL NIL)'),
        (b"(NIL NIL (NIL) NIL NIL NIL NIL NIL NIL NIL)", b'("a" "b" NIL NIL NIL "7bit" 1 NIL NIL NIL NIL)'),
        (b"(NIL 1 NIL NIL NIL NIL NIL NIL NIL NIL)", b'("a" "b" NIL NIL NIL "7bit" 1 NIL NIL NIL NIL)'),
        (b"(NIL {9}\r\nx NIL NIL NIL NIL NIL NIL NIL)", b'("a" "b" NIL NIL NIL "7bit" 1 NIL NIL NIL NIL)'),
        (b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)", b'("a" "b" NIL NIL NIL "7bit" "x" NIL NIL NIL NIL)'),
        (b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)", b'("text" "b" NIL NIL NIL "7bit" 1 NIL NIL NIL NIL)'),
    ],
)
def test_what_version_1_did_not_write_is_refused_as_corruption(envelope: bytes, structure: bytes) -> None:
    found = msgpack.unpackb(VECTORS[0].summary[1:])
    found[4], found[6] = envelope, structure
    with pytest.raises(Refused) as caught:
        Summary.from_bytes(b"\x01" + msgpack.packb(found))
    assert caught.value.reason is Reason.CORRUPTION
