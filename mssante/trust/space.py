"""The trust space: which operators' names speak for which mail domains, as one immutable snapshot.

Invariants: a snapshot never changes, so a verdict is taken on one state of the world; a domain is listed
exactly, its sub-domains are not (facts §1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from mssante.model import Domain
from mssante.trust.names import DistinguishedName

_NOBODY: frozenset[DistinguishedName] = frozenset()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list or of the directory: `name` speaks for `domain`."""

    domain: Domain
    name: DistinguishedName


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSpace:
    """Domain -> the names that speak for it. `source` is a word for logs; `generated_at` is the date the
    source gives itself (aware), None when it gives none."""

    source: str
    generated_at: datetime | None
    names_by_domain: Mapping[Domain, frozenset[DistinguishedName]] = field(repr=False)
    names: frozenset[DistinguishedName] = field(repr=False)

    @classmethod
    def from_entries(
        cls, entries: Iterable[Entry], *, source: str, generated_at: datetime | None = None
    ) -> TrustSpace:
        """Several names per domain and several domains per name; duplicates count once."""
        gathered: dict[Domain, set[DistinguishedName]] = {}
        for entry in entries:
            gathered.setdefault(entry.domain, set()).add(entry.name)
        return cls(
            source=source,
            generated_at=generated_at,
            names_by_domain=MappingProxyType(
                {domain: frozenset(names) for domain, names in gathered.items()}
            ),
            names=frozenset().union(*gathered.values()),
        )

    def names_for(self, domain: Domain) -> frozenset[DistinguishedName]:
        """Empty for a domain that is not listed."""
        return self.names_by_domain.get(domain, _NOBODY)

    def domains_of(self, name: DistinguishedName) -> frozenset[Domain]:
        """For people who ask; a walk through the whole space."""
        return frozenset(domain for domain, names in self.names_by_domain.items() if name in names)

    def age(self, now: datetime) -> timedelta | None:
        """How old the source says it is; None when it does not say."""
        return None if self.generated_at is None else now - self.generated_at


def both(first: TrustSpace, second: TrustSpace) -> TrustSpace:
    """What both say: a pair counts only if both have it. As old as the older of the two."""
    dates = [space.generated_at for space in (first, second) if space.generated_at is not None]
    return TrustSpace.from_entries(
        (
            Entry(domain, name)
            for domain, names in first.names_by_domain.items()
            for name in names & second.names_for(domain)
        ),
        source=f"{first.source}+{second.source}",
        generated_at=min(dates, default=None),
    )
