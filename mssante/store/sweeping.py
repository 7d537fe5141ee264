"""Deletes what has become useless with time: blobs nobody finished, and old dedup keys.

Invariants: only blobs that belong to no message yet are swept, and only when they are older than
ORPHAN_SECONDS. An SMTP session never lasts that long (SESSION_SECONDS_MAX). A slow IMAP APPEND may: its
reception then finds chunks missing and answers Passing, so that the client tries again and nothing is kept by
halves.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, select

from mssante.limits import BLOBS_SWEPT_AT_ONCE, DEDUP_DAYS, ORPHAN_SECONDS
from mssante.store import tables
from mssante.store.blobs import abandon
from mssante.store.records import SECONDS_PER_DAY

_b = tables.blob.c
_OLD_BLOBS = (
    select(_b.blob_id)
    .where(_b.started_at <= bindparam("before"))
    .order_by(_b.started_at)
    .limit(bindparam("most"))
)
_OLD_KEYS = delete(tables.dedup).where(tables.dedup.c.day < bindparam("before"))


def sweep_blobs(connection: Connection, now: int) -> int:
    """Deletes at most BLOBS_SWEPT_AT_ONCE abandoned blobs and returns how many it deleted."""
    old = list(
        connection.execute(
            _OLD_BLOBS, {"before": now - ORPHAN_SECONDS, "most": BLOBS_SWEPT_AT_ONCE}
        ).scalars()
    )
    if old:
        abandon(connection, old)
    return len(old)


def sweep_dedup(connection: Connection, now: int) -> int:
    """Deletes the dedup keys that are older than DEDUP_DAYS and returns how many it deleted."""
    return connection.execute(_OLD_KEYS, {"before": now // SECONDS_PER_DAY - DEDUP_DAYS}).rowcount
