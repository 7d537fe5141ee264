"""What one search may take: seconds of its own work, and of indexing what it is the first to ask for.

Invariants: waiting for somebody else's turn is not the searcher's work; what must be done once for a message,
and is kept, is counted apart from what every search does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mssante.limits import IMAP_INDEXING_SECONDS_MAX, IMAP_SEARCH_SECONDS_MAX
from mssante.reasons import Reason, Refused


class Budget:
    """`monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float], seconds: float | None = None) -> None:
        self._monotonic = monotonic
        self._until = monotonic() + (IMAP_SEARCH_SECONDS_MAX if seconds is None else seconds)

    def require(self) -> None:
        """Raises Refused(LIMIT_REACHED) once it is spent."""
        if self._monotonic() > self._until:
            raise Refused(Reason.LIMIT_REACHED, "search took too long")

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What is done meanwhile is not counted."""
        began = self._monotonic()
        try:
            yield
        finally:
            self._until += self._monotonic() - began

    def for_indexing(self) -> Budget:
        """Another, for making the index of what this search asks about."""
        return Budget(self._monotonic, IMAP_INDEXING_SECONDS_MAX)
