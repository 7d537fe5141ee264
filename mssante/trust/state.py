"""The trust space in force: read when the program starts, then read again regularly, since sources change.

Invariants: what is in force is one immutable snapshot, always replaced as a whole. Each source is read by
itself. When one cannot be read, for whatever reason, its last statement stays in force, an alarm is raised,
and the other sources are renewed all the same. At the first reading there is no last statement, so it fails
and names the source. This file does not know where the sources, the anchors and the rules come from: the
caller hands them in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from mssante.clock import Clock
from mssante.limits import TRUST_REFRESH_SECONDS
from mssante.model import Direction, Domain, Malformed
from mssante.observe import report
from mssante.observe.events import TrustFileUnused, TrustSpaceLoaded, TrustSpaceStale, crashed
from mssante.reasons import Passing
from mssante.trust import white_list
from mssante.trust.certificate import Unused
from mssante.trust.names import DistinguishedName
from mssante.trust.path import Anchors
from mssante.trust.policy import Rules, VerifiedPeer, verify_peer
from mssante.trust.revocation import Revocations
from mssante.trust.space import TrustSpace, both


@dataclass(frozen=True, slots=True)
class Statement:
    """What one source says now about the trust space. It has `entries` entries, of which `odd` are out of the
    ordinary."""

    space: TrustSpace
    entries: int
    odd: int


Source = Callable[[], Awaitable[Statement]]
"""Raises OSError or Malformed for a file, and Passing for a directory that does not answer."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a verdict rests on, all read at one moment."""

    space: TrustSpace
    crls: Revocations


class ListFile:
    """A white list in a file, as a Source. Refuses a list that is older than the last one it read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._dated: datetime | None = None

    async def __call__(self) -> Statement:
        listed = await asyncio.to_thread(lambda: white_list.read(self._path.read_bytes()))
        if self._dated is not None and listed.generated_at < self._dated:
            # facts §1: somebody may be replaying an old list.
            raise Malformed("a white list older than the one in use")
        self._dated = listed.generated_at
        return Statement(listed.space(), entries=listed.count, odd=len(listed.odd))


class TrustState:
    """`space` and `verify` answer from the snapshot in force.

    `sources` are one or two, each under the name that an operator knows it by; a pair of domain and name
    counts only if all of them have it. `anchors` reads the authorities. `crls` is the folder of the
    revocation lists."""

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        anchors: Callable[[], Anchors],
        crls: Path,
        rules: Rules,
        clock: Clock,
    ) -> None:
        self._sources = dict(sources)
        self._load_anchors = anchors
        self._crls_folder = crls
        self._rules = rules
        self._clock = clock
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

    async def load(self) -> None:
        """Makes the first reading. Raises what the anchors and the sources raise: OSError, Malformed or
        Passing. An unexpected exception becomes a Malformed that names the source."""
        self.anchors = await asyncio.to_thread(self._load_anchors)
        self._snapshot = await self._renewed(first=True)

    async def keep_fresh(self, seconds: float = TRUST_REFRESH_SECONDS) -> None:
        """Renews every `seconds`, without end."""
        while True:
            await asyncio.sleep(seconds)
            await self.renew()

    async def renew(self) -> None:
        """Reads everything again. For a source that cannot be read, its last statement stays in force."""
        try:
            self._snapshot = await self._renewed(first=False)
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
        """What the sources say now. Raises the same as `load`."""
        return await self._asked(first=True)

    async def _renewed(self, *, first: bool) -> Snapshot:
        space = await self._asked(first=first)
        try:
            crls = await asyncio.to_thread(
                Revocations.load, self._crls_folder, issuers=self.anchors.issuers, known=self._snapshot.crls
            )
        except Exception as error:
            _told_of(str(self._crls_folder), error, first=first)
            crls = self._snapshot.crls
        self._tell_unused((*self.anchors.unused, *crls.unused))
        return Snapshot(space, crls)

    async def _asked(self, *, first: bool) -> TrustSpace:
        for name, source in self._sources.items():
            await self._ask(name, source, first=first)
        return self._space()

    async def _ask(self, name: str, source: Source, *, first: bool) -> None:
        try:
            statement = await source()
        except Exception as error:
            _told_of(name, error, first=first)
            self._silent.add(name)
        else:
            self._stated[name] = statement
            self._heard_at[name] = self._clock.now()
            self._silent.discard(name)

    def _space(self) -> TrustSpace:
        spaces = [self._aged(name, self._told(statement)) for name, statement in self._stated.items()]
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


def own_domains_unlisted(space: TrustSpace, name: DistinguishedName, ours: Sequence[Domain]) -> list[Domain]:
    """Those of our domains for which the space does not list our own name. Others will refuse our letters
    from them."""
    return [domain for domain in ours if name not in space.names_for(domain)]
