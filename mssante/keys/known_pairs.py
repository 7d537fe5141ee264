"""From which addresses a person has signed in before, so that guesses from elsewhere do not hold them up.

It is kept in the key store, because it must outlive a restart and be known to every process of one operator.
Invariants: the table tells neither people nor addresses to who has no root key, only keyed hashes and days;
a row that was not written with our key counts for nothing, and a row taken away makes a person a stranger,
who waits longer and is let in; a person's rows are bounded and age, and never push out another person's;
trouble in writing a row costs nobody a sign-in.
"""

from __future__ import annotations

import hmac
import struct
from collections import OrderedDict

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from mssante.clock import Clock
from mssante.crypto.keys import ID_OCTETS, derive, mac
from mssante.database import Conflict, Database
from mssante.keys import tables
from mssante.keys.tables import day_number
from mssante.limits import KNOWN_PAIR_DAYS_MAX, KNOWN_PAIRS_PER_PERSON_MAX, KNOWN_PAIRS_REMEMBERED_MAX
from mssante.model import PersonId
from mssante.net.places import prefix_of
from mssante.reasons import Passing

_k = tables.known_pair.c
_OF_PAIR = (_k.person_mark == bindparam("of_person"), _k.place_mark == bindparam("of_place"))
_ONE = select(_k.day, _k.proof).where(*_OF_PAIR)
_SEEN_AGAIN = (
    update(tables.known_pair).where(*_OF_PAIR).values(day=bindparam("new_day"), proof=bindparam("new_proof"))
)
_NEW = insert(tables.known_pair)
_OLD = delete(tables.known_pair).where(_k.day <= bindparam("last_day"))
_TOO_MANY = (
    select(_k.place_mark)
    .where(_k.person_mark == bindparam("of_person"))
    .order_by(_k.day.desc(), _k.place_mark)
    .offset(KNOWN_PAIRS_PER_PERSON_MAX)
)
_FORGOTTEN = delete(tables.known_pair).where(*_OF_PAIR)
_Pair = tuple[bytes, bytes]


class KnownPairs:
    """The pairs of one broker. `key` is a service key that all processes of the operator share."""

    def __init__(self, database: Database, *, key: bytes, clock: Clock) -> None:
        self._database = database
        self._marking, self._proving = derive(key, "known-pair/mark"), derive(key, "known-pair/proof")
        self._clock = clock
        self._remembered: OrderedDict[_Pair, int] = OrderedDict()  # pair -> the day that the database has

    async def has(self, person: PersonId, remote: str) -> bool:
        """Whether this person signed in from this address in the last KNOWN_PAIR_DAYS_MAX days. It costs one
        read of one row for a pair that is not in memory. Raises Passing."""
        pair = self._pair(person, remote)
        day = self._remembered.get(pair)
        if day is None:
            asked = {"of_person": pair[0], "of_place": pair[1]}
            row = await self._database.read(lambda connection: connection.execute(_ONE, asked).first())
            if row is None or not hmac.compare_digest(bytes(row.proof), self._proof(pair, row.day)):
                return False
            day = int(row.day)
            self._remember(pair, day)
        return self._today - day < KNOWN_PAIR_DAYS_MAX

    async def add(self, person: PersonId, remote: str) -> None:
        """Keeps that the person's password was right from there today. It is written once a day, and left
        out where the database is busy: the next sign-in writes it."""
        pair, today = self._pair(person, remote), self._today
        if self._remembered.get(pair, -1) >= today:
            return
        proof = self._proof(pair, today)
        try:
            await self._database.write_at_leisure(lambda connection: _write(connection, pair, today, proof))
        except (Passing, Conflict):  # Conflict: another process has just written it
            return
        self._remember(pair, today)

    @property
    def _today(self) -> int:
        return day_number(self._clock.now())

    def _pair(self, person: PersonId, remote: str) -> _Pair:
        name = person.encode("utf-8", "surrogateescape")
        both = struct.pack(">I", len(name)) + name + prefix_of(remote).encode("utf-8", "surrogateescape")
        whose, where = mac(self._marking, b"person" + name), mac(self._marking, b"place" + both)
        return whose[:ID_OCTETS], where[:ID_OCTETS]

    def _proof(self, pair: _Pair, day: int) -> bytes:
        return mac(self._proving, b"".join(pair) + struct.pack(">q", day))

    def _remember(self, pair: _Pair, day: int) -> None:
        self._remembered[pair] = day
        self._remembered.move_to_end(pair)
        if len(self._remembered) > KNOWN_PAIRS_REMEMBERED_MAX:
            self._remembered.popitem(last=False)


def _write(connection: Connection, pair: _Pair, day: int, proof: bytes) -> None:
    of_pair = {"of_person": pair[0], "of_place": pair[1]}
    if connection.execute(_SEEN_AGAIN, of_pair | {"new_day": day, "new_proof": proof}).rowcount:
        return
    row = {"person_mark": pair[0], "place_mark": pair[1], "day": day, "proof": proof}
    connection.execute(_NEW, row)
    connection.execute(_OLD, {"last_day": day - KNOWN_PAIR_DAYS_MAX})
    for (place,) in connection.execute(_TOO_MANY, {"of_person": pair[0]}).all():
        connection.execute(_FORGOTTEN, of_pair | {"of_place": bytes(place)})
