"""Deletes what has become useless with time: blobs nobody finished, and old dedup keys.

Invariants: only blobs that belong to no message yet are swept, and only when they are older than
ORPHAN_SECONDS. An SMTP session never lasts that long (SESSION_SECONDS_MAX). A slow IMAP APPEND may: its
reception then finds chunks missing and answers Passing, so that the client tries again and nothing is kept by
halves.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, select

from mssante import limits
from mssante.limits import DEDUP_DAYS, ORPHAN_SECONDS
from mssante.model import BlobId
from mssante.store import tables
from mssante.store.records import SECONDS_PER_DAY

_b, _d = tables.blob.c, tables.dedup.c
_OLD_BLOBS = (
    select(_b.blob_id)
    .where(_b.started_at <= bindparam("before"))
    .order_by(_b.started_at)
    .limit(bindparam("most"))
)
_OLD_KEYS = select(_d.key).where(_d.day < bindparam("before")).limit(bindparam("most"))
_FORGET_KEYS = delete(tables.dedup).where(_d.key.in_(bindparam("keys", expanding=True)))


def old_blobs(connection: Connection, now: int) -> list[BlobId]:
    """At most BLOBS_SWEPT_AT_ONCE abandoned blobs, to be erased."""
    asked = {"before": now - ORPHAN_SECONDS, "most": limits.BLOBS_SWEPT_AT_ONCE}
    return list(connection.execute(_OLD_BLOBS, asked).scalars())


def old_keys(connection: Connection, now: int) -> Sequence[bytes]:
    """At most DEDUP_SWEPT_AT_ONCE dedup keys that are older than DEDUP_DAYS."""
    asked = {"before": now // SECONDS_PER_DAY - DEDUP_DAYS, "most": limits.DEDUP_SWEPT_AT_ONCE}
    return connection.execute(_OLD_KEYS, asked).scalars().all()


def forget_keys(connection: Connection, keys: Sequence[bytes]) -> int:
    """Deletes these dedup keys and returns how many it deleted."""
    return connection.execute(_FORGET_KEYS, {"keys": keys}).rowcount
