"""What the runner knows of each destination while it runs: who is at it, who waits, whether anybody answers.

Invariants: at most COURIERS_PER_DESTINATION at one destination, one only while nobody answered there lately;
a destination that is down costs one attempt for each of its back-offs, whatever the number of letters;
nothing here needs to survive a restart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mssante import limits
from mssante.delivery import retry
from mssante.delivery.retry import Outcome
from mssante.store.records import DueRecipient

Group = Sequence[DueRecipient]  # of one message, to one destination


@dataclass(slots=True)
class Destination:
    tag: bytes
    waiting: deque[Group] = field(default_factory=deque)
    active: int = 0
    failures: int = 0  # in a row, of nobody answering
    not_before: datetime | None = None

    @property
    def room(self) -> bool:
        return self.active < (1 if self.failures else limits.COURIERS_PER_DESTINATION)

    def resting(self, now: datetime) -> bool:
        """Whether nobody answered a moment ago: no use in knocking."""
        return self.not_before is not None and now < self.not_before

    def note(self, outcome: Outcome, now: datetime, jitter: float) -> None:
        """Learns from an attempt. Several that found nobody at the same time are one failure."""
        if outcome.reached:
            self.failures, self.not_before = 0, None
        elif not self.resting(now):
            self.failures += 1
            self.not_before = now + retry.delay(self.failures, jitter)


class Destinations:
    """By the tag that the queue has for them."""

    def __init__(self) -> None:
        self._all: dict[bytes, Destination] = {}

    def __getitem__(self, tag: bytes) -> Destination:
        return self._all.setdefault(tag, Destination(tag))

    def add(self, due: Sequence[DueRecipient]) -> None:
        """Puts leased recipients in line, those of one message together. What somebody asked for ends
        the rest of its destination: one knocks, and the others follow or wait again."""
        groups: dict[tuple[int, bytes], list[DueRecipient]] = {}
        for each in due:
            groups.setdefault((each.number, each.destination_tag), []).append(each)
        for (_, tag), group in groups.items():
            self[tag].waiting.append(group)
            if any(each.asked_for for each in group):
                self[tag].not_before = None

    def take(self, now: datetime) -> list[tuple[Destination, Group]]:
        """What may be attempted now; each counts as active until `done`. A destination that rests gives all
        it has at once: nobody will knock."""
        taken = []
        for destination in self._all.values():
            while destination.waiting and (destination.room or destination.resting(now)):
                destination.active += 1
                taken.append((destination, destination.waiting.popleft()))
        return taken

    def done(self, destination: Destination) -> None:
        """An attempt ended."""
        destination.active -= 1
        if not (destination.active or destination.waiting or destination.failures):
            self._all.pop(destination.tag, None)

    def busy(self) -> list[bytes]:
        """Destinations for which nothing more is to be leased now."""
        return [tag for tag, each in self._all.items() if each.waiting or not each.room]

    @property
    def idle(self) -> bool:
        return not any(each.active or each.waiting for each in self._all.values())
