"""A cache of what was read from the database a moment ago, bounded in age and in size."""

from __future__ import annotations

from typing import Generic, TypeVar

from mssante.clock import Clock

K = TypeVar("K")
V = TypeVar("V")


class AgedCache(Generic[K, V]):
    """Remembers each value for `seconds`. When it already holds `most` values, it forgets all of them."""

    def __init__(self, clock: Clock, *, seconds: float, most: int) -> None:
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._known: dict[K, tuple[float, V]] = {}

    def known(self, key: K) -> V | None:
        """The value of `key`; None when it is not known or is too old."""
        until, value = self._known.get(key, (0.0, None))
        return value if self._clock.monotonic() < until else None

    def remember(self, key: K, value: V) -> None:
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[key] = (self._clock.monotonic() + self._seconds, value)

    def forget(self) -> None:
        """Forgets everything, because something of it has changed."""
        self._known.clear()
