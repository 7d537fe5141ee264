"""Limits how often a peer may send from the null reverse-path.

Any listed operator may do so, for notices and receipts. The null sender has no domain, so the check that a
peer is listed for the sender's domain does not limit it (catalogue T7).

Invariants: peers are told apart by their DN; what is over the limit is Passing, so honest mail that comes all
at once is only delayed; one peer's burst takes nothing from the others; memory is bounded.
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
    """Allows each peer NULL_SENDERS_AT_ONCE messages at once, and then NULL_SENDERS_PER_MINUTE."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._measures: OrderedDict[str, tuple[float, float]] = OrderedDict()  # DN: (left, at what time)

    def take(self, dn: str) -> None:
        """Counts one message. Raises Passing(NULL_SENDERS_TOO_MANY) when the peer has none left."""
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
