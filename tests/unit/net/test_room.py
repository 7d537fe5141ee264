"""Who gets octets that are short, and who must leave for others (R3)."""

from __future__ import annotations

import asyncio

import pytest

from mssante.net.room import Claim, Pace, Room, RoomBounds
from mssante.observe.event import Event, add_sink
from mssante.observe.events import OctetsShort, SlowSenderCut
from mssante.reasons import Passing, Reason

BOUNDS = RoomBounds(octets_max=100, patience_seconds=5, pace_octets_per_second=10, wait_seconds=60)
AT_ONCE = RoomBounds(octets_max=100, patience_seconds=5, pace_octets_per_second=10, wait_seconds=0)


class World:
    """A room, its clients and a clock that is set by hand."""

    def __init__(self, bounds: RoomBounds) -> None:
        self.room = Room("memory", bounds)
        self.now = 0.0
        self.left: list[str] = []
        self.claims: dict[str, Claim] = {}

    def client(self, name: str, *, port: str = "relay", party: str = "") -> Claim:
        claim = self.room.enter(
            port=port, party=party or name, pace=Pace(lambda: self._leave(name), lambda: self.now)
        )
        self.claims[name] = claim
        return claim

    def _leave(self, name: str) -> None:
        self.left.append(name)
        self.claims[name].give_back()


async def test_a_party_a_port_and_all_together_have_their_share() -> None:
    world = World(AT_ONCE)
    await world.client("a").hold(25)
    with pytest.raises(Passing) as refused:
        await world.client("a too", party="a").hold(1)
    assert refused.value.reason is Reason.LIMIT_REACHED
    await world.client("b").hold(25)
    with pytest.raises(Passing):
        await world.client("c").hold(1)  # the relay has its half
    await world.client("d", port="submission").hold(25)
    await world.client("e", port="submissions").hold(25)
    with pytest.raises(Passing):
        await world.client("f", port="submissions").hold(1)
    assert world.room.taken == 100


async def test_what_is_given_back_can_be_taken_again() -> None:
    world = World(AT_ONCE)
    first = world.client("a")
    for _ in range(3):
        await first.hold(20)
        await first.hold(25)
        await first.hold(10)  # holds more already
        assert world.room.taken == first.octets == 25
        first.give_back()
        first.give_back()
        assert world.room.taken == 0


async def test_the_slowest_leave_and_no_more_than_needed() -> None:
    world = World(BOUNDS)
    told: list[Event] = []
    forget = add_sink(told.append)
    paces = {"fast": 1000, "slow": 20, "slower": 10, "silent": 0, "silent for longer": 0}
    for name, octets in paces.items():
        claim = world.client(name, party="one")
        await claim.hold(5)
        claim.pace.listen()
        world.now += 1.0
        claim.pace.heard(octets)
    world.claims["silent for longer"].pace.listen()
    world.now += 10
    for name in paces:
        if name != "silent for longer":
            world.claims[name].pace.listen()
    for name in ("fast", "slow", "slower"):
        world.now += 4
        world.claims[name].pace.heard(1000 if name == "fast" else paces[name])
        world.claims[name].pace.listen()
    await world.client("new", party="one").hold(10)
    assert world.left == ["silent for longer", "silent"]
    cut = [event.who for event in told if isinstance(event, SlowSenderCut)]
    short = [event for event in told if isinstance(event, OctetsShort)]
    assert (cut, len(short), short[0].of, short[0].most_by) == (["one", "one"], 1, "one", "one")
    forget()


async def test_nobody_leaves_for_a_slower_one_nor_when_all_are_fast() -> None:
    world = World(AT_ONCE)
    fast = world.client("fast", party="one")
    await fast.hold(25)
    fast.pace.listen()
    world.now += 6
    fast.pace.heard(600)
    fast.pace.listen()
    with pytest.raises(Passing):
        await world.client("new", party="one").hold(1)
    slow = world.client("slow", party="two")
    await slow.hold(25)
    slow.pace.listen()
    world.now += 6
    slow.pace.heard(30)
    slow.pace.listen()
    slower = world.client("slower", party="two")
    slower.pace.listen()
    world.now += 4
    slow.pace.heard(20)
    slow.pace.listen()
    world.now += 2
    slower.pace.heard(1)
    with pytest.raises(Passing):
        await slower.hold(1)
    assert world.left == []


async def test_when_all_wait_one_of_the_party_that_holds_most_is_refused() -> None:
    world = World(BOUNDS)
    large, small = world.client("large", party="hoarder"), world.client("small", party="hoarder")
    await large.hold(15)
    await small.hold(10)
    waiting = [asyncio.ensure_future(claim.hold(20)) for claim in (large, small)]
    with pytest.raises(Passing):
        await waiting[0]
    large.give_back()
    await waiting[1]
    assert (small.octets, world.room.taken) == (20, 20)
