"""Which letters came before, so that a peer's retry is not kept twice.

A peer that never saw our 250 sends the letter again. Each letter that was taken in has a key here for each
mailbox (delivery.reception makes it), with the id of the letter that the mailbox keeps. A key is believed for
QUEUE_DAYS_MAX, the time for which a peer tries again, and, where the acceptance says so (`comes_again`), only
while that letter is still in the mailbox: in any folder, even marked \\Deleted, but not expunged.

Invariants: each mailbox has keys of its own, because a peer may try again for some of the recipients only;
keys are read and written while the mailbox is locked, so two retries at once are one letter; a letter that
comes for the first time costs one look at the keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, insert, select

from mssante import limits
from mssante.model import MessageId
from mssante.store import tables
from mssante.store.records import SECONDS_PER_DAY, Acceptance, Deposit
from mssante.store.statements import Among, Bulk

_d, _m = tables.dedup.c, tables.message.c
_KNOWN = Among(
    select(_d.key, _d.day, _d.message_id, _m.number)
    .select_from(tables.dedup.outerjoin(tables.message, _m.id == _d.message_id))
    .where(_d.key.in_(bindparam("keys", expanding=True))),
    "keys",
)
_REMEMBER = Bulk(insert(tables.dedup), "key", "day", "message_id")
_OLD = select(_d.key).where(_d.day < bindparam("before")).limit(bindparam("most"))
_FORGET = delete(tables.dedup).where(_d.key.in_(bindparam("keys", expanding=True)))


def key_of(acceptance: Acceptance, deposit: Deposit) -> bytes | None:
    """The key under which this mailbox remembers the letter; None if it does not."""
    if acceptance.dedup_key is None:
        return None
    return hashlib.sha256(acceptance.dedup_key + deposit.mailbox).digest()


def known(
    connection: Connection, every: Sequence[tuple[Acceptance, Deposit]], now: int
) -> dict[bytes, MessageId | None]:
    """The keys that make a letter a retry, with the id of the letter kept (None: an earlier version did not
    note it). Keys that are believed no more are forgotten, so that their letters can be taken in."""
    comes_again = {key: each.comes_again for each, deposit in every if (key := key_of(each, deposit))}
    if not comes_again:
        return {}
    believed: dict[bytes, MessageId | None] = {}
    past = []
    for key, day, message, number in _KNOWN.run(connection, list(comes_again)):
        if day < _first_day(now) or (number is None and comes_again[key]):
            past.append(key)
        else:
            believed[key] = message
    if past:
        forget(connection, past)
    return believed


def remember(connection: Connection, letters: Sequence[tuple[bytes, MessageId]], now: int) -> None:
    """Notes letters taken in, by key."""
    day = now // SECONDS_PER_DAY
    _REMEMBER.run(connection, [(key, day, message) for key, message in letters])


def old(connection: Connection, now: int) -> Sequence[bytes]:
    """At most DEDUP_SWEPT_AT_ONCE keys that are too old."""
    asked = {"before": _first_day(now), "most": limits.DEDUP_SWEPT_AT_ONCE}
    return connection.execute(_OLD, asked).scalars().all()


def forget(connection: Connection, keys: Sequence[bytes]) -> int:
    """Deletes these keys and returns how many it deleted."""
    return connection.execute(_FORGET, {"keys": keys}).rowcount


def _first_day(now: int) -> int:
    """The day of the oldest keys that are believed. Only the day of a letter is in the database, so a key
    lasts for QUEUE_DAYS_MAX at least, and for less than a day more."""
    return now // SECONDS_PER_DAY - limits.QUEUE_DAYS_MAX
