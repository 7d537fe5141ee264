"""Reading sealed chunks back from the database, about a mebibyte at a time.

Invariants: a content is never held whole; no transaction is open while the caller works on a chunk; when a
chunk does not open, the chunks returned before it are genuine all the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from mssante.crypto import ChunkOpener, NotAuthentic
from mssante.limits import CHUNKS_AT_ONCE
from mssante.model import BlobId
from mssante.store import MailStore


async def sealed_chunks(store: MailStore, blob: BlobId, wanted: range) -> AsyncIterator[bytes]:
    """The chunks numbered `wanted`, still sealed. Ends early if one is missing. Raises Passing."""
    for first in range(wanted.start, wanted.stop, CHUNKS_AT_ONCE):
        count = min(CHUNKS_AT_ONCE, wanted.stop - first)
        found = await store.messages.chunks(blob, first, count)
        for chunk in found:
            yield chunk
        if len(found) < count:
            return


async def opened_chunks(
    store: MailStore, blob: BlobId, opener: ChunkOpener, wanted: range
) -> AsyncIterator[tuple[int, bytes]]:
    """The chunks numbered `wanted`, opened, each with its number. Raises NotAuthentic at the first one that
    is missing or does not open, Passing."""
    n = wanted.start
    async for chunk in sealed_chunks(store, blob, wanted):
        yield n, opener.open(n, chunk)
        n += 1
    if n < wanted.stop:
        raise NotAuthentic
