"""What was read a moment ago, remembered for a bounded time and in a bounded number."""

from __future__ import annotations

from typing import Generic, TypeVar

from mssante.clock import Clock

K = TypeVar("K")
V = TypeVar("V")


class AgedCache(Generic[K, V]):
    """Remembers each value for `seconds`; when there are `most`, all are forgotten."""

    def __init__(self, clock: Clock, *, seconds: float, most: int) -> None:
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._known: dict[K, tuple[float, V]] = {}

    def known(self, key: K) -> V | None:
        """None when it is not known, or was learnt too long ago."""
        until, value = self._known.get(key, (0.0, None))
        return value if self._clock.monotonic() < until else None

    def remember(self, key: K, value: V) -> None:
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[key] = (self._clock.monotonic() + self._seconds, value)

    def forget(self) -> None:
        """Everything: something of it has changed."""
        self._known.clear()
