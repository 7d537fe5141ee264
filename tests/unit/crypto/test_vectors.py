"""What was sealed when the format was frozen opens today, and derives the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mssante.crypto import (
    AuditSecretKey,
    ChunkOpener,
    Dek,
    EnvelopeForm,
    PublicKey,
    Purpose,
    SealedKey,
    SealedLineKey,
    Suite,
)
from mssante.crypto.envelope import SecretKey, WrappingKey, context
from mssante.crypto.keys import Cipher, derive, mac
from mssante.crypto.padding import padded_content
from mssante.keys.epochs import ClosedEpoch, OpenEpoch, open_epoch
from mssante.keys.root_key import RootKey
from mssante.limits import CHUNK_OCTETS
from mssante.mime.summary import Summary
from mssante.model import BlobId, MailboxId, MessageId
from tests.vectors.make import filler

VECTORS = Path(__file__).parents[2] / "vectors"
V: dict[str, Any] = json.loads((VECTORS / "sealing-v1.json").read_text())
LISTING: dict[str, Any] = json.loads((VECTORS / "listing-v1.json").read_text())
PADDED: dict[str, Any] = json.loads((VECTORS / "padding-v1.json").read_text())
MAILBOX = MailboxId(bytes.fromhex(V["mailbox"]))
MESSAGE = MessageId(bytes.fromhex(V["message"]))
BLOB = BlobId(bytes.fromhex(V["blob"]))
DEK = bytes.fromhex(V["dek"])


def key_of(row: dict[str, Any]) -> SealedKey:
    return SealedKey(
        row["epoch"], Suite(row["suite"]), EnvelopeForm(row["form"]), bytes.fromhex(row["ciphertext"])
    )


@pytest.mark.parametrize("pair", V["sealed"], ids=lambda pair: f"suite {pair['sealed']['suite']}")
def test_a_frozen_sealed_dek_opens(pair: dict[str, Any]) -> None:
    key = key_of(pair["sealed"])
    secret = SecretKey(
        mailbox=MAILBOX, epoch=key.epoch, suite=key.suite, secret=bytes.fromhex(pair["secret"])
    )
    assert secret.open_dek(MESSAGE, BLOB, key).key == DEK


def test_a_frozen_wrapped_dek_opens() -> None:
    row = V["wrapped"]
    wrapping = WrappingKey(bytes.fromhex(row["key"]), mailbox=MAILBOX, epoch=row["epoch"])
    assert wrapping.unwrap_dek(MESSAGE, BLOB, key_of(row)).key == DEK


@pytest.mark.parametrize(
    "purpose", Purpose
)  # the file has one more, "structure", that nothing was sealed for
def test_frozen_metadata_opens(purpose: Purpose) -> None:
    sealed = bytes.fromhex(V["metadata"][purpose])
    assert Dek(DEK).open(purpose, MESSAGE, sealed) == f"content of {purpose}".encode()


@pytest.mark.parametrize("row", V["streams"], ids=lambda row: f"{row['content_octets']} octets")
def test_a_frozen_content_opens(row: dict[str, Any]) -> None:
    opener = ChunkOpener(Dek(bytes.fromhex(row["dek"])), BLOB, content_octets=row["content_octets"])
    chunks = [bytes.fromhex(chunk) for chunk in row["chunks"]]
    assert opener.count == len(chunks)
    assert b"".join(opener.open(n, c) for n, c in enumerate(chunks)) == filler(row["content_octets"])


def test_derivation_and_cipher_are_what_they_were() -> None:
    root = bytes.fromhex(V["epoch"]["root"])
    assert {label: derive(root, label).hex() for label in V["derived"]} == V["derived"]
    assert mac(root, b"mssante").hex() == V["mac"]
    aead = V["aead"]
    cipher = Cipher(bytes.fromhex(aead["key"]))
    assert cipher.unwrap(bytes.fromhex(aead["wrapped"]), bytes.fromhex(aead["aad"])) == b"plaintext"


def test_a_frozen_epoch_opens_with_its_root_key() -> None:
    row = V["epoch"]
    public = PublicKey(MAILBOX, row["epoch"], Suite(row["suite"]), bytes.fromhex(row["public"]))
    closed = ClosedEpoch(
        public,
        row["rk_id"],
        bytes.fromhex(row["wrapped_mek"]),
        bytes.fromhex(row["wrapped_kem_secret"]),
    )
    opened = open_epoch(RootKey(row["rk_id"], bytes.fromhex(row["root"])), closed)
    assert opened.secret.open_dek(MESSAGE, BLOB, key_of(row["sealed"])).key == DEK
    assert opened.wrapping.unwrap_dek(MESSAGE, BLOB, key_of(row["wrapped"])).key == DEK
    assert opened.open_name("folder", bytes.fromhex(row["name"])) == "Dossier Éloïse"
    assert opened.name_tag("folder", "Dossier Éloïse").hex() == row["name_tag"]


def test_a_frozen_listed_summary_opens_with_its_root_key() -> None:
    row = {name: bytes.fromhex(value) for name, value in LISTING.items() if isinstance(value, str)}
    mailbox, message, blob = MailboxId(row["mailbox"]), MessageId(row["message"]), BlobId(row["blob"])
    public = PublicKey(mailbox, LISTING["epoch"], Suite(LISTING["suite"]), row["public"])
    closed = ClosedEpoch(public, LISTING["rk_id"], row["wrapped_mek"], row["wrapped_kem_secret"])
    opened = open_epoch(RootKey(LISTING["rk_id"], row["root"]), closed)
    octets = opened.listing.open(message, blob, row["sealed"])
    assert octets == row["summary"]
    assert Summary.from_bytes(octets).listed(b"subject") == (b"s",)


@pytest.mark.parametrize("purpose", Purpose)
def test_frozen_padded_metadata_opens(purpose: Purpose) -> None:
    sealed, message = bytes.fromhex(PADDED["metadata"][purpose]), MessageId(bytes.fromhex(PADDED["message"]))
    assert len(sealed) == 64 + 28
    opened = Dek(bytes.fromhex(PADDED["dek"])).open(purpose, message, sealed)
    assert opened == f"content of {purpose}".encode()


@pytest.mark.parametrize("row", PADDED["streams"], ids=lambda row: f"{row['content_octets']} octets")
def test_the_end_of_a_frozen_padded_content_opens(row: dict[str, Any]) -> None:
    blob, octets = BlobId(bytes.fromhex(PADDED["blob"])), row["content_octets"]
    opener = ChunkOpener(Dek(bytes.fromhex(row["dek"])), blob, content_octets=octets)
    ending = opener.open(row["n"], bytes.fromhex(row["ending"]))
    assert ending == filler(octets)[row["n"] * CHUNK_OCTETS :]
    assert sum(length - 16 for length in row["lengths"]) == padded_content(octets)


def test_frozen_padded_names_segments_and_summaries_open() -> None:
    row = {name: bytes.fromhex(value) for name, value in PADDED.items() if isinstance(value, str)}
    key = PublicKey(MailboxId(row["mailbox"]), 7, Suite.MLKEM768_X25519, b"")
    epoch = OpenEpoch(key, row["mek"], b"")
    assert epoch.open_name("folder", row["name"]) == "Dossier Éloïse"
    assert epoch.open_segment(77, row["segment"]) == b"words"
    summary = epoch.listing.open(MessageId(row["message"]), BlobId(row["blob"]), row["summary"])
    assert summary == b"summary"


def test_frozen_lines_of_a_journal_open() -> None:
    id_, suite, sealed = PADDED["line_key"]
    audit = AuditSecretKey(bytes.fromhex(PADDED["audit_seed"]))
    key, mailbox = audit.open(SealedLineKey(id_, suite, bytes.fromhex(sealed))), PADDED["mailbox"]
    for name in ("line", "line_of_before"):
        line = key.open(MailboxId(bytes.fromhex(mailbox)), 3, bytes.fromhex(PADDED[name]))
        assert line == tuple(PADDED["text"])


def test_the_context_is_laid_out_as_written() -> None:
    # As docs/findings.md has it under cryptography, byte for byte.
    made = context("dek", suite=2, mailbox=MAILBOX, epoch=258, message=MESSAGE, blob=BLOB)
    assert made == b"mssop/v1\0\x03dek\0\x02" + MAILBOX + b"\0\0\1\2" + MESSAGE + BLOB
