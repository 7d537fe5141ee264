"""Sealed content while it is being received, before its message is kept, and while it is being deleted.

Invariants: a blob has a row in the table `blob` from its first chunk until its message is kept, and from the
shredding of a large message until its last chunk is deleted; only a blob with such a row can be erased, so
that no retry and no late abort deletes chunks of a kept message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from mssante import limits
from mssante.model import BlobId
from mssante.store import tables
from mssante.store.statements import insert_unless_there

_APPEND = insert(tables.chunk)
_THERE = (
    select(tables.chunk.c.blob_id, func.count())
    .where(tables.chunk.c.blob_id.in_(bindparam("blobs", expanding=True)))
    .group_by(tables.chunk.c.blob_id)
)
_END = delete(tables.blob).where(tables.blob.c.blob_id.in_(bindparam("blobs", expanding=True)))
_IS_GIVEN_UP = select(tables.blob.c.blob_id).where(tables.blob.c.blob_id == bindparam("blob"))
_SOME = (
    select(tables.chunk.c.n)
    .where(tables.chunk.c.blob_id == bindparam("blob"))
    .order_by(tables.chunk.c.n)
    .limit(bindparam("most"))
)
_SOME_GONE = delete(tables.chunk).where(
    tables.chunk.c.blob_id.in_(_IS_GIVEN_UP),
    tables.chunk.c.n.in_(_SOME),
)


def append_chunks(
    connection: Connection, blob: BlobId, first_n: int, sealed: list[bytes], started_at: int
) -> None:
    """Writes the chunks `first_n`, `first_n` + 1, … of a message that is still being received."""
    connection.execute(
        insert_unless_there(connection, tables.blob), {"blob_id": blob, "started_at": started_at}
    )
    if sealed:
        connection.execute(
            _APPEND, [{"blob_id": blob, "n": first_n + i, "ct": ct} for i, ct in enumerate(sealed)]
        )


def give_up(connection: Connection, blobs: Sequence[BlobId], now: int) -> None:
    """Notes that these blobs belong to no message any more, so that they can be erased."""
    if blobs:
        connection.execute(
            insert_unless_there(connection, tables.blob),
            [{"blob_id": blob, "started_at": now} for blob in blobs],
        )


def erase(connection: Connection, blobs: Sequence[BlobId]) -> Sequence[BlobId]:
    """Deletes what was received of messages that will not be kept, at most CHUNKS_ERASED_AT_ONCE chunks.
    Returns the blobs that are still to be erased."""
    room = limits.CHUNKS_ERASED_AT_ONCE
    for place, blob in enumerate(blobs):
        if room <= 0:
            return blobs[place:]
        gone = connection.execute(_SOME_GONE, {"blob": blob, "most": room}).rowcount
        if gone == room:
            return blobs[place:]  # there may be more of this one
        finish(connection, [blob])
        room -= max(gone, 1)
    return ()


def finish(connection: Connection, blobs: Iterable[BlobId]) -> None:
    """Notes that these blobs belong to kept messages from now on."""
    connection.execute(_END, {"blobs": list(blobs)})


def incomplete(connection: Connection, early: Mapping[BlobId, int]) -> set[BlobId]:
    """Those of `early` whose number of chunks is not what it says: they were swept, or never written."""
    if not early:
        return set()
    there = {row[0]: row[1] for row in connection.execute(_THERE, {"blobs": list(early)})}
    return {blob for blob, count in early.items() if there.get(blob) != count}
