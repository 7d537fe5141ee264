"""Sealing a content as chunks of 64 KiB that can be opened one by one (the STREAM construction, as in age).

A letter may be 35 MiB, and neither end should hold it whole or read all of it to show one part. So each chunk
is sealed by itself. The nonce holds the chunk's number and whether the content ends in it, so that nobody can
swap chunks, leave one out or cut the end off without being noticed. Behind the content come zeros, up to the
next length of its class (`padding`): the stored octets tell the class only.

Invariants: the key is derived from the content's own DEK, so a counter is a safe nonce; a chunk opens only at
its place, in its blob, with the right end mark and length; each plaintext chunk is CHUNK_OCTETS long, except
the last. Chunks that hold nothing but zeros are never read, so whether they are there is not noticed here.
Contents that were sealed before there was padding open as they always did.
Format: nonce = 7 zero bytes ‖ counter (4, big-endian) ‖ mark (1); AAD = "mssop/v1/body" ‖ blob id, and behind
it the content's length (8, big-endian) in the one chunk with the mark ENDS_INSIDE.
"""

from __future__ import annotations

from mssante.crypto.dek import Dek
from mssante.crypto.keys import LABEL_PREFIX, TAG_OCTETS, Cipher, NotAuthentic
from mssante.crypto.padding import padded_content
from mssante.limits import CHUNK_OCTETS
from mssante.model import BlobId

_LABEL = "body"
_CHUNKS_MAX = 1 << 32
# What a chunk is: all content and not its end; content to its last octet; content and then zeros; all zeros.
_GOES_ON, _ENDS_WITH_IT, _ENDS_INSIDE, _ZEROS = b"\0", b"\1", b"\2", b"\3"


def chunk_count(content_octets: int) -> int:
    """How many chunks a content has. An empty content has one."""
    return max(1, -(-content_octets // CHUNK_OCTETS))


def chunk_octets(n: int, content_octets: int) -> int:
    """The plaintext length of chunk `n`."""
    return min(CHUNK_OCTETS, content_octets - n * CHUNK_OCTETS)


def sealed_bytes(content_octets: int) -> int:
    """The length of all sealed chunks together, with the padding."""
    padded = padded_content(content_octets)
    return padded + TAG_OCTETS * chunk_count(padded)


def chunks_covering(offset: int, length: int, content_octets: int) -> range:
    """The numbers of the chunks that hold `length` octets from `offset` on, as far as the content goes."""
    end = min(offset + length, content_octets)
    if offset >= end:
        return range(0)
    return range(offset // CHUNK_OCTETS, (end - 1) // CHUNK_OCTETS + 1)


def _nonce(n: int, mark: bytes) -> bytes:
    if n >= _CHUNKS_MAX:
        raise OverflowError("a content has at most 2^32 chunks")
    return b"\0" * 7 + n.to_bytes(4, "big") + mark


def _length(content_octets: int) -> bytes:
    return content_octets.to_bytes(8, "big")


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
                self._seal(self._n + i, view[i * CHUNK_OCTETS : (i + 1) * CHUNK_OCTETS], _GOES_ON)
                for i in range(count)
            ]
        del self._held[: count * CHUNK_OCTETS]
        self._n += count
        return sealed

    def finish(self) -> list[bytes]:
        """Returns the chunk that the content ends in, and the padding behind it: for a large content some
        more chunks, at most 6 % of it. Nothing can be fed after that."""
        assert not self._finished
        self._finished = True
        octets = self.content_octets
        padded = padded_content(octets)
        here = min(CHUNK_OCTETS, padded - self._n * CHUNK_OCTETS)
        if here == len(self._held):
            ending = self._seal(self._n, self._held, _ENDS_WITH_IT)
        else:
            filled = bytes(self._held).ljust(here, b"\0")
            ending = self._seal(self._n, filled, _ENDS_INSIDE, _length(octets))
        behind = range(self._n + 1, chunk_count(padded))
        return [ending, *(self._seal(n, bytes(chunk_octets(n, padded)), _ZEROS) for n in behind)]

    def _seal(
        self, n: int, plaintext: bytes | bytearray | memoryview, mark: bytes, length: bytes = b""
    ) -> bytes:
        return self._cipher.encrypt(_nonce(n, mark), plaintext, self._aad + length)


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
        octets = chunk_octets(n, self.content_octets)
        if n < self.count - 1:
            plaintext = self._cipher.decrypt(_nonce(n, _GOES_ON), sealed, self._aad)
        elif len(sealed) == octets + TAG_OCTETS:
            plaintext = self._cipher.decrypt(_nonce(n, _ENDS_WITH_IT), sealed, self._aad)
        else:
            aad = self._aad + _length(self.content_octets)
            return self._cipher.decrypt(_nonce(n, _ENDS_INSIDE), sealed, aad)[:octets]
        if len(plaintext) != octets:
            raise NotAuthentic
        return plaintext
