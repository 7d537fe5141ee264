"""The trust space in force: read at start, read again as its sources change.

Invariants: what is in force is one immutable snapshot, swapped whole. Each source is read by itself: one that
cannot be read, whatever is wrong with it, keeps what it said last and raises an alarm, and the others are
renewed all the same. At start a source has said nothing yet, so then it fails, and says which one. Where the
sources, the anchors and the rules come from is the caller's business: they are handed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
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
    """What one source says of the trust space now: so many entries, `odd` of them set aside."""

    space: TrustSpace
    entries: int
    odd: int


Source = Callable[[], Awaitable[Statement]]
"""Raises OSError or Malformed for a file, Passing for a directory that is away."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a verdict rests on, all of one moment."""

    space: TrustSpace
    crls: Revocations


class ListFile:
    """A white list in a file, as a Source. One older than the last it read is refused."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._dated: datetime | None = None

    async def __call__(self) -> Statement:
        listed = await asyncio.to_thread(lambda: white_list.read(self._path.read_bytes()))
        if self._dated is not None and listed.generated_at < self._dated:
            raise Malformed("a white list older than the one in use")  # facts §1: somebody's replay
        self._dated = listed.generated_at
        return Statement(listed.space(), entries=listed.count, odd=len(listed.odd))


class TrustState:
    """`space` and `verify` answer from the snapshot in force.

    A pair of domain and name counts if every one of `sources` (one or two, by the name an operator knows them
    by) has it; `anchors` reads the authorities; `crls` is the folder of the revocation lists."""

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
        self.trouble = ""  # why there is no trust space, when nothing depends on it
        self._snapshot = Snapshot(TrustSpace.from_entries((), source="none"), Revocations())
        self._stated: dict[str, Statement] = {}
        self._loaded: dict[str, TrustSpaceLoaded] = {}
        self._unused: frozenset[Unused] = frozenset()  # already told

    @property
    def too_old(self) -> bool:
        """Whether the space is past its age: every verdict is then Passing(TRUST_SPACE_STALE)."""
        age, most = self.space.age(self._clock.now()), self._rules.space_age_max
        return age is not None and most is not None and age > most

    @property
    def space(self) -> TrustSpace:
        return self._snapshot.space

    @property
    def crls(self) -> Revocations:
        return self._snapshot.crls

    async def load(self) -> None:
        """The first reading. Raises what the anchors and the sources raise: OSError, Malformed, Passing; what
        is none of these is a Malformed that names the source."""
        self.anchors = await asyncio.to_thread(self._load_anchors)
        self._snapshot = await self._renewed(first=True)

    async def keep_fresh(self, seconds: float = TRUST_REFRESH_SECONDS) -> None:
        """Renews for ever."""
        while True:
            await asyncio.sleep(seconds)
            await self.renew()

    async def renew(self) -> None:
        """Reads everything again. What cannot be read leaves what it said last in force."""
        try:
            self._snapshot = await self._renewed(first=False)
        except Exception as bug:  # costs this reading, not the server
            report(crashed("trust", bug))
            report(TrustSpaceStale(source=self.space.source, cause=type(bug).__name__))

    def verify(self, chain: Sequence[bytes], direction: Direction) -> VerifiedPeer:
        """Judges a peer by the snapshot in force. Raises Refused, Passing."""
        return verify_peer(
            chain,
            anchors=self.anchors,
            space=self._snapshot.space,
            crls=self._snapshot.crls,
            now=self._clock.now(),
            direction=direction,
            rules=self._rules,
        )

    async def read_space(self) -> TrustSpace:
        """What the sources say now. Raises as `load`."""
        for name, source in self._sources.items():
            await self._ask(name, source, first=True)
        return self._space()

    async def _renewed(self, *, first: bool) -> Snapshot:
        for name, source in self._sources.items():
            await self._ask(name, source, first=first)
        try:
            crls = await asyncio.to_thread(
                Revocations.load, self._crls_folder, issuers=self.anchors.issuers, known=self._snapshot.crls
            )
        except Exception as error:
            _told_of(str(self._crls_folder), error, first=first)
            crls = self._snapshot.crls
        self._tell_unused((*self.anchors.unused, *crls.unused))
        return Snapshot(self._space(), crls)

    async def _ask(self, name: str, source: Source, *, first: bool) -> None:
        try:
            statement = await source()
        except Exception as error:
            _told_of(name, error, first=first)
        else:
            self._stated[name] = statement

    def _space(self) -> TrustSpace:
        spaces = [self._told(statement) for statement in self._stated.values()]
        return spaces[0] if len(spaces) == 1 else both(*spaces)

    def _tell_unused(self, unused: Sequence[Unused]) -> None:
        """Each once, as long as it is so."""
        for each in sorted(set(unused) - self._unused, key=lambda one: (one.file, one.why)):
            report(TrustFileUnused(file=each.file, why=each.why))
        self._unused = frozenset(unused)

    def _told(self, statement: Statement) -> TrustSpace:
        """Reports what a source holds, when it is not what it held before."""
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
    """An alarm for a source that cannot be read. At the first reading, which has nothing to fall back on, it
    is raised: as it is or, where nobody expected it, in words that name the source."""
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
    """Our domains for which the space does not have our own name: others will refuse our letters."""
    return [domain for domain in ours if name not in space.names_for(domain)]
