"""What a source says of the trust space, and whether it may take the place of what it said before.

Invariants: pure. A statement is judged against the floor (the newest that was ever accepted of this source)
and, where that is still known, against the pairs it would replace. One that is dated ahead of our clock is
never taken. One that is older than the floor, or that lost too much, is taken only if an operator says so.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from mssante.limits import TRUST_AHEAD_SECONDS_MAX, TRUST_LOST_PAIRS_MIN, TRUST_LOST_SHARE_MAX
from mssante.model import Malformed
from mssante.trust.space import TrustSpace

_AHEAD = timedelta(seconds=TRUST_AHEAD_SECONDS_MAX)


@dataclass(frozen=True, slots=True)
class Statement:
    """What one source says now about the trust space. It has `entries` entries, of which `odd` are out of the
    ordinary."""

    space: TrustSpace
    entries: int
    odd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What was accepted last of a source: its date if it has one, how many pairs of domain and name, and the
    digest of these pairs."""

    dated: datetime | None
    pairs: int
    digest: str

    @classmethod
    def of(cls, space: TrustSpace) -> Floor:
        lines = sorted(
            f"{domain.name}\0{name}\n" for domain, names in space.names_by_domain.items() for name in names
        )
        digest = hashlib.sha256("".join(lines).encode()).hexdigest()[:16]
        return cls(dated=space.generated_at, pairs=len(lines), digest=digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldStatement:
    """A statement that is not put in force, and why. An operator may overrule it if it is `acceptable`."""

    source: str
    floor: Floor
    lost: int
    why: str
    acceptable: bool


class NotTaken(Malformed):
    """A source says what must not be put in force."""

    def __init__(self, held: HeldStatement) -> None:
        super().__init__(f"{held.source}: {held.why}")
        self.held = held


def require_successor(
    name: str, space: TrustSpace, said: Floor, *, floor: Floor | None, last: TrustSpace | None, now: datetime
) -> None:
    """Returns when `space`, whose own floor would be `said`, may follow what was accepted before: `floor`,
    and `last` where its pairs are known. Raises NotTaken."""

    def held(why: str, *, lost: int = 0, acceptable: bool = True) -> NotTaken:
        return NotTaken(
            HeldStatement(source=name, floor=said, lost=lost, why=why, acceptable=acceptable),
        )

    if said.dated is not None and said.dated > now + _AHEAD:
        why = f"dated {said.dated.isoformat()}, which is in the future: is the machine's clock right?"
        raise held(why, acceptable=False)
    if floor is None:
        return
    if said.dated is not None and floor.dated is not None and said.dated < floor.dated:
        # facts §1: somebody may be replaying an old list.
        why = (
            f"dated {said.dated.isoformat()}, older than the one accepted before ({floor.dated.isoformat()})"
        )
        raise held(why)
    lost = max(0, floor.pairs - said.pairs) if last is None else lost_pairs(last, space)
    if lost > TRUST_LOST_PAIRS_MIN and lost > TRUST_LOST_SHARE_MAX * floor.pairs:
        raise held(f"it lost {lost} of {floor.pairs} pairs of domain and name", lost=lost)


def lost_pairs(before: TrustSpace, after: TrustSpace) -> int:
    """How many pairs of `before` are gone without a successor. A pair whose domain has gained another name
    meanwhile is not lost: an operator whose certificate has a new name moves all its domains in one day
    (facts §1)."""
    lost = 0
    for domain, names in before.names_by_domain.items():
        now = after.names_for(domain)
        if not now - names:
            lost += len(names - now)
    return lost
