"""How often a peer may write from the null reverse-path: any listed operator may (a notice, a receipt), for
domains that are nobody's, so a domain's listing bounds it not (catalogue T7).

Invariants: a peer is its DN; what is too much is Passing, so an honest burst comes later; one peer's burst
costs no other; bounded in memory.
"""

from __future__ import annotations

from collections import OrderedDict

from mssante.clock import Clock
from mssante.limits import (
    NULL_SENDERS_AT_ONCE,
    NULL_SENDERS_PEERS_REMEMBERED_MAX,
    NULL_SENDERS_PER_MINUTE,
)
from mssante.reasons import Passing, Reason


class NullSenders:
    """A measure of NULL_SENDERS_AT_ONCE for each peer, filled again at NULL_SENDERS_PER_MINUTE."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._measures: OrderedDict[str, tuple[float, float]] = OrderedDict()  # by DN: what is left, since

    def take(self, dn: str) -> None:
        """Counts one. Raises Passing(NULL_SENDERS_TOO_MANY) when the peer's measure is empty."""
        now = self._clock.monotonic()
        left, since = self._measures.get(dn, (float(NULL_SENDERS_AT_ONCE), now))
        left = min(left + (now - since) * NULL_SENDERS_PER_MINUTE / 60, float(NULL_SENDERS_AT_ONCE))
        taken = left >= 1
        self._measures[dn] = (left - 1 if taken else left), now
        self._measures.move_to_end(dn)
        if len(self._measures) > NULL_SENDERS_PEERS_REMEMBERED_MAX:
            self._measures.popitem(last=False)
        if not taken:
            raise Passing(Reason.NULL_SENDERS_TOO_MANY, dn)
