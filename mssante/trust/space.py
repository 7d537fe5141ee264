"""The trust space: which operators (by certificate name) speak for which mail domains, as a snapshot.

Invariants: a snapshot never changes, so a verdict rests on one state of the lists; a listed domain does not
include its sub-domains (facts §1).
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
    """The names that speak for each domain. `source` is a word for logs; `generated_at` is the date that the
    source gives (with its time zone), None when it gives none."""

    source: str
    generated_at: datetime | None
    names_by_domain: Mapping[Domain, frozenset[DistinguishedName]] = field(repr=False)
    names: frozenset[DistinguishedName] = field(repr=False)

    @classmethod
    def from_entries(
        cls, entries: Iterable[Entry], *, source: str, generated_at: datetime | None = None
    ) -> TrustSpace:
        """A domain may have several names and a name several domains. Duplicates count once."""
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
        """The names that speak for `domain`; empty when it is not listed."""
        return self.names_by_domain.get(domain, _NOBODY)

    def domains_of(self, name: DistinguishedName) -> frozenset[Domain]:
        """The domains for which `name` speaks. It goes through the whole space, so it is for people's
        questions and not for each message."""
        return frozenset(domain for domain, names in self.names_by_domain.items() if name in names)

    def age(self, now: datetime) -> timedelta | None:
        """The age of the space by the date of its source; None when the source gives none."""
        return None if self.generated_at is None else now - self.generated_at


def both(first: TrustSpace, second: TrustSpace) -> TrustSpace:
    """The space on which both agree: a pair of domain and name counts only if both have it. Its date is that
    of the older one."""
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
