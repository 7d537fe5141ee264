"""Ends leases of the queue before their time, because their holder is gone.

Invariants: the lease of a process that holds its lock is never ended by another one before its time; a key
that is looked at cannot come back before the transaction that looks has ended.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, and_, bindparam, func, select, update

from mssante.store import tables
from mssante.store.records import RecipientId, RecipientState

_q, _m = tables.queue_recipient.c, tables.message.c
IN_FLIGHT = _q.state == RecipientState.IN_FLIGHT.value
_RELEASE = (
    update(tables.queue_recipient)
    .where(IN_FLIGHT)
    .values(state=RecipientState.PENDING.value, leased_until=None, leased_by=None)
)
_RELEASE_HELD = _RELEASE.where(_q.leased_by.in_(bindparam("holders", expanding=True)))
_RELEASE_ONE = _RELEASE.where(_q.id == bindparam("recipient"), _q.leased_by == bindparam("holder"))
_HELD = select(_q.id).where(IN_FLIGHT, _q.leased_by == bindparam("holder"))
_OTHERS = select(_q.leased_by).distinct().where(and_(IN_FLIGHT, _q.leased_by != bindparam("mine")))


def release_all(connection: Connection) -> None:
    """Ends all leases. For the start of the only process, when nobody can be at work on a recipient."""
    connection.execute(_RELEASE)


def release_forgotten(connection: Connection, *, mine: int, kept: Collection[RecipientId]) -> int:
    """Ends the leases of this process but for those of `kept`, which it has in its hands. Returns how many
    they were."""
    held = set(connection.execute(_HELD, {"holder": mine}).scalars())
    forgotten = [{"recipient": one, "holder": mine} for one in sorted(held.difference(kept))]
    if forgotten:
        connection.execute(_RELEASE_ONE, forgotten)
    return len(forgotten)


def missing(connection: Connection, *, mine: int) -> list[int]:
    """The keys of other processes that have leases but hold their lock no more."""
    others = connection.execute(_OTHERS, {"mine": mine}).scalars().all()
    return [key for key in others if _is_missing(connection, key)]


def release_of(connection: Connection, holders: Collection[int]) -> int:
    """Ends the leases of those `holders` that are still missing. Returns how many they were."""
    still = [key for key in holders if _is_missing(connection, key)]
    return connection.execute(_RELEASE_HELD, {"holders": still}).rowcount if still else 0


def _is_missing(connection: Connection, key: int) -> bool:
    if connection.dialect.name != "postgresql":
        return True  # there is no other process: who leased it was here before us
    # We get the lock only if its holder does not have it. It is ours until the end of this transaction.
    return bool(connection.execute(select(func.pg_try_advisory_xact_lock(key))).scalar_one())
