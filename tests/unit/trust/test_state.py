"""The trust space in force: one snapshot, swapped whole; what cannot be read leaves the last good one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from mssante.clock import ManualClock
from mssante.model import Direction, Domain, Malformed
from mssante.observe.event import Event, add_sink
from mssante.observe.events import Crashed, TrustSpaceLoaded, TrustSpaceStale
from mssante.reasons import Passing, Reason
from mssante.trust.names import DistinguishedName
from mssante.trust.policy import Rules
from mssante.trust.space import Entry, TrustSpace
from mssante.trust.state import Source, TrustState, own_domains_unlisted
from mssante.trust.statement import Statement
from tests.unit.trust.conftest import NOW, World, chain_of


@pytest.fixture
def told() -> Iterator[list[Event]]:
    events: list[Event] = []
    remove = add_sink(events.append)
    yield events
    remove()


def state_of(world: World, *sources: Source, rules: Rules | None = None) -> TrustState:
    return TrustState(
        sources={f"source {number}": source for number, source in enumerate(sources)},
        anchors=lambda: world.anchors,
        crls=world.pki.crls,
        rules=rules or Rules(),
        clock=ManualClock(at=NOW),
    )


def saying(space: TrustSpace) -> Source:
    async def source() -> Statement:
        return Statement(space, entries=len(space.names_by_domain), odd=0)

    return source


def failing(*answers: Statement | Exception) -> Callable[[], Awaitable[Statement]]:
    """A source that gives these answers in turn, then its last one for ever."""
    left = list(answers)

    async def source() -> Statement:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return source


async def test_a_peer_is_judged_by_the_snapshot_in_force(world: World, told: list[Event]) -> None:
    state = state_of(world, saying(world.space))
    assert state.space.names_by_domain == {}
    await state.load()
    peer = state.verify(chain_of(world.leaf("operator-a")), Direction.IN)
    assert str(peer.name) == world.leaf("operator-a").dn
    assert state.crls.crls
    assert [type(event) for event in told] == [TrustSpaceLoaded]
    await state.read_space()
    assert len(told) == 1  # it says what it said before


async def test_of_two_sources_a_pair_counts_only_if_both_have_it(world: World) -> None:
    mine = Entry(world.domain("operator-a"), DistinguishedName.parse(world.leaf("operator-a").dn))
    state = state_of(world, saying(world.space), saying(TrustSpace.from_entries([mine], source="other")))
    await state.load()
    assert set(state.space.names_by_domain) == {world.domain("operator-a")}


@pytest.mark.parametrize(
    ("trouble", "kinds"),
    [
        (OSError("gone"), [TrustSpaceStale]),
        (Malformed("no list"), [TrustSpaceStale]),
        (Passing(Reason.DIRECTORY_UNAVAILABLE), [TrustSpaceStale]),
        (ValueError("a bug"), [Crashed, TrustSpaceStale]),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_cannot_be_read_leaves_the_last_good_snapshot(
    world: World, told: list[Event], trouble: Exception, kinds: list[type[Event]]
) -> None:
    state = state_of(world, failing(Statement(world.space, 1, 0), trouble))
    await state.load()
    told.clear()
    task = asyncio.create_task(state.keep_fresh(0))
    async with asyncio.timeout(10):
        while len(told) < len(kinds):
            await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert [type(event) for event in told[: len(kinds)]] == kinds
    assert state.space is world.space


async def test_at_start_there_is_no_last_good_one(world: World) -> None:
    with pytest.raises(OSError, match="gone"):
        await state_of(world, failing(OSError("gone"))).load()


async def test_a_space_past_its_age_is_too_old(world: World) -> None:
    dated = replace(world.space, generated_at=NOW - timedelta(hours=25))
    for hours, old in ((26, False), (24, True)):
        state = state_of(world, saying(dated), rules=Rules(space_age_max=timedelta(hours=hours)))
        await state.load()
        assert state.too_old is old
    assert not state_of(world, saying(dated)).too_old


def test_our_domains_that_others_do_not_know_as_ours_are_told(world: World) -> None:
    ours = DistinguishedName.parse(world.leaf("operator-a").dn)
    listed, unlisted = world.domain("operator-a"), Domain("chu-z.mssante.test")
    assert own_domains_unlisted(world.space, ours, [listed, unlisted]) == [unlisted]
