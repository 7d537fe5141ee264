"""The trust space: exact domains, several names each, and the intersection of two sources."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssante.model import Domain
from mssante.trust.names import DistinguishedName
from mssante.trust.space import Entry, TrustSpace, both

A, B, C = (DistinguishedName.parse(f"CN=mss.{letter}.fr,C=FR") for letter in "abc")
ONE, TWO = Domain("one.mssante.fr"), Domain("two.mssante.fr")
AT = datetime(2026, 1, 1, tzinfo=UTC)

pairs = st.lists(st.builds(Entry, st.sampled_from([ONE, TWO]), st.sampled_from([A, B, C])))


def space(*entries: tuple[Domain, DistinguishedName], at: datetime | None = None) -> TrustSpace:
    return TrustSpace.from_entries((Entry(*entry) for entry in entries), source="s", generated_at=at)


def test_a_domain_has_several_names_and_a_name_several_domains() -> None:
    found = space((ONE, A), (ONE, B), (TWO, A), (ONE, A))
    assert found.names_for(ONE) == {A, B}
    assert found.domains_of(A) == {ONE, TWO}
    assert found.names == {A, B}


def test_a_subdomain_and_an_unknown_domain_have_no_name() -> None:
    found = space((ONE, A))
    assert not found.names_for(Domain("x.one.mssante.fr"))
    assert not found.names_for(TWO)


def test_a_snapshot_cannot_be_changed() -> None:
    found = space((ONE, A))
    with pytest.raises(TypeError):
        found.names_by_domain[TWO] = frozenset({A})  # type: ignore[index] # the point of the test


def test_a_pair_counts_only_if_both_sources_have_it() -> None:
    found = both(space((ONE, A), (ONE, B), (TWO, A)), space((ONE, B), (TWO, C)))
    assert dict(found.names_by_domain) == {ONE: {B}}
    assert found.names == {B}


def test_both_are_as_old_as_the_older() -> None:
    old, new = space((ONE, A), at=AT), space((ONE, A), at=AT + timedelta(days=1))
    assert both(old, new).generated_at == both(new, old).generated_at == AT
    assert both(space(), new).generated_at == AT + timedelta(days=1)
    assert both(space(), space()).age(AT) is None
    assert both(old, new).age(AT + timedelta(hours=5)) == timedelta(hours=5)


@given(pairs, pairs)
def test_both_is_the_intersection_of_pairs(left: list[Entry], right: list[Entry]) -> None:
    found = both(
        TrustSpace.from_entries(left, source="l"),
        TrustSpace.from_entries(right, source="r"),
    )
    held = {Entry(domain, name) for domain, names in found.names_by_domain.items() for name in names}
    assert held == set(left) & set(right)
    assert found.names == {entry.name for entry in held}
