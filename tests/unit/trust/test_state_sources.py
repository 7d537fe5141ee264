"""The trust space in force: each source is read by itself, and a bad one costs itself only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mssante.clock import ManualClock
from mssante.model import Domain, Malformed
from mssante.observe.event import Event, add_sink
from mssante.observe.events import TrustFileUnused, TrustSpaceStale
from mssante.reasons import Passing, Reason
from mssante.trust.names import DistinguishedName
from mssante.trust.policy import Rules
from mssante.trust.revocation import CrlState
from mssante.trust.space import Entry, TrustSpace
from mssante.trust.state import Source, TrustState
from mssante.trust.statement import Statement
from tests.unit.trust.conftest import NOW, World

A, B = Domain("a.mssante.test"), Domain("b.mssante.test")


class Changing:
    """A source that says what it is told to say, or raises it."""

    def __init__(self, name: str, *domains: Domain) -> None:
        self.name = name
        self.says: tuple[Domain, ...] | Exception = domains

    async def __call__(self) -> Statement:
        if isinstance(self.says, Exception):
            raise self.says
        ours = DistinguishedName.parse("CN=mss.a.test,O=A,C=FR")
        space = TrustSpace.from_entries((Entry(each, ours) for each in self.says), source=self.name)
        return Statement(space, entries=len(self.says), odd=0)


def state_of(world: World, crls: Path, **sources: Source) -> TrustState:
    return TrustState(
        sources=sources, anchors=lambda: world.anchors, crls=crls, rules=Rules(), clock=ManualClock(NOW)
    )


@pytest.fixture
def told() -> Iterator[list[Event]]:
    """The events of a test."""
    found: list[Event] = []
    remove = add_sink(found.append)
    yield found
    remove()


@pytest.fixture
def crls(world: World, tmp_path: Path) -> Path:
    (tmp_path / "a.crl").write_bytes(world.pki.organisations.crl(now=NOW).public_bytes(Encoding.DER))
    return tmp_path


@pytest.mark.parametrize("trouble", [OSError("gone"), Malformed("odd"), RuntimeError("nobody expects it")])
async def test_a_source_that_fails_later_keeps_what_it_said_and_the_others_are_renewed(
    world: World, crls: Path, told: list[Event], trouble: Exception
) -> None:
    listed, directory = Changing("list", A, B), Changing("directory", A)
    state = state_of(world, crls, liste=listed, annuaire=directory)
    await state.load()
    assert set(state.space.names_by_domain) == {A}
    listed.says, directory.says = trouble, (A, B)
    await state.renew()
    assert set(state.space.names_by_domain) == {A, B}
    assert {event.source for event in told if isinstance(event, TrustSpaceStale)} == {"liste"}


@pytest.mark.parametrize(
    ("trouble", "raised"),
    [
        (OSError("gone"), OSError),
        (Passing(Reason.DIRECTORY_UNAVAILABLE), Passing),
        (RuntimeError("nobody expects it"), Malformed),
    ],
)
async def test_at_start_a_source_that_fails_is_named(
    world: World, crls: Path, trouble: Exception, raised: type[Exception]
) -> None:
    listed = Changing("list")
    listed.says = trouble
    with pytest.raises(raised) as error:
        await state_of(world, crls, liste=listed).load()
    if raised is Malformed:
        assert str(error.value) == "liste: cannot be read (RuntimeError)"


async def test_a_folder_of_revocation_lists_that_goes_away_leaves_the_lists_in_force(
    world: World, crls: Path, told: list[Event]
) -> None:
    state = state_of(world, crls, liste=Changing("list", A))
    await state.load()
    (crls / "a.crl").unlink()
    crls.rmdir()
    await state.renew()
    assert state.crls.state(world.anchors.intermediates[0], NOW) is CrlState.FRESH
    assert {event.source for event in told if isinstance(event, TrustSpaceStale)} == {str(crls)}


async def test_a_file_that_does_not_count_is_told_once(world: World, crls: Path, told: list[Event]) -> None:
    state = state_of(world, crls, liste=Changing("list", A))
    await state.load()
    (crls / "b.crl").write_bytes(b"rien")
    await state.renew()
    await state.renew()
    found = [event for event in told if isinstance(event, TrustFileUnused)]
    assert [(event.file, event.why) for event in found] == [
        ("b.crl", "not a certificate revocation list (ValueError)")
    ]


async def test_a_directory_that_stays_silent_grows_old_like_a_list(world: World, crls: Path) -> None:
    """Its last answer has no date of its own; a pair taken out of it must not be trusted for ever."""
    clock = ManualClock(NOW)
    directory = Changing("directory", A)
    state = TrustState(
        sources={"annuaire": directory},
        anchors=lambda: world.anchors,
        crls=crls,
        rules=Rules(space_age_max=timedelta(days=7)),
        clock=clock,
    )
    await state.load()
    clock.advance(timedelta(days=30))
    await state.renew()
    assert not state.too_old
    directory.says = Passing(Reason.DIRECTORY_UNAVAILABLE)
    clock.advance(timedelta(days=6))
    await state.renew()
    assert not state.too_old
    clock.advance(timedelta(days=2))
    await state.renew()
    assert state.too_old
