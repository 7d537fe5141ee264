"""Sealed content while it is being received, before its message is kept.

Invariants: a blob has a row in the table `blob` from its first chunk until its message is kept or given up;
only a blob with such a row can be abandoned, so that no retry and no late abort deletes chunks of a kept
message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, bindparam, delete, func, insert, select

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
_CHUNKS_GONE = delete(tables.chunk).where(
    tables.chunk.c.blob_id.in_(
        select(tables.blob.c.blob_id).where(tables.blob.c.blob_id.in_(bindparam("blobs", expanding=True)))
    )
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


def abandon(connection: Connection, blobs: Iterable[BlobId]) -> None:
    """Deletes what was received of messages that will not be kept."""
    gone = list(blobs)
    if gone:
        connection.execute(_CHUNKS_GONE, {"blobs": gone})
        finish(connection, gone)


def finish(connection: Connection, blobs: Iterable[BlobId]) -> None:
    """Notes that these blobs belong to kept messages from now on."""
    connection.execute(_END, {"blobs": list(blobs)})


def incomplete(connection: Connection, early: Mapping[BlobId, int]) -> set[BlobId]:
    """Those of `early` whose number of chunks is not what it says: they were swept, or never written."""
    if not early:
        return set()
    there = {row[0]: row[1] for row in connection.execute(_THERE, {"blobs": list(early)})}
    return {blob for blob, count in early.items() if there.get(blob) != count}
