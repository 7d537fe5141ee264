"""What time makes useless: blobs nobody finished, dedup keys nobody will retry.

Invariants: only blobs without a message are swept, and no reception lasts as long as they are left
(limits.SESSION_SECONDS_MAX is well under ORPHAN_SECONDS).
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
    """Takes away at most BLOBS_SWEPT_AT_ONCE abandoned blobs; how many."""
    old = list(
        connection.execute(
            _OLD_BLOBS, {"before": now - ORPHAN_SECONDS, "most": BLOBS_SWEPT_AT_ONCE}
        ).scalars()
    )
    if old:
        abandon(connection, old)
    return len(old)


def sweep_dedup(connection: Connection, now: int) -> int:
    """Forgets dedup keys older than DEDUP_DAYS; how many."""
    return connection.execute(_OLD_KEYS, {"before": now // SECONDS_PER_DAY - DEDUP_DAYS}).rowcount
