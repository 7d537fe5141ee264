"""Made sealing-v1.json, listing-v1.json and padding-v1.json, once each. Run again only for a new format, into
a new file: the old ones are frozen, since they prove that what was sealed then opens now.
`python -m tests.vectors.make tests/vectors/new.json`, then `listing_vectors` or `padding_vectors` for others
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from mssante.crypto import (
    AuditSecretKey,
    ChunkSealer,
    Dek,
    LineForm,
    LineText,
    PublicKey,
    Purpose,
    Suite,
    seal_dek,
)
from mssante.crypto.envelope import SealedKey, WrappingKey, draw_key_pair
from mssante.crypto.keys import Cipher, derive, mac, random_id, random_key
from mssante.keys.epochs import OpenEpoch, draw_epoch, open_epoch
from mssante.keys.root_key import RootKey
from mssante.limits import CHUNK_OCTETS
from mssante.mime.structure import scan
from mssante.mime.summary import summarise
from mssante.model import BlobId, MailboxId, MessageId


def filler(length: int) -> bytes:
    return bytes(i * i % 251 for i in range(length))


def key_of(sealed: SealedKey) -> dict[str, object]:
    return {
        "epoch": sealed.epoch,
        "suite": int(sealed.suite),
        "form": sealed.form.value,
        "ciphertext": sealed.ciphertext.hex(),
    }


def vectors() -> dict[str, object]:
    mailbox, message, blob = MailboxId(random_id()), MessageId(random_id()), BlobId(random_id())
    dek, root_bytes, wrap = Dek.draw(), random_key(), random_key()
    epoch = 7
    pairs = []
    for suite in (Suite.X25519, Suite.MLKEM768_X25519):
        secret, public = draw_key_pair(suite)
        sealed = seal_dek(PublicKey(mailbox, epoch, suite, public), message, blob, dek)
        pairs.append({"secret": secret.hex(), "public": public.hex(), "sealed": key_of(sealed)})
    streams = []
    for length in (0, 1, CHUNK_OCTETS + 1):
        one = Dek.draw()
        sealer = ChunkSealer(one, blob)
        chunks = [*sealer.feed(filler(length)), *sealer.finish()]
        streams.append(
            {"dek": one.key.hex(), "content_octets": length, "chunks": [chunk.hex() for chunk in chunks]}
        )
    root = RootKey(3, root_bytes)
    closed = draw_epoch(root, mailbox, epoch)
    opened = open_epoch(root, closed)
    return {
        "mailbox": mailbox.hex(),
        "message": message.hex(),
        "blob": blob.hex(),
        "dek": dek.key.hex(),
        "sealed": pairs,
        "wrapped": {
            "key": wrap.hex(),
            **key_of(WrappingKey(wrap, mailbox=mailbox, epoch=epoch).wrap_dek(message, blob, dek)),
        },
        "metadata": {
            each.value: dek.seal(each, message, f"content of {each.value}".encode()).hex() for each in Purpose
        },
        "streams": streams,
        "derived": {
            label: derive(root_bytes, label).hex() for label in ("wrap", "chain", "index", "body", "name")
        },
        "mac": mac(root_bytes, b"mssante").hex(),
        "aead": {
            "key": wrap.hex(),
            "aad": b"aad".hex(),
            "wrapped": Cipher(wrap).wrap(b"plaintext", b"aad").hex(),
        },
        "epoch": {
            "rk_id": root.id,
            "root": root_bytes.hex(),
            "epoch": epoch,
            "suite": int(closed.public.suite),
            "public": closed.public.public.hex(),
            "wrapped_mek": closed.wrapped_mek.hex(),
            "wrapped_kem_secret": closed.wrapped_kem_secret.hex(),
            "sealed": key_of(seal_dek(closed.public, message, blob, dek)),
            "wrapped": key_of(opened.wrapping.wrap_dek(message, blob, dek)),
            "name": opened.seal_name("folder", "Dossier Éloïse").hex(),
            "name_tag": opened.name_tag("folder", "Dossier Éloïse").hex(),
        },
    }


def listing_vectors() -> dict[str, object]:
    """A summary under the listing key of an epoch, and all it takes to open it."""
    mailbox, message, blob = MailboxId(random_id()), MessageId(random_id()), BlobId(random_id())
    root_bytes, epoch = random_key(), 5
    root = RootKey(3, root_bytes)
    closed = draw_epoch(root, mailbox, epoch)
    letter = b"From: A <a@b.fr>\r\nSubject: s\r\nDate: Thu, 01 Jan 2026 10:11:12 +0130\r\n\r\ns\r\n"
    summary = summarise(scan(letter), internal_date=datetime(2026, 1, 1, 10, tzinfo=UTC)).to_bytes()
    return {
        "mailbox": mailbox.hex(),
        "message": message.hex(),
        "blob": blob.hex(),
        "rk_id": root.id,
        "root": root_bytes.hex(),
        "epoch": epoch,
        "suite": int(closed.public.suite),
        "public": closed.public.public.hex(),
        "wrapped_mek": closed.wrapped_mek.hex(),
        "wrapped_kem_secret": closed.wrapped_kem_secret.hex(),
        "summary": summary.hex(),
        "sealed": open_epoch(root, closed).listing.seal(message, blob, summary).hex(),
    }


def padding_vectors() -> dict[str, object]:
    """What is padded: metadata, contents, a summary and a name; and a line of the journal."""
    mailbox, message, blob = MailboxId(random_id()), MessageId(random_id()), BlobId(random_id())
    dek, seed, mek = Dek.draw(), random_key(), random_key()
    streams = []
    for length in (0, 1, 1000, CHUNK_OCTETS + 1000):
        one = Dek.draw()
        sealer = ChunkSealer(one, blob)
        chunks = [*sealer.feed(filler(length)), *sealer.finish()]
        at = (length - 1) // CHUNK_OCTETS if length else 0  # the chunk that the content ends in
        streams.append(
            {"dek": one.key.hex(), "content_octets": length, "n": at, "ending": chunks[at].hex()}
            | {"lengths": [len(chunk) for chunk in chunks]}
        )
    line_key, sealed_line_key = AuditSecretKey(seed).public.draw()
    epoch = OpenEpoch(PublicKey(mailbox, 7, Suite.MLKEM768_X25519, b""), mek, b"")
    text = LineText(1_767_225_599, '{"person":"dr.a"}')
    return {
        "mailbox": mailbox.hex(),
        "message": message.hex(),
        "blob": blob.hex(),
        "dek": dek.key.hex(),
        "metadata": {
            each.value: dek.seal(each, message, f"content of {each.value}".encode()).hex() for each in Purpose
        },
        "streams": streams,
        "mek": mek.hex(),
        "name": epoch.seal_name("folder", "Dossier Éloïse").hex(),
        "segment": epoch.seal_segment(77, b"words").hex(),
        "summary": epoch.listing.seal(message, blob, b"summary").hex(),
        "audit_seed": seed.hex(),
        "line_key": [sealed_line_key.id, sealed_line_key.suite, sealed_line_key.ciphertext.hex()],
        "line": line_key.seal(LineForm.SEALED, mailbox, 3, text).hex(),
        "line_of_before": line_key.seal(LineForm.SEALED_LATER, mailbox, 3, text).hex(),
        "text": list(text),
    }


if __name__ == "__main__":
    made = globals()[sys.argv[2]] if len(sys.argv) > 2 else vectors
    with Path(sys.argv[1]).open("x", encoding="ascii") as file:
        json.dump(made(), file, indent=1)
        file.write("\n")
