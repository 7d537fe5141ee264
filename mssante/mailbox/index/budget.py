"""How long one search may take: some seconds for its own work, more for indexing what was never searched.

Invariants: waiting while others have their turn does not count as the search's work; indexing, which is done
once for a message and then kept, has a budget apart from that of searching.
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
        """The time that the context lasts is not counted."""
        began = self._monotonic()
        try:
            yield
        finally:
            self._until += self._monotonic() - began

    def for_indexing(self) -> Budget:
        """A separate budget, for indexing the messages that this search asks about."""
        return Budget(self._monotonic, IMAP_INDEXING_SECONDS_MAX)
