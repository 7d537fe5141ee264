"""Whether this process, and others that share its queue, are there: a session that each has for its life.

On PostgreSQL each process has one session that lasts (it also hears the notifications), and in it holds an
advisory lock whose number, its *key*, stands in every row that it has leased. When the process dies, its
sessions end and with them the lock: others see it at their next look. When only the connection was cut, the
process lives, and a remote may be about to take a letter. It comes back within seconds, so others wait
QUEUE_HOLDER_GONE_SECONDS before they believe that it is gone, and count anew when they were cut off too.
Meanwhile the process begins nothing, and sends no final dot, until it has a session again.

Invariants: a key is never used by two processes; whoever has no session has no certain lease. On SQLite there
is one process only, and it is always there.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection

from mssante.clock import Clock
from mssante.limits import QUEUE_HOLDER_GONE_SECONDS

_ABOVE_OTHER_LOCKS = 1 << 61  # the migrations' locks are numbers of 32 bits


class Presence:
    """Of one process: its `key`, its session, and for how long it has missed others."""

    def __init__(self, clock: Clock) -> None:
        self.key = _ABOVE_OTHER_LOCKS | secrets.randbits(61)
        self._clock = clock
        self._sessions = 0
        self._since: float | None = None
        self._missed: dict[int, float] = {}

    @property
    def session(self) -> int | None:
        """The number of the session that holds our lock, None while there is none. A lease that was taken in
        an earlier session may be another process's now."""
        return None if self._since is None else self._sessions

    @property
    def lasting(self) -> bool:
        """Whether this session is so old that those who were cut off with us must be back too."""
        return self._since is not None and self._for_long(self._since)

    def began(self, *, alone: bool = False) -> None:
        """A session holds our lock now. `alone`: there are no other processes, and there were none before."""
        self._sessions += 1
        self._since = float("-inf") if alone else self._clock.monotonic()
        self._missed.clear()

    def ended(self) -> None:
        """The session was cut."""
        self._since = None

    def gone(self, missing: Collection[int]) -> list[int]:
        """Given the keys of those who are missing now: those who have been missing for so long, at every
        look, that they must be gone."""
        now = self._clock.monotonic()
        self._missed = {key: self._missed.get(key, now) for key in missing}
        return [key for key, since in self._missed.items() if self._for_long(since)]

    def _for_long(self, since: float) -> bool:
        return self._clock.monotonic() - since >= QUEUE_HOLDER_GONE_SECONDS
