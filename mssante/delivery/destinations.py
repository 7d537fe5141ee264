"""What the runner knows of each destination: attempts under way, letters waiting, and whether it answers.

Invariants: one destination has at most COURIERS_PER_DESTINATION attempts at once, and only one after nobody
answered there; all together have at most COURIERS_AT_ONCE, of which those that are silent, or that nobody
tried yet, can take a share only, so that places are left for those that answer; a destination that is down
costs one attempt for each back-off, however many letters wait for it; nothing here needs to survive a
restart.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from mssante import limits
from mssante.delivery import retry
from mssante.delivery.retry import Outcome
from mssante.reasons import Reason
from mssante.store.records import DueRecipient, RecipientId

Group = Sequence[DueRecipient]  # all of one message and one destination


@dataclass(slots=True)
class Destination:
    tag: bytes
    waiting: deque[Group] = field(default_factory=deque)
    active: int = 0
    failures: int = 0  # attempts in a row that nobody answered
    not_before: datetime | None = None

    @property
    def room(self) -> bool:
        return self.active < (1 if self.failures else limits.COURIERS_PER_DESTINATION)

    def resting(self, now: datetime) -> bool:
        """Whether nobody answered a short while ago, so that it is too early to connect again."""
        return self.not_before is not None and now < self.not_before

    def note(self, outcome: Outcome, now: datetime, jitter: float) -> None:
        """Learns from an attempt. Several unanswered attempts at the same time count as one failure."""
        if outcome.reached:
            self.failures, self.not_before = 0, None
        elif not self.resting(now):
            self.failures += 1
            self.not_before = now + retry.delay(self.failures, jitter)


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One letter to one destination, begun: it holds a place if it `connects`; if the destination is
    `resting`, it is put off without connecting."""

    destination: Destination
    group: Group
    connects: bool
    resting: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of which destinations more may be leased: those of `only`, or all if it is None, but for `exclude`."""

    only: frozenset[bytes] | None
    exclude: frozenset[bytes]


class Destinations:
    """All destinations, by the tag that the queue uses for them. Those in `near` are our own domains: nothing
    is connected for them, so they need no place."""

    def __init__(self, near: frozenset[bytes] = frozenset()) -> None:
        self._near = near
        self._all: dict[bytes, Destination] = {}
        self._answered: OrderedDict[bytes, None] = OrderedDict()  # those that did when last tried
        self._connected: Counter[bytes] = Counter()
        self._begun: dict[RecipientId, Group] = {}  # by the first of the group

    def __getitem__(self, tag: bytes) -> Destination:
        return self._all.setdefault(tag, Destination(tag))

    def add(self, due: Sequence[DueRecipient]) -> None:
        """Makes leased recipients wait for their turn, those of one message together. When an operator asked
        to retry one of them, the destination's back-off ends: one attempt is made, and the others follow if
        it is answered, or wait again."""
        groups: dict[tuple[int, bytes], list[DueRecipient]] = {}
        for each in due:
            groups.setdefault((each.number, each.destination_tag), []).append(each)
        for (_, tag), group in groups.items():
            self[tag].waiting.append(group)
            if any(each.asked_for for each in group):
                self[tag].not_before = None

    def take(self, now: datetime) -> list[DeliveryAttempt]:
        """What may be attempted now; each counts as active until `done`. Destinations take turns, and whoever
        was served goes to the end. A destination in its back-off gives all its groups at once: they are put
        off without connecting."""
        taken: list[DeliveryAttempt] = []
        places = self._places()
        served = True
        while served:
            served = False
            for destination in [each for each in self._all.values() if each.waiting]:
                if destination.resting(now):
                    while destination.waiting:
                        taken.append(self._begin(destination, resting=True))
                elif destination.room and places.take(self._standing(destination.tag)):
                    taken.append(self._begin(destination, resting=False))
                    self._all[destination.tag] = self._all.pop(destination.tag)
                    served = True
        return taken

    def under_way(self) -> frozenset[RecipientId]:
        """The recipients of the attempts that have begun and not ended."""
        return frozenset(each.id for group in self._begun.values() for each in group)

    def forget_waiting(self) -> None:
        """Nothing waits here any more, because its lease is in doubt. The attempts under way go on."""
        for destination in list(self._all.values()):
            destination.waiting.clear()
            self._forget_if_idle(destination)

    def done(self, attempt: DeliveryAttempt) -> None:
        """An attempt has ended."""
        destination = attempt.destination
        del self._begun[attempt.group[0].id]
        destination.active -= 1
        if attempt.connects:
            self._connected[destination.tag] -= 1
            if not self._connected[destination.tag]:
                del self._connected[destination.tag]
        self._forget_if_idle(destination)

    def _forget_if_idle(self, destination: Destination) -> None:
        if not (destination.active or destination.waiting or destination.failures):
            self._all.pop(destination.tag, None)

    def note(self, destination: Destination, outcome: Outcome, now: datetime, jitter: float) -> None:
        """Learns from an attempt whether the destination answers."""
        destination.note(outcome, now, jitter)
        self._answered.pop(destination.tag, None)
        # Whoever answers and then says nothing for minutes keeps a place as long as whoever is silent.
        if outcome.reached and outcome.reason is not Reason.REMOTE_UNREACHABLE:
            self._answered[destination.tag] = None
            if len(self._answered) > limits.DESTINATIONS_REMEMBERED_MAX:
                self._answered.popitem(last=False)

    def wanted(self) -> Wanted:
        """Of which destinations more should be leased now. A lease is not taken for what there is no place
        for: it would run out while the letter waits here, and no other host could try it meanwhile."""
        places = self._places()
        busy = frozenset(tag for tag, each in self._all.items() if each.waiting or not each.room)
        if not places.free(_Standing.ANSWERED):
            return Wanted(self._near - busy, frozenset())
        if not places.free(_Standing.NEW):
            return Wanted((self._near | self._answered.keys()) - busy, frozenset())
        if not places.free(_Standing.SILENT):
            busy |= {tag for tag, each in self._all.items() if each.failures}
        return Wanted(None, busy)

    @property
    def idle(self) -> bool:
        return not any(each.active or each.waiting for each in self._all.values())

    def _begin(self, destination: Destination, *, resting: bool) -> DeliveryAttempt:
        destination.active += 1
        connects = not resting and destination.tag not in self._near
        if connects:
            self._connected[destination.tag] += 1
        group = destination.waiting.popleft()
        self._begun[group[0].id] = group
        return DeliveryAttempt(destination, group, connects, resting)

    def _standing(self, tag: bytes) -> _Standing:
        if tag in self._near:
            return _Standing.NEAR
        if tag in self._all and self._all[tag].failures:
            return _Standing.SILENT
        return _Standing.ANSWERED if tag in self._answered else _Standing.NEW

    def _places(self) -> _Conversations:
        places = _Conversations()
        for tag, number in self._connected.items():
            places.taken[self._standing(tag)] += number
        return places


class _Standing(Enum):
    NEAR = "a domain of ours"
    ANSWERED = "answered when it was last tried"
    NEW = "not tried lately"
    SILENT = "nobody answered when it was last tried"


class _Conversations:
    """The conversations under way, by what is known of their destinations."""

    def __init__(self) -> None:
        self.taken: Counter[_Standing] = Counter()

    def take(self, standing: _Standing) -> bool:
        """Takes a place, if there is one for such a destination."""
        if not self.free(standing):
            return False
        self.taken[standing] += standing is not _Standing.NEAR
        return True

    def free(self, standing: _Standing) -> bool:
        silent = self.taken[_Standing.SILENT]
        unproved = silent + self.taken[_Standing.NEW]
        match standing:
            case _Standing.NEAR:
                return True
            case _Standing.SILENT if silent >= limits.COURIERS_AT_SILENT:
                return False
            case _Standing.SILENT | _Standing.NEW if unproved >= limits.COURIERS_AT_UNPROVED:
                return False
            case _:
                return self.taken.total() < limits.COURIERS_AT_ONCE
