"""Limits how often a peer may send from the null reverse-path.

Any listed operator may do so, for notices and receipts. The null sender has no domain, so the check that a
peer is listed for the sender's domain does not limit it (catalogue T7).

Invariants: peers are told apart by their DN; what is over the limit is Passing, so honest mail that comes all
at once is only delayed.
"""

from __future__ import annotations

from mssante.clock import Clock
from mssante.delivery.allowance import Allowance
from mssante.limits import NULL_SENDERS_AT_ONCE, NULL_SENDERS_PER_MINUTE
from mssante.reasons import Passing, Reason


class NullSenders:
    """Allows each peer NULL_SENDERS_AT_ONCE messages at once, and then NULL_SENDERS_PER_MINUTE."""

    def __init__(self, clock: Clock) -> None:
        self._allowance = Allowance(
            clock, at_once=NULL_SENDERS_AT_ONCE, per_hour=60 * NULL_SENDERS_PER_MINUTE
        )

    def take(self, dn: str) -> None:
        """Counts one message. Raises Passing(NULL_SENDERS_TOO_MANY) when the peer has none left."""
        if not self._allowance.take(dn):
            raise Passing(Reason.NULL_SENDERS_TOO_MANY, dn)
