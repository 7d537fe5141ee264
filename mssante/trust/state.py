"""The trust space in force: read when the program starts, then read again regularly, since sources change.

Invariants: what is in force is one immutable snapshot, always replaced as a whole. Each source is read by
itself. When one cannot be read, for whatever reason, or says what must not follow what it said before
(`statement`), its last statement stays in force, an alarm is raised, and the other sources are renewed all
the same. What is accepted is written down first (`kept`), so that a restart neither forgets it nor takes
less; where the disk refuses, what is newer counts all the same, because it may strike somebody off. At the
first reading of all there is no last statement, so it fails and names the source. This file does not know
where the sources, the anchors and the rules come from: the caller hands them in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from mssante.clock import Clock
from mssante.limits import KEPT_HEARD_SECONDS, TRUST_REFRESH_SECONDS
from mssante.model import Direction, Domain, Malformed
from mssante.observe import report
from mssante.observe.events import (
    StorageTrouble,
    TrustBegun,
    TrustFileUnused,
    TrustSourceHeld,
    TrustSpaceLoaded,
    TrustSpaceStale,
    crashed,
)
from mssante.reasons import Passing, Reason
from mssante.trust import white_list
from mssante.trust.certificate import Unused
from mssante.trust.kept import Floors, KeptSource, TrustKeeper
from mssante.trust.names import DistinguishedName
from mssante.trust.path import Anchors
from mssante.trust.policy import Rules, VerifiedPeer, verify_peer
from mssante.trust.revocation import Crl, Revocations
from mssante.trust.space import TrustSpace, both
from mssante.trust.statement import Floor, HeldStatement, NotTaken, Statement, require_successor

Source = Callable[[], Awaitable[Statement]]
"""Raises OSError or Malformed for a file, and Passing for a directory that does not answer."""
_HEARD_AGAIN = timedelta(seconds=KEPT_HEARD_SECONDS)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a verdict rests on, all read at one moment."""

    space: TrustSpace
    crls: Revocations


