"""An amount of octets that many conversations take from, with shares, so that nobody takes all of it.

A conversation takes octets when it needs them, and gives them back when it ends. Whoever takes nothing costs
nothing. A party (a peer or a person) and a port may hold only their share.

When octets are short, whoever asks for some waits, and the slowest of those who hold the share that is used
up are told to leave: the one whose octets come slowest, and of several that send nothing, the one that has
been silent for longest. Only a client that we have listened to for a while can be judged slow, and nobody
makes a faster one leave. If everybody in a share waits for more, nobody would ever go on; then one is refused
whose party holds the most.

Invariants: no more octets are held than there are, neither in total nor of a share; every wait ends; a
shortage is reported when it begins, and then as a sum.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mssante import limits
from mssante.net.repeated import Repeated
from mssante.observe.event import report
from mssante.observe.events import OctetsShort, SlowSenderCut
from mssante.observe.terms import Share
from mssante.reasons import Passing, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomBounds:
    """How much there is, and when a client may be told to leave for others."""

    octets_max: int
    share_of_port: float = limits.ROOM_SHARE_OF_PORT
    share_of_party: float = limits.ROOM_SHARE_OF_PARTY
    wait_seconds: float = limits.ROOM_WAIT_SECONDS
    patience_seconds: float = limits.ROOM_PATIENCE_SECONDS
    pace_octets_per_second: float = limits.ROOM_PACE_OCTETS_PER_SECOND


class Pace:
    """How fast a client has sent lately. Only time in which we listen to it counts, so it is never blamed
    for ours. `leave` is called once when it must go for others."""

    def __init__(self, leave: Callable[[], None], clock: Callable[[], float]) -> None:
        self.octets = 0
        self.waited = 0.0  # seconds of listening
        self.leaving = False
        self._leave = leave
        self._clock = clock
        self._listening_at: float | None = None
        self._marks = [(0.0, 0), (0.0, 0)]  # seconds and octets at the two last beginnings of a period

    def listen(self) -> None:
        """We wait for its next octets from now on."""
        self._listening_at = self._clock()

    def heard(self, octets: int) -> None:
        """They have come."""
        self.waited += self.silence
        self.octets += octets
        self._listening_at = None
        if self.waited - self._marks[1][0] >= limits.ROOM_PACE_PERIOD_SECONDS:
            self._marks = [self._marks[1], (self.waited, self.octets)]

    @property
    def silence(self) -> float:
        """For how many seconds we have been waiting for its next octets."""
        return 0.0 if self._listening_at is None else self._clock() - self._listening_at

    @property
    def listening(self) -> bool:
        return self._listening_at is not None

    def per_second(self, patience_seconds: float) -> float:
        """Its octets per second of late: none after a silence of `patience_seconds`; infinite when we have
        not listened to it for so long in all."""
        if self.silence >= patience_seconds:
            return 0.0
        began, octets = self._marks[0]
        seconds = self.waited + self.silence - began
        return (self.octets - octets) / seconds if seconds >= patience_seconds else float("inf")

    def leave(self) -> None:
        self.leaving = True
        self._leave()


class Claim:
    """What one conversation holds of a room."""

    def __init__(self, room: Room, port: str, party: str, pace: Pace) -> None:
        self.port = port
        self.party = party
        self.pace = pace
        self.octets = 0
        self.waiting = False
        self.given_up = False  # it waits in vain
        self._room = room

    async def hold(self, octets: int) -> None:
        """Takes as many more as are missing to hold `octets` in all, and waits for them if they are short.
        Raises Passing(LIMIT_REACHED) when there are none in time."""
        if octets > self.octets:
            await self._room.take(self, octets - self.octets)

    def give_back(self) -> None:
        """Gives back all of it. May be called several times."""
        self._room.give_back(self)


class Room:
    """`name` says in events what the octets are."""

    def __init__(self, name: str, bounds: RoomBounds) -> None:
        self._name = name
        self._bounds = bounds
        self._claims: dict[Claim, None] = {}
        self._taken: Counter[tuple[Share, str]] = Counter()
        self._waiters: dict[asyncio.Future[None], None] = {}
        self._shortages: Repeated[tuple[Share, str]] = Repeated(
            self._tell, rest=(Share.ALL, ""), later=lambda seconds, call: _loop().call_later(seconds, call)
        )

    @property
    def taken(self) -> int:
        """How many octets are held."""
        return self._taken[Share.ALL, ""]

    def enter(self, *, port: str, party: str, pace: Pace) -> Claim:
        """A claim that holds nothing yet. `party` is who must share with others: a peer's DN, a login."""
        return Claim(self, port, party, pace)

    async def take(self, claim: Claim, octets: int) -> None:
        """For Claim.hold."""
        if self._short(claim, octets) is not None:
            await self._wait(claim, octets)
        claim.octets += octets
        self._claims[claim] = None
        for share in _shares(claim):
            self._taken[share] += octets

    def give_back(self, claim: Claim) -> None:
        """For Claim.give_back."""
        if claim not in self._claims:
            return
        del self._claims[claim]
        for share in _shares(claim):
            self._taken[share] -= claim.octets
            if not self._taken[share]:
                del self._taken[share]
        claim.octets = 0
        self._wake()

    # Inside

    def _most(self, share: Share) -> float:
        bounds = self._bounds
        parts = {Share.ALL: 1.0, Share.PORT: bounds.share_of_port, Share.PARTY: bounds.share_of_party}
        return bounds.octets_max * parts[share]

    def _short(self, claim: Claim, octets: int) -> tuple[Share, str] | None:
        """The share that has no room for so many more."""
        for share in _shares(claim):
            if self._taken[share] + octets > self._most(share[0]):
                return share
        return None

    async def _wait(self, claim: Claim, octets: int) -> None:
        until = _loop().time() + self._bounds.wait_seconds
        claim.waiting = True
        try:
            while (short := self._short(claim, octets)) is not None:
                self._shortages.happened(short)
                others = [each for each in self._claims if each is not claim and short in _shares(each)]
                self._make_leave(others, claim, self._taken[short] + octets - self._most(short[0]))
                if all(each.waiting for each in others):
                    self._give_one_up([*others, claim])
                left = until - _loop().time()
                if left <= 0 or claim.given_up:
                    raise Passing(Reason.LIMIT_REACHED, f"{self._name}: {short[0]}")
                await self._changed(min(left, limits.ROOM_LOOK_AGAIN_SECONDS))
        finally:
            claim.waiting = claim.given_up = False

    def _make_leave(self, others: list[Claim], asking: Claim, missing: float) -> None:
        """Tells the slowest of `others` to leave, until those that leave hold what is missing."""
        patience = self._bounds.patience_seconds
        missing -= sum(each.octets for each in others if each.pace.leaving)
        most = min(self._bounds.pace_octets_per_second, asking.pace.per_second(patience))
        judged = [
            (each.pace.per_second(patience), -each.pace.silence, number)
            for number, each in enumerate(others)
            if each.pace.listening and not each.pace.leaving
        ]
        for pace, _, number in sorted(judged):
            if missing <= 0 or pace >= most:
                return
            slow = others[number]
            missing -= slow.octets
            report(
                SlowSenderCut(
                    listener=slow.port, who=slow.party, octets=slow.pace.octets, octets_per_second=int(pace)
                )
            )
            slow.pace.leave()

    def _give_one_up(self, waiting: list[Claim]) -> None:
        if not any(each.given_up for each in waiting):
            held = _held(waiting)
            most = max(waiting, key=lambda each: (held[each.party], each.octets))
            most.given_up = True
            self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _changed(self, seconds: float) -> None:
        """Waits until something was given back, and no longer than that."""
        waiter: asyncio.Future[None] = _loop().create_future()
        self._waiters[waiter] = None
        try:
            await asyncio.wait([waiter], timeout=seconds)
        finally:
            del self._waiters[waiter]

    def _tell(self, short: tuple[Share, str], times: int) -> None:
        most = _held([each for each in self._claims if short in _shares(each)]).most_common(1)
        report(
            OctetsShort(
                room=self._name, share=short[0], of=short[1], most_by=most[0][0] if most else "", times=times
            )
        )


def _held(claims: Iterable[Claim]) -> Counter[str]:
    """How much each party holds."""
    held: Counter[str] = Counter()
    for claim in claims:
        held[claim.party] += claim.octets
    return held


def _shares(claim: Claim) -> tuple[tuple[Share, str], ...]:
    return (Share.PARTY, claim.party), (Share.PORT, claim.port), (Share.ALL, "")


def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()
