"""How a message becomes what is kept of it: sealed chunks, summary and header, a DEK sealed to a mailbox.

Shared by delivery and mailbox (APPEND). Invariants: only the public half of a mailbox's key is needed; the
content passes through and is never held whole; every mailbox has a DEK of its own, also for the same
message; nothing here writes anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mssante.crypto import ChunkOpener, ChunkSealer, Dek, PublicKey, Purpose, SealedKey, seal_dek
from mssante.crypto.keys import random_id
from mssante.limits import KIB
from mssante.mime.structure import Scanner, Structure
from mssante.mime.summary import summarise
from mssante.model import BlobId, MailboxId, MessageId

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A message as one mailbox keeps it, its chunks apart. `day` counts from 1 January 1970, UTC: what the
    database may know of its date; `size_kib` is rounded up: what it may know of its size."""

    mailbox: MailboxId
    message_id: MessageId
    blob_id: BlobId
    sealed_key: SealedKey
    chunk_count: int
    summary_ct: bytes
    header_ct: bytes
    day: int
    size_kib: int


class MessageSealer:
    """Seals one message for the mailbox of `key` while it streams in: `feed` its octets, then `finish` once.

    `message_id` and `blob_id` are drawn here; `dek` never leaves memory except sealed."""

    def __init__(self, key: PublicKey) -> None:
        self.message_id = MessageId(random_id())
        self.blob_id = BlobId(random_id())
        self.dek = Dek.draw()
        self._key = key
        self._chunks = ChunkSealer(self.dek, self.blob_id)
        self._scanner = Scanner()
        self._count = 0
        self._structure: Structure | None = None
        self._summary = b""

    @property
    def structure(self) -> Structure:
        """What the message is made of; once finished."""
        assert self._structure is not None
        return self._structure

    @property
    def size(self) -> int:
        """Octets fed so far."""
        return self._chunks.content_bytes

    def feed(self, octets: bytes | bytearray | memoryview) -> list[bytes]:
        """The sealed chunks that became whole, in order; often none."""
        self._scanner.feed(octets)
        sealed = self._chunks.feed(octets)
        self._count += len(sealed)
        return sealed

    def finish(self, *, internal_date: datetime) -> tuple[Sealed, bytes]:
        """What is kept, and the last chunk. `internal_date` (RFC 3501 §2.3.3) must be aware."""
        last = self._chunks.finish()
        self._count += 1
        self._structure = self._scanner.close()
        self._summary = summarise(self._structure, internal_date=internal_date).to_bytes()
        self._day = int(internal_date.timestamp()) // _SECONDS_PER_DAY
        return self._kept(self._key, self.message_id, self.blob_id, self.dek), last

    def copy(self, key: PublicKey) -> Copy:
        """The finished message for another mailbox: other ids, another DEK."""
        message_id, blob_id, dek = MessageId(random_id()), BlobId(random_id()), Dek.draw()
        opener = ChunkOpener(self.dek, self.blob_id, content_bytes=self.structure.size)
        return Copy(self._kept(key, message_id, blob_id, dek), opener, ChunkSealer(dek, blob_id))

    def _kept(self, key: PublicKey, message_id: MessageId, blob_id: BlobId, dek: Dek) -> Sealed:
        structure = self.structure
        return Sealed(
            mailbox=key.mailbox,
            message_id=message_id,
            blob_id=blob_id,
            sealed_key=seal_dek(key, message_id, blob_id, dek),
            chunk_count=self._count,
            summary_ct=dek.seal(Purpose.META, message_id, self._summary),
            header_ct=dek.seal(Purpose.HEADER, message_id, structure.header),
            day=self._day,
            size_kib=-(-structure.size // KIB),
        )


class Copy:
    """The same content under another key: `feed` the original's sealed chunks in order, then `finish`."""

    def __init__(self, sealed: Sealed, opener: ChunkOpener, chunks: ChunkSealer) -> None:
        self.sealed = sealed
        self._opener = opener
        self._chunks = chunks
        self._n = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The chunks of the copy that became whole. Raises NotAuthentic when `chunk` is not the next one."""
        plaintext = self._opener.open(self._n, chunk)
        self._n += 1
        return self._chunks.feed(plaintext)

    def finish(self) -> bytes:
        """The last chunk of the copy."""
        assert self._n == self._opener.count
        return self._chunks.finish()
