"""How much each of many may do: so much at once, and then so much an hour.

Invariants: what one has used up takes nothing from the others; an allowance grows back by itself and is never
above what it was at first; memory is bounded, and who was not seen for longest is forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict

from mssante.clock import Clock
from mssante.limits import ALLOWANCES_REMEMBERED_MAX

_HOUR = 3600


class Allowance:
    """Each key may use `at_once`, and gets back `per_hour`. A key must be one that was proved (a peer's DN, a
    person, a mailbox): whoever can choose keys could make us forget those of others."""

    def __init__(self, clock: Clock, *, at_once: float, per_hour: float) -> None:
        self._clock = clock
        self._at_once = float(at_once)
        self._per_second = per_hour / _HOUR
        self._measures: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key: (left, at what time)

    def left(self, key: str) -> float:
        """What `key` may still use now."""
        now = self._clock.monotonic()
        left, since = self._measures.get(key, (self._at_once, now))
        return min(left + (now - since) * self._per_second, self._at_once)

    def take(self, key: str, amount: float = 1) -> bool:
        """Uses `amount` of what `key` has left, or nothing when that is less. Returns whether it did."""
        left = self.left(key)
        taken = left >= amount
        self._measures[key] = (left - amount if taken else left), self._clock.monotonic()
        self._measures.move_to_end(key)
        if len(self._measures) > ALLOWANCES_REMEMBERED_MAX:
            self._measures.popitem(last=False)
        return taken
