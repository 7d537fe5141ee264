"""What the runner knows of each destination: attempts under way, letters waiting, and whether it answers.

Invariants: one destination has at most COURIERS_PER_DESTINATION attempts at once, and only one after nobody
answered there; a destination that is down costs one attempt for each back-off, however many letters wait for
it; nothing here needs to survive a restart.
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


class Destinations:
    """All destinations, by the tag that the queue uses for them."""

    def __init__(self) -> None:
        self._all: dict[bytes, Destination] = {}

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

    def take(self, now: datetime) -> list[tuple[Destination, Group]]:
        """What may be attempted now; each group counts as active until `done`. A destination in its back-off
        gives all its groups at once: they are put off without connecting."""
        taken = []
        for destination in self._all.values():
            while destination.waiting and (destination.room or destination.resting(now)):
                destination.active += 1
                taken.append((destination, destination.waiting.popleft()))
        return taken

    def done(self, destination: Destination) -> None:
        """An attempt has ended."""
        destination.active -= 1
        if not (destination.active or destination.waiting or destination.failures):
            self._all.pop(destination.tag, None)

    def busy(self) -> list[bytes]:
        """Destinations for which nothing more should be leased now."""
        return [tag for tag, each in self._all.items() if each.waiting or not each.room]

    @property
    def idle(self) -> bool:
        return not any(each.active or each.waiting for each in self._all.values())
