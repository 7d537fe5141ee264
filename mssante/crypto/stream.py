"""Sealing a content as chunks of 64 KiB that can be opened one by one (the STREAM construction, as in age).

A letter may be 35 MiB, and neither end should hold it whole or read all of it to show one part. So each chunk
is sealed by itself. The nonce holds the chunk's number and whether it is the last, so that nobody can swap
chunks, leave one out or cut the end off without being noticed.

Invariants: the key is derived from the content's own DEK, so a counter is a safe nonce; a chunk opens only at
its place, in its blob, with the right end mark and length; each plaintext chunk is CHUNK_OCTETS long, except
the last, which is empty only when the whole content is empty.
Format: nonce = 7 zero bytes ‖ counter (4, big-endian) ‖ last (1); AAD = "mssop/v1/body" ‖ blob id.
"""

from __future__ import annotations

from mssante.crypto.dek import Dek
from mssante.crypto.keys import LABEL_PREFIX, TAG_OCTETS, Cipher, NotAuthentic
from mssante.limits import CHUNK_OCTETS
from mssante.model import BlobId

_LABEL = "body"
_CHUNKS_MAX = 1 << 32


def chunk_count(content_octets: int) -> int:
    """How many chunks a content has. An empty content has one."""
    return max(1, -(-content_octets // CHUNK_OCTETS))


def chunk_octets(n: int, content_octets: int) -> int:
    """The plaintext length of chunk `n`."""
    return min(CHUNK_OCTETS, content_octets - n * CHUNK_OCTETS)


def sealed_bytes(content_octets: int) -> int:
    """The length of all sealed chunks together."""
    return content_octets + TAG_OCTETS * chunk_count(content_octets)


def chunks_covering(offset: int, length: int, content_octets: int) -> range:
    """The numbers of the chunks that hold `length` octets from `offset` on, as far as the content goes."""
    end = min(offset + length, content_octets)
    if offset >= end:
        return range(0)
    return range(offset // CHUNK_OCTETS, (end - 1) // CHUNK_OCTETS + 1)


def _nonce(n: int, *, last: bool) -> bytes:
    if n >= _CHUNKS_MAX:
        raise OverflowError("a content has at most 2^32 chunks")
    return b"\0" * 7 + n.to_bytes(4, "big") + (b"\1" if last else b"\0")


class ChunkSealer:
    """Seals one content while it arrives, and holds less than two chunks of it. A DEK must never be given to
    two sealers, because they would use the same nonces."""

    __slots__ = ("_aad", "_cipher", "_finished", "_held", "_n")

    def __init__(self, dek: Dek, blob: BlobId) -> None:
        self._cipher = Cipher(dek.derive(_LABEL))
        self._aad = LABEL_PREFIX + _LABEL.encode() + blob
        self._held = bytearray()
        self._n = 0
        self._finished = False

    @property
    def content_octets(self) -> int:
        """Octets fed so far."""
        return self._n * CHUNK_OCTETS + len(self._held)

    def feed(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """Takes more octets and returns the chunks that are complete and not the last; often there are
        none."""
        assert not self._finished
        self._held += data
        count = (len(self._held) - 1) // CHUNK_OCTETS if self._held else 0
        if not count:
            return []
        with memoryview(self._held) as view:
            sealed = [
                self._seal(self._n + i, view[i * CHUNK_OCTETS : (i + 1) * CHUNK_OCTETS], last=False)
                for i in range(count)
            ]
        del self._held[: count * CHUNK_OCTETS]
        self._n += count
        return sealed

    def finish(self) -> bytes:
        """Returns the last chunk. Nothing can be fed after that."""
        assert not self._finished
        self._finished = True
        return self._seal(self._n, self._held, last=True)

    def _seal(self, n: int, plaintext: bytearray | memoryview, *, last: bool) -> bytes:
        return self._cipher.encrypt(_nonce(n, last=last), plaintext, self._aad)


class ChunkOpener:
    """Opens the chunks of one content, in any order. `content_octets` must come from authenticated metadata:
    it says where the content ends, so that one cut short is noticed without reading its last chunk."""

    __slots__ = ("_aad", "_cipher", "content_octets", "count")

    def __init__(self, dek: Dek, blob: BlobId, *, content_octets: int) -> None:
        self._cipher = Cipher(dek.derive(_LABEL))
        self._aad = LABEL_PREFIX + _LABEL.encode() + blob
        self.content_octets = content_octets
        self.count = chunk_count(content_octets)

    def open(self, n: int, sealed: bytes) -> bytes:
        """The plaintext of chunk `n`. Raises NotAuthentic."""
        if not 0 <= n < self.count:
            raise NotAuthentic
        plaintext = self._cipher.decrypt(_nonce(n, last=n == self.count - 1), sealed, self._aad)
        if len(plaintext) != chunk_octets(n, self.content_octets):
            raise NotAuthentic
        return plaintext
