"""The trust space in force: read at start, read again as its files and the directory change.

Invariants: what is in force is one immutable snapshot, swapped whole; a source that cannot be read leaves
the last good snapshot in force and raises an alarm; at start there is no last good one, so it fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from mssante.annuaire.directory import Directory
from mssante.clock import Clock
from mssante.config import Config, Environment, Trust, TrustSource
from mssante.model import Domain, Malformed
from mssante.observe import report
from mssante.observe.events import TrustSpaceLoaded, TrustSpaceStale, crashed
from mssante.reasons import Passing, Reason
from mssante.trust import white_list
from mssante.trust.names import DistinguishedName
from mssante.trust.path import Anchors
from mssante.trust.policy import Direction, Rules, VerifiedPeer, verify_peer
from mssante.trust.revocation import Revocations
from mssante.trust.space import TrustSpace, both

REFRESH_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a verdict rests on, all of one moment."""

    space: TrustSpace
    crls: Revocations


def rules(trust: Trust) -> Rules:
    """What an operator has set."""
    return Rules(
        extended_key_usage_required=trust.extended_key_usage_required,
        host_names_agree=trust.host_names_agree,
        space_age_max=timedelta(hours=trust.space_hours_max),
    )


class TrustState:
    """`space` and `verify` answer from the snapshot in force."""

    def __init__(self, config: Config, directory: Directory, clock: Clock) -> None:
        self._config = config
        self._directory = directory
        self._clock = clock
        self._rules = rules(config.trust)
        self.anchors = Anchors(roots=())
        self.trouble = ""  # why there is no trust space, when nothing depends on it
        self._snapshot = Snapshot(TrustSpace.from_entries((), source="none"), Revocations())
        self._list_dated: datetime | None = None
        self._loaded: dict[str, TrustSpaceLoaded] = {}

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
        """The first reading. Raises OSError or Malformed for a file, Passing when the directory is away,
        Malformed for test anchors in production (facts §2)."""
        trust = self._config.trust
        self.anchors = await asyncio.to_thread(Anchors.load, trust.anchors, trust.intermediates)
        if self.anchors.are_test and self._config.operator.environment is Environment.PRODUCTION:
            raise Malformed(f"{trust.anchors}: a TEST authority, in production")
        self._snapshot = await self._read()

    async def keep_fresh(self, seconds: float = REFRESH_SECONDS) -> None:
        """Reads again for ever. What cannot be read leaves the last good snapshot in force."""
        while True:
            await asyncio.sleep(seconds)
            try:
                self._snapshot = await self._read()
            except (OSError, Malformed, Passing) as error:
                report(TrustSpaceStale(source=self.space.source, cause=type(error).__name__))
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

    async def _read(self) -> Snapshot:
        space = await self.read_space()
        crls = await asyncio.to_thread(
            Revocations.load,
            self._config.trust.crls,
            issuers=self.anchors.issuers,
            known=self._snapshot.crls,
        )
        return Snapshot(space, crls)

    async def read_space(self) -> TrustSpace:
        """What the configured sources say now. Raises as `load`."""
        trust = self._config.trust
        spaces: list[TrustSpace] = []
        if TrustSource.LIST in trust.sources:
            assert trust.white_list is not None  # config refuses the contrary
            spaces.append(await self._list_space(trust.white_list))
        if TrustSource.DIRECTORY in trust.sources:
            spaces.append(await self._directory_space())
        return spaces[0] if len(spaces) == 1 else both(*spaces)

    async def _list_space(self, path: Path) -> TrustSpace:
        listed = await asyncio.to_thread(lambda: white_list.read(path.read_bytes()))
        in_force = self._list_dated
        if in_force is not None and listed.generated_at < in_force:
            raise Malformed("a white list older than the one in use")  # facts §1: somebody's replay
        self._list_dated = listed.generated_at
        return self._told(listed.space(), count=listed.count, odd=len(listed.odd))

    async def _directory_space(self) -> TrustSpace:
        answer = await self._directory.trust_pairs()
        if not answer.pairs:
            raise Passing(Reason.DIRECTORY_UNAVAILABLE, "the directory names no operator")
        return self._told(answer.space(), count=len(answer.pairs) + len(answer.odd), odd=len(answer.odd))

    def _told(self, space: TrustSpace, *, count: int, odd: int) -> TrustSpace:
        """Reports what a source holds, when it is not what it held before."""
        loaded = TrustSpaceLoaded(
            source=space.source,
            entries=count,
            domains=len(space.names_by_domain),
            names=len(space.names),
            odd=odd,
        )
        if self._loaded.get(space.source) != loaded:
            self._loaded[space.source] = loaded
            report(loaded)
        return space


def own_domains_unlisted(space: TrustSpace, name: DistinguishedName, ours: Sequence[Domain]) -> list[Domain]:
    """Our domains for which the space does not have our own name: others will refuse our letters."""
    return [domain for domain in ours if name not in space.names_for(domain)]
