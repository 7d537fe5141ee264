"""Counts the mailboxes of ours that somebody named and that do not exist, over all of their sessions.

Whoever tries names learns our directory, unlisted mailboxes included: an answer for each name is all it
takes. A count in each session is begun again by connecting again, so this one follows who it is: the DN of a
peer, or the person who signed in. When too many names were wrong, neither yes nor no is said any more (450)
until the allowance has grown back, except for the mailboxes that the same peer or person has named before:
letters between people who write to each other go on.

Invariants: one peer's guesses take nothing from another's; whoever has none left learns nothing of a mailbox
that it does not know already; the alarm is told at once, and then as a sum; memory is bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mssante.clock import Clock
from mssante.delivery.allowance import Allowance
from mssante.limits import CORRESPONDENTS_REMEMBERED_MAX, GUESSES_AT_ONCE, GUESSES_PER_HOUR
from mssante.model import Address
from mssante.net.repeated import Repeated
from mssante.observe.event import report
from mssante.observe.events import AddressesHarvested
from mssante.reasons import Passing, Reason, Refused

T = TypeVar("T")


class Guesses:
    """Those of the peers of the relay, or of the persons who submit."""

    def __init__(self, clock: Clock) -> None:
        self._allowance = Allowance(clock, at_once=GUESSES_AT_ONCE, per_hour=GUESSES_PER_HOUR)
        self._correspondents: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._alarms: Repeated[str] = Repeated(_alarm, rest="others")

    async def judged(self, who: str, address: Address, answer: Callable[[], Awaitable[T]]) -> T:
        """What `answer` says of `address`. Raises Passing(RECIPIENTS_GUESSED) instead when `who` has named
        too many mailboxes that do not exist, and has not named this one before."""
        pair = who, address.key
        if pair not in self._correspondents and self._allowance.left(who) < 1:
            self._alarms.happened(who)
            raise Passing(Reason.RECIPIENTS_GUESSED, who)
        try:
            found = await answer()
        except Refused as refused:
            if refused.reason is Reason.MAILBOX_UNKNOWN:
                self._correspondents.pop(pair, None)
                self._allowance.take(who)
            raise
        self._correspondents[pair] = None
        self._correspondents.move_to_end(pair)
        if len(self._correspondents) > CORRESPONDENTS_REMEMBERED_MAX:
            self._correspondents.popitem(last=False)
        return found


def _alarm(who: str, times: int) -> None:
    report(AddressesHarvested(who=who, times=times))
