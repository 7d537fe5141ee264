"""What the broker signs of a mailbox: read in one way only, and frozen."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from mssante.crypto import MailboxIdentity, MailboxStatement, NotAuthentic, PublicKey, SignedStatement, Suite
from mssante.crypto.statement import StatementSigner, StatementVerifier
from mssante.model import Address, MailboxId, MailboxKind

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "statements-v1.json").read_text(encoding="utf-8")
)
A, B = MailboxId(b"A" * 16), MailboxId(b"B" * 16)
SIGNER = StatementSigner(bytes(32))


def statement(
    *,
    address: str | None = "marie@a.test",
    mailbox: MailboxId = A,
    kind: MailboxKind = MailboxKind.PER,
    epoch: int = 1,
    suite: Suite = Suite.MLKEM768_X25519,
    public: bytes = b"p" * 1216,
) -> MailboxStatement:
    named = Address.parse(address) if address is not None else None
    identity = MailboxIdentity(mailbox=mailbox, address=named, kind=kind)
    return MailboxStatement(identity, PublicKey(mailbox, epoch, suite, public))


OTHERS = [
    statement(address="Marie@a.test"),
    statement(address="paul@a.test"),
    statement(mailbox=B),
    statement(kind=MailboxKind.ORG),
    statement(address=None, kind=MailboxKind.QUEUE),
    statement(epoch=2),
    statement(epoch=2**32 - 1),
    statement(suite=Suite.X25519),
    statement(public=b"p" * 1215 + b"q"),
    statement(public=b"p" * 1217),
    statement(address="marie@a.testa.test"),
]


@pytest.mark.parametrize("row", VECTORS["statements"], ids=lambda row: row["address"] or "outbox")
def test_a_frozen_statement_is_signed_and_verified_as_it_was(row: dict[str, Any]) -> None:
    signer = StatementSigner(bytes.fromhex(VECTORS["seed"]))
    assert signer.public.hex() == VECTORS["public"]
    said = statement(
        address=row["address"],
        mailbox=MailboxId(bytes.fromhex(row["mailbox"])),
        kind=MailboxKind(row["kind"]),
        epoch=row["epoch"],
        suite=Suite(row["suite"]),
        public=bytes.fromhex(row["key"]),
    )
    assert said.octets().hex() == row["octets"]
    assert signer.sign(said).signature.hex() == row["signature"]
    StatementVerifier(signer.public).verify(SignedStatement(said, bytes.fromhex(row["signature"])))


def test_no_two_statements_give_the_same_octets() -> None:
    every = [statement(), *OTHERS]
    assert len({each.octets() for each in every}) == len(every)
    for one, other in itertools.permutations(every, 2):
        assert not other.octets().startswith(one.octets())


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_a_signature_is_good_for_its_own_statement_alone(other: MailboxStatement) -> None:
    verifier, signed = StatementVerifier(SIGNER.public), SIGNER.sign(statement())
    verifier.verify(signed)
    verifier.verify(signed)
    with pytest.raises(NotAuthentic):
        verifier.verify(dataclasses.replace(signed, statement=other))


@pytest.mark.parametrize(
    "signature", [b"", bytes(63), bytes(64), bytes(65), SIGNER.sign(OTHERS[0]).signature]
)
def test_what_is_no_signature_of_ours_raises(signature: bytes) -> None:
    verifier = StatementVerifier(SIGNER.public)
    verifier.verify(SIGNER.sign(statement()))
    with pytest.raises(NotAuthentic):
        verifier.verify(SignedStatement(statement(), signature))
    with pytest.raises(NotAuthentic):
        StatementVerifier(StatementSigner(bytes(range(32))).public).verify(SIGNER.sign(statement()))


def test_only_the_outbox_has_no_address() -> None:
    with pytest.raises(ValueError, match="address"):
        statement(address=None)
    with pytest.raises(ValueError, match="address"):
        statement(kind=MailboxKind.QUEUE)


def test_the_private_half_does_not_show() -> None:
    assert repr(SIGNER) == "StatementSigner(***)"
