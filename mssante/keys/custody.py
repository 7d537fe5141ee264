"""The key store in our hands: what may be read from it, how it is changed, and when it is not believed.

The broker reads and changes its rows through this. Invariants: nothing is opened from a store that is in
`trouble`; each change raises the mark in the mail database (the floor) after its commit, and a mark that
stayed behind because we fell in between is raised at the next look, so that a crash locks nobody out; a store
that is older than its mark, or than this process has seen it, is in trouble.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from mssante.clock import Clock
from mssante.crypto.keys import NotAuthentic
from mssante.crypto.statement import StatementSigner
from mssante.database import Conflict, Database
from mssante.keys import integrity
from mssante.keys.change import ProvedChange, changing, read_register
from mssante.keys.integrity import OpenedStore, PlainServiceKeys, StoreCheck, StrangeRow
from mssante.keys.proof import RowProof
from mssante.keys.root_key import RootKey
from mssante.keys.rows import NotOurRow
from mssante.limits import KEY_STORE_CHECK_REST, STRANGE_ROWS_NAMED_MAX
from mssante.observe.event import report
from mssante.observe.events import KeyRowRefused, KeyStoreRefused
from mssante.reasons import Passing, Reason, Refused

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FloorKeeper:
    """Where the mark is kept that is not in the key store: the store's KeyFloorDoor. `read` gives the counter
    and its MAC, None where none was ever kept; `keep` replaces them."""

    read: Callable[[], Awaitable[tuple[object, object] | None]]
    keep: Callable[[int, bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAccepted:
    """What `accept` did, or would do. `why`: what the store was in trouble for; "" if for nothing."""

    why: str
    removed: tuple[StrangeRow, ...]
    removed_count: int


class Custody:
    """Made by `start`."""

    def __init__(
        self, database: Database, *, root: RootKey, clock: Clock, floor: FloorKeeper, opened: OpenedStore
    ) -> None:
        self.root = root
        self.trouble = opened.trouble
        self._database = database
        self._clock = clock
        self._floor = floor
        self._opened = opened
        self._settled = True
        self._seen = 0  # the highest counter that this process knows of
        self._floored = 0  # the counter of the mark
        self._check_at = float("-inf")
        self._told: set[tuple[str, str]] = set()

    @classmethod
    async def start(cls, database: Database, *, root: RootKey, clock: Clock, floor: FloorKeeper) -> Custody:
        """Opens the store and looks at every row. Raises WrongRootKey, Passing; a store that is not believed
        is not an error here, because somebody must be able to look at it."""
        mark = await floor.read()
        job = partial(integrity.opened, root=root, floor_known=mark is not None, now=clock.now())
        try:
            opened = await database.write(job)
        except Conflict:  # another host drew the keys between our SELECT and our INSERT
            opened = await database.write(job)
        custody = cls(database, root=root, clock=clock, floor=floor, opened=opened)
        if opened.trouble:
            report(KeyStoreRefused(why=opened.trouble))
        await custody.look()
        return custody

    @property
    def services(self) -> PlainServiceKeys:
        return self._opened.services

    @property
    def proof(self) -> RowProof:
        return self._opened.proof

    @property
    def signer(self) -> StatementSigner:
        return self._opened.signer

    @property
    def unsettled(self) -> bool:
        """Whether mailboxes that an older version made are still to be signed."""
        return not self.trouble and not self._settled

    def require(self) -> None:
        """Raises Passing(KEYS_UNAVAILABLE) while the store is in trouble."""
        if self.trouble:
            raise Passing(Reason.KEYS_UNAVAILABLE, self.trouble)

    # Reading and changing

    async def read(self, fn: Callable[[Connection, RowProof, list[NotOurRow]], T]) -> T:
        """Runs `fn` on one snapshot, and tells of rows that are not ours. Raises Passing."""
        self.require()
        strange: list[NotOurRow] = []
        try:
            return await self._database.read(lambda connection: fn(connection, self.proof, strange))
        except NotOurRow as trouble:
            strange.append(trouble)
            raise
        finally:
            for row in strange:
                self._tell(StrangeRow(row.table, row.person))

    async def read_keys(self, fn: Callable[[Connection], T]) -> T:
        """Runs `fn`, which reads what the root key alone proves: wrapped keys, bound to their mailbox and
        epoch. Raises Passing."""
        return await self._database.read(fn)

    async def change(self, job: Callable[[ProvedChange], T]) -> T:
        """Runs `job` in a transaction with its register. Raises Refused(NOT_PERMITTED) while the store is in
        trouble or for a row that is not ours, Passing, and what `job` raises."""
        if self.trouble:
            raise Refused(Reason.NOT_PERMITTED, self.trouble)

        def transact(connection: Connection) -> tuple[T, int]:
            with changing(connection, self.proof) as change:
                result = job(change)
            return result, change.counter

        try:
            result, counter = await self._database.write(transact)
        except NotAuthentic:
            self._distrust(integrity.FOREIGN)
            raise Refused(Reason.NOT_PERMITTED, self.trouble) from None
        except NotOurRow as row:
            self._tell(StrangeRow(row.table, row.person))
            raise Refused(Reason.NOT_PERMITTED, row.detail) from None
        await self._raise_floor(counter)
        return result

    async def _raise_floor(self, counter: int) -> None:
        """Keeps the mark at `counter`. A mail database that does not answer now is told at the next look."""
        self._seen = max(self._seen, counter)
        if counter > self._floored:
            try:
                await self._keep_floor(counter)
            except Passing:
                pass

    async def _keep_floor(self, counter: int) -> None:
        await self._floor.keep(counter, self.proof.floor(counter))
        self._floored = counter

    async def settle(self) -> None:
        """Says that every mailbox of an older version is signed. The mark is kept first: a settled store
        without one is in trouble. Raises Passing."""
        await self._keep_floor(max(self._seen, 1))
        await self.change(ProvedChange.settle)
        self._settled = True

    # Looking

    async def watch(self) -> None:
        """Looks at the counter, and at every row when that was last done long enough ago. To be called every
        few seconds. Raises Passing."""
        if self.trouble:
            return
        if self._clock.monotonic() >= self._check_at:
            await self.look()
            return
        mark, seen = await self._mark(), self._seen
        try:
            register = await self._database.read(partial(read_register, proof=self.proof))
        except NotAuthentic:
            self._distrust(integrity.FOREIGN)
            return
        await self._compare(register.counter, mark, seen)

    async def look(self) -> StoreCheck:
        """Looks at every row, and at how far the store has come. Raises Passing."""
        began = self._clock.monotonic()
        # The mark and what we saw are read before the store, which can only have gone on meanwhile.
        mark, seen = await self._mark(), self._seen
        found = await self._database.read(partial(integrity.check, proof=self.proof))
        ended = self._clock.monotonic()
        self._check_at = ended + KEY_STORE_CHECK_REST * (ended - began)
        if not self._opened.proved:  # then every row is strange, and none is
            return StoreCheck(found.counter, found.settled, self.trouble, (), 0)
        for row in found.strange:
            self._tell(row)
        self._settled = found.settled
        if found.trouble:
            self._distrust(found.trouble)
        elif mark is None and found.settled:
            self._distrust(integrity.NO_FLOOR)
        elif not self.trouble:
            await self._compare(found.counter, mark, seen)
        return replace(found, trouble=self.trouble)

    async def _mark(self) -> int | None:
        """The counter of the mark in the mail database; None where there is none. One that is not ours is
        trouble, and counts as 0."""
        kept = await self._floor.read()
        if kept is None:
            return None
        try:
            return self.proof.require_floor(*kept)
        except NotAuthentic:
            self._distrust(integrity.FOREIGN_FLOOR)
            return 0

    async def _compare(self, counter: int, mark: int | None, seen: int) -> None:
        known = max(mark or 0, seen)
        if counter < known:
            self._distrust(integrity.older(counter, known))
        else:
            self._floored = mark or 0
            await self._raise_floor(counter)

    def _distrust(self, why: str) -> None:
        """Believes the store no more, for the first reason that was found."""
        if not self.trouble:
            self.trouble = why
            report(KeyStoreRefused(why=why))

    def _tell(self, row: StrangeRow) -> None:
        """Tells of a row once."""
        place = (row.table, row.person)
        if place not in self._told:
            if len(self._told) >= STRANGE_ROWS_NAMED_MAX:
                self._told.clear()
            self._told.add(place)
            report(KeyRowRefused(table=row.table, person=row.person))

    # Accepting

    async def accept(self, *, dry_run: bool) -> StoreAccepted:
        """Takes the store as it lies there, because an operator says so; with `dry_run`, says what that would
        remove. Raises Refused(NOT_PERMITTED) where there is nothing to accept, Passing."""
        found = await self.look()
        if not found.trouble and not found.strange:
            raise Refused(Reason.NOT_PERMITTED, "the key store is as it was last written: nothing to accept")
        answer = StoreAccepted(why=found.trouble, removed=found.strange, removed_count=found.strange_count)
        if dry_run:
            return answer
        mark = await self._mark()
        signed_by, services = self.signer.public, self.services
        self._opened, register = await self._database.write(
            partial(integrity.accept, root=self.root, floor=mark, seen=self._seen)
        )
        await self._keep_floor(register.counter)
        self._seen, self._settled = register.counter, register.settled
        # Who verifies what was signed, or uses a service's key, was given another: only a start gives them
        # this one.
        same = self.signer.public == signed_by and self.services == services
        self.trouble = "" if same and register.settled else integrity.RESTART
        return answer
