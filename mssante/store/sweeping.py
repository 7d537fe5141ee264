"""Deletes the blobs that nobody finished, once they are old.

Invariants: only blobs that belong to no message yet are swept, and only when they are older than
ORPHAN_SECONDS. An SMTP session never lasts that long (SESSION_SECONDS_MAX). A slow IMAP APPEND may: its
reception then finds chunks missing and answers Passing, so that the client tries again and nothing is kept by
halves.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from mssante import limits
from mssante.limits import ORPHAN_SECONDS
from mssante.model import BlobId
from mssante.store import tables

_b = tables.blob.c
_OLD_BLOBS = (
    select(_b.blob_id)
    .where(_b.started_at <= bindparam("before"))
    .order_by(_b.started_at)
    .limit(bindparam("most"))
)


def old_blobs(connection: Connection, now: int) -> list[BlobId]:
    """At most BLOBS_SWEPT_AT_ONCE abandoned blobs, to be erased."""
    asked = {"before": now - ORPHAN_SECONDS, "most": limits.BLOBS_SWEPT_AT_ONCE}
    return list(connection.execute(_OLD_BLOBS, asked).scalars())