class ListFile:
    """A white list in a file, as a Source."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __call__(self) -> Statement:
        return await asyncio.to_thread(self._read)

    def _read(self) -> Statement:
        listed = white_list.read(self._path.read_bytes())
        return Statement(listed.space(), entries=listed.count, odd=len(listed.odd))


class TrustState:
    """`space` and `verify` answer from the snapshot in force.

    `sources` are one or two, each under the name that an operator knows it by; a pair of domain and name
    counts only if all of them have it. `anchors` reads the authorities. `crls` is the folder of the
    revocation lists. `keeper` is where what was accepted outlives this process; without one it does not.

    `held` has the statements that are not put in force, by source; `not_kept` says why what is in force could
    not be written down, and is empty when it was."""

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        anchors: Callable[[], Anchors],
        crls: Path,
        rules: Rules,
        clock: Clock,
        keeper: TrustKeeper | None = None,
    ) -> None:
        self._sources = dict(sources)
        self._load_anchors = anchors
        self._crls_folder = crls
        self._rules = rules
        self._clock = clock
        self._keeper = keeper
        self.floors = Floors()  # of what is in force
        self._kept = Floors()  # of what is on the disk
        self._remembered = False  # whether the disk was asked
        self._turn = asyncio.Lock()  # an operator's yes does not come between a renewal's readings
        self.held: dict[str, HeldStatement] = {}
        self.not_kept = ""
        self.anchors = Anchors(roots=())
        self.trouble = ""  # why there is no trust space, where the program can run without one
        self._snapshot = Snapshot(TrustSpace.from_entries((), source="none"), Revocations())
        self._stated: dict[str, Statement] = {}
        self._heard_at: dict[str, datetime] = {}  # when each source was last read
        self._silent: set[str] = set()  # those that could not be read the last time
        self._loaded: dict[str, TrustSpaceLoaded] = {}
        self._unused: frozenset[Unused] = frozenset()  # already reported

    @property
    def too_old(self) -> bool:
        """Whether the space is older than allowed; every verdict is then Passing(TRUST_SPACE_STALE)."""
        age, most = self.space.age(self._clock.now()), self._rules.space_age_max
        return age is not None and most is not None and age > most

    @property
    def space(self) -> TrustSpace:
        return self._snapshot.space

    @property
    def crls(self) -> Revocations:
        return self._snapshot.crls

    async def load(self, *, keep: bool = True) -> None:
        """Makes the first reading. With `keep` false nothing is written down: a command that only looks must
        not meddle with what the server keeps. Raises what the anchors and the sources raise: OSError,
        Malformed or Passing. An unexpected exception becomes a Malformed that names the source."""
        self.anchors = await asyncio.to_thread(self._load_anchors)
        await self._remember()
        if keep and self._keeper is not None and not self._kept.sources:
            report(TrustBegun())
        self._snapshot = await self._renewed(first=True, keep=keep)

    async def keep_fresh(self, seconds: float = TRUST_REFRESH_SECONDS) -> None:
        """Renews every `seconds`, without end."""
        while True:
            await asyncio.sleep(seconds)
            await self.renew()

    async def renew(self) -> None:
        """Reads everything again. For a source that cannot be read, its last statement stays in force."""
        try:
            async with self._turn:
                self._snapshot = await self._renewed(first=False, keep=True)
        except Exception as bug:  # only this reading is lost; the server goes on
            report(crashed("trust", bug))
            report(TrustSpaceStale(source=self.space.source, cause=type(bug).__name__))

    def verify(self, chain: Sequence[bytes], direction: Direction) -> VerifiedPeer:
        """Judges a peer by the snapshot in force. Raises Refused, Passing."""
        snapshot = self._snapshot  # once: another may take its place meanwhile
        return verify_peer(
            chain,
            anchors=self.anchors,
            space=snapshot.space,
            crls=snapshot.crls,
            now=self._clock.now(),
            direction=direction,
            rules=self._rules,
        )

    async def read_space(self) -> TrustSpace:
        """What the sources say now, as the server would take it. Nothing is written down. Raises the same as
        `load`."""
        await self._remember()
        return await self._asked(first=True, keep=False)

    async def accept(self, name: str, digest: str) -> Floor:
        """Puts in force what the source `name` says now, if that is the statement held back under `digest`:
        an operator has looked at it. Raises Malformed, Passing, or what the source raises."""
        async with self._turn:
            return await self._accepted(name, digest)

    async def _accepted(self, name: str, digest: str) -> Floor:
        if not self._remembered:
            await self._remember()
        if name not in self._sources:
            raise Malformed(f"no source {name!r}: there is {', '.join(self._sources)}")
        statement = await self._sources[name]()
        said = await asyncio.to_thread(Floor.of, statement.space)
        try:
            self._judge(name, statement, said)
        except NotTaken as error:
            self._hold(error.held)
            if not error.held.acceptable:
                raise
        if said.digest != digest:
            raise Malformed(f"{name} now says {said.digest}, not {digest}: look again")
        self.not_kept = ""
        await self._take(name, statement, said, keep=True)
        if self._stated.keys() == self._sources.keys():
            self._snapshot = Snapshot(self._space(), self._snapshot.crls)
        if self.not_kept:
            raise Passing(Reason.STORAGE_UNAVAILABLE, f"in force, but not kept: {self.not_kept}")
        return said

    async def _remember(self) -> None:
        """Reads what was kept of an earlier run. Raises Malformed."""
        if self._keeper is None:
            self._remembered = True
            return
        kept = await asyncio.to_thread(self._keeper.load)
        self._remembered = True
        if kept is None:
            return
        self.floors = self._kept = kept
        for name in self._sources.keys() & kept.sources.keys():
            statement = await asyncio.to_thread(self._keeper.statement, name, kept.sources[name])
            if statement is not None:
                self._stated[name] = statement
                self._heard_at[name] = kept.sources[name].heard_at

    async def _renewed(self, *, first: bool, keep: bool) -> Snapshot:
        space = await self._asked(first=first, keep=keep)
        try:
            crls = await asyncio.to_thread(self._read_crls, first=first)
        except Exception as error:
            _told_of(str(self._crls_folder), error, first=first)
            crls = self._snapshot.crls
        await self._keep_crls(crls.crls, keep=keep)
        self._tell_unused((*self.anchors.unused, *crls.unused))
        return Snapshot(space, crls)

    def _read_crls(self, *, first: bool) -> Revocations:
        now, issuers, floors = self._clock.now(), self.anchors.issuers, self.floors.crls
        known = self._snapshot.crls
        if first and self._keeper is not None and self._keeper.crls.is_dir():
            copies = Revocations.load(self._keeper.crls, issuers=issuers, now=now, floors=floors)
            known = replace(copies, unused=())
        return Revocations.load(self._crls_folder, issuers=issuers, now=now, known=known, floors=floors)

    async def _keep_crls(self, crls: Mapping[bytes, Crl], *, keep: bool) -> None:
        newest = {key: crl.floor for key, crl in crls.items()}
        self.floors = replace(self.floors, crls={**self.floors.crls, **newest})
        if keep and self._keeper is not None and self._kept.crls != self.floors.crls:
            await self._write(lambda keeper: keeper.keep_crls(self._kept, crls))

    async def _asked(self, *, first: bool, keep: bool) -> TrustSpace:
        self.not_kept = ""
        for name, source in self._sources.items():
            await self._ask(name, source, first=first, keep=keep)
        return self._space()

    async def _ask(self, name: str, source: Source, *, first: bool, keep: bool) -> None:
        try:
            statement = await source()
            said = await asyncio.to_thread(Floor.of, statement.space)
            self._judge(name, statement, said)
        except Exception as error:
            if isinstance(error, NotTaken):
                self._hold(error.held)
            _told_of(name, error, first=first and name not in self._stated)
            self._silent.add(name)
        else:
            await self._take(name, statement, said, keep=keep)

    def _judge(self, name: str, statement: Statement, said: Floor) -> None:
        """Raises NotTaken for what may not follow what was accepted before."""
        before, last = self.floors.sources.get(name), self._stated.get(name)
        if before is None or before.floor != said:
            require_successor(
                name,
                statement.space,
                said,
                floor=before.floor if before else None,
                last=last.space if last else None,
                now=self._clock.now(),
            )

    def _hold(self, held: HeldStatement) -> None:
        before = self.held.get(held.source)
        self.held[held.source] = held
        if before is None or before.floor != held.floor:
            report(
                TrustSourceHeld(
                    source=held.source,
                    digest=held.floor.digest,
                    pairs=held.floor.pairs,
                    lost=held.lost,
                    why=held.why,
                )
            )

    async def _take(self, name: str, statement: Statement, said: Floor, *, keep: bool) -> None:
        """Writes down what `name` says, then puts it in force."""
        space, now = statement.space, self._clock.now()
        kept = KeptSource(
            floor=said, source=space.source, entries=statement.entries, odd=statement.odd, heard_at=now
        )
        self.floors = replace(self.floors, sources={**self.floors.sources, name: kept})
        if keep and _differs(self._kept.sources.get(name), kept):
            await self._write(lambda keeper: keeper.keep_source(self._kept, name, kept, space))
        self._stated[name] = statement
        self._heard_at[name] = now
        self._silent.discard(name)
        self.held.pop(name, None)

    async def _write(self, work: Callable[[TrustKeeper], Floors]) -> None:
        """A newer statement that cannot be written down counts all the same, since it may strike somebody
        off; the next renewal tries again."""
        if self._keeper is None:
            return
        try:
            self._kept = await asyncio.to_thread(work, self._keeper)
        except OSError as error:
            self.not_kept = f"{self._keeper.folder}: {error.strerror or error}"
            report(StorageTrouble(store="trust", cause=type(error).__name__))

    def _space(self) -> TrustSpace:
        spaces = [self._aged(name, self._told(self._stated[name])) for name in self._sources]
        return spaces[0] if len(spaces) == 1 else both(*spaces)

    def _aged(self, name: str, space: TrustSpace) -> TrustSpace:
        """A directory gives its answers no date. As long as it is silent, its last answer has the date on
        which it came: it grows old like a list, and past its age nobody is trusted by it."""
        if name in self._silent and space.generated_at is None:
            return replace(space, generated_at=self._heard_at[name])
        return space

    def _tell_unused(self, unused: Sequence[Unused]) -> None:
        """Reports each unused thing once, and again only if it was in order meanwhile."""
        for each in sorted(set(unused) - self._unused, key=lambda one: (one.file, one.why)):
            report(TrustFileUnused(file=each.file, why=each.why))
        self._unused = frozenset(unused)

    def _told(self, statement: Statement) -> TrustSpace:
        """The space of `statement`. Reports what the source holds when that has changed."""
        space = statement.space
        loaded = TrustSpaceLoaded(
            source=space.source,
            entries=statement.entries,
            domains=len(space.names_by_domain),
            names=len(space.names),
            odd=statement.odd,
        )
        if self._loaded.get(space.source) != loaded:
            self._loaded[space.source] = loaded
            report(loaded)
        return space


def _told_of(name: str, error: Exception, *, first: bool) -> None:
    """Raises an alarm for a source that cannot be read. The first reading has nothing to fall back on, so
    then the error itself is raised; an unexpected one becomes a Malformed that names the source."""
    expected = isinstance(error, OSError | Malformed | Passing)
    if not expected:
        report(crashed("trust", error))
    if not first:
        report(TrustSpaceStale(source=name, cause=type(error).__name__))
    elif expected:
        raise error
    else:
        raise Malformed(f"{name}: cannot be read ({type(error).__name__})") from error


def _differs(before: KeptSource | None, kept: KeptSource) -> bool:
    """Whether what is on the disk must be renewed. That a source without dates still answers is written down
    now and then only: its age counts from there."""
    if before is None or before.floor != kept.floor:
        return True
    return kept.floor.dated is None and kept.heard_at - before.heard_at > _HEARD_AGAIN


def own_domains_unlisted(space: TrustSpace, name: DistinguishedName, ours: Sequence[Domain]) -> list[Domain]:
    """Those of our domains for which the space does not list our own name. Others will refuse our letters
    from them."""
    return [domain for domain in ours if name not in space.names_for(domain)]
