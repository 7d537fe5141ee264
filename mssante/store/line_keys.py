"""The data keys that this process seals its journal lines with: a new one each day.

Invariants: a key is stored, sealed to the audit key, before the first line is sealed with it; in clear it is
in this process's memory only, and is forgotten when the next day's takes its place.
"""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection, insert, select

from mssante.crypto import AuditPublicKey, AuditSecretKey, LineKey, LineText, NotAuthentic, SealedLineKey
from mssante.database import Database
from mssante.store import tables
from mssante.store.records import SECONDS_PER_DAY, JournalEntry

_NEW = insert(tables.journal_key)
_ALL = select(tables.journal_key.c.id, tables.journal_key.c.suite, tables.journal_key.c.ct)


class LineKeys:
    """The key of today, drawn when it is first needed."""

    def __init__(self, database: Database, audit: AuditPublicKey) -> None:
        self._database = database
        self._audit = audit
        self._drawing = asyncio.Lock()
        self._key: LineKey | None = None
        self._day = 0

    async def of_day(self, now: int) -> LineKey:
        """The key for lines written at `now` (Unix seconds). Raises Passing."""
        day = now // SECONDS_PER_DAY
        if self._key is not None and self._day == day:
            return self._key
        async with self._drawing:
            if self._key is None or self._day != day:
                key, sealed = self._audit.draw()
                row = {"id": sealed.id, "suite": sealed.suite, "ct": sealed.ciphertext}
                await self._database.write(lambda connection: connection.execute(_NEW, row))
                self._key, self._day = key, day
            return self._key


class NotOurLineKey(NotAuthentic):
    """A line's data key was sealed to another audit key, or was changed."""


class LineOpener:
    """Opens lines with the audit key's secret half, over the snapshot of one transaction."""

    def __init__(self, connection: Connection, audit: AuditSecretKey) -> None:
        self._audit = audit
        self._sealed = {row.id: SealedLineKey(row.id, row.suite, row.ct) for row in connection.execute(_ALL)}
        self._opened: dict[int, LineKey | None] = {}

    def text(self, entry: JournalEntry) -> LineText:
        """What a line tells; one in clear, as it stands there. Raises NotAuthentic; NotOurLineKey, which is
        one, where the line itself may well be what was written."""
        if entry.key_id is None:
            return LineText(entry.at, entry.detail.decode())
        if entry.key_id not in self._opened:
            self._opened[entry.key_id] = self._open(entry.key_id)
        key = self._opened[entry.key_id]
        if key is None:
            raise NotOurLineKey
        return key.open(entry.mailbox, entry.n, entry.detail)

    def _open(self, key_id: int) -> LineKey | None:
        sealed = self._sealed.get(key_id)
        if sealed is None:
            raise NotAuthentic
        try:
            return self._audit.open(sealed)
        except NotAuthentic:
            return None
