"""A content as 64 KiB chunks that open one by one (STREAM, as age does).

Invariants: the key is made from the content's own DEK, so a counter is a safe nonce; a chunk opens
only at its place, in its blob, with its end mark and its length; a plaintext chunk is CHUNK_OCTETS
long except the last, which is empty only when the whole content is.
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
    """How many chunks a content has: at least one."""
    return max(1, -(-content_octets // CHUNK_OCTETS))


def chunk_octets(n: int, content_octets: int) -> int:
    """The plaintext length of chunk `n`."""
    return min(CHUNK_OCTETS, content_octets - n * CHUNK_OCTETS)


def sealed_bytes(content_octets: int) -> int:
    """The length of all sealed chunks together."""
    return content_octets + TAG_OCTETS * chunk_count(content_octets)


def chunks_covering(offset: int, length: int, content_octets: int) -> range:
    """The chunks that hold `length` octets from `offset`, cut at the content's end."""
    end = min(offset + length, content_octets)
    if offset >= end:
        return range(0)
    return range(offset // CHUNK_OCTETS, (end - 1) // CHUNK_OCTETS + 1)


def _nonce(n: int, *, last: bool) -> bytes:
    if n >= _CHUNKS_MAX:
        raise OverflowError("a content has at most 2^32 chunks")
    return b"\0" * 7 + n.to_bytes(4, "big") + (b"\1" if last else b"\0")


class ChunkSealer:
    """Seals one content as it arrives; holds less than two chunks of it. One sealer for one DEK, ever."""

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
        """The chunks that became whole and are not the last; often none."""
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
        """The last chunk. Nothing can be fed after it."""
        assert not self._finished
        self._finished = True
        return self._seal(self._n, self._held, last=True)

    def _seal(self, n: int, plaintext: bytearray | memoryview, *, last: bool) -> bytes:
        return self._cipher.encrypt(_nonce(n, last=last), plaintext, self._aad)


class ChunkOpener:
    """Opens the chunks of one content, in any order. `content_octets` comes from authenticated metadata:
    with it a content cut short does not open, without reading its last chunk."""

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
