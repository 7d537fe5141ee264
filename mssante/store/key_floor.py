"""The mark of how far the key store has come, kept in the mail database because the key store cannot keep it.

The broker makes it and judges it (keys.broker); here it is two values in one row.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, insert, select, update

from mssante.database import Conflict, Database
from mssante.store import tables

_f = tables.key_floor.c
_READ = select(_f.counter, _f.mac)
_MOVE = update(tables.key_floor).values(counter=bindparam("new_counter"), mac=bindparam("new_mac"))
_NEW = insert(tables.key_floor)


class KeyFloorDoor:
    """Over the mail database, which is open before the store starts: the broker reads the mark at its own
    start."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> tuple[object, object] | None:
        """The counter and its MAC, as they lie there; None where none was ever kept. Raises Passing."""
        row = await self._database.read(lambda connection: connection.execute(_READ).first())
        return None if row is None else (row.counter, row.mac)

    async def keep(self, counter: int, mac: bytes) -> None:
        """Keeps a mark in place of the one before. Raises Passing."""

        def job(connection: Connection) -> None:
            if not connection.execute(_MOVE, {"new_counter": counter, "new_mac": mac}).rowcount:
                connection.execute(_NEW, {"id": 1, "counter": counter, "mac": mac})

        try:
            await self._database.write(job)
        except Conflict:  # another host kept the first one between our UPDATE and our INSERT
            await self._database.write(job)
