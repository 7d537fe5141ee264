"""How much one person, or one mailbox, may send in an hour and have waiting in the queue.

One stolen password must not fill the disk, nor send to everybody in a night. Each bound holds twice: for the
person who signed in, whatever mailbox they write from, and for the mailbox, whoever writes from it.

Invariants: who is above a bound is told before the content is sent (4xx), and nothing is counted then; what
one used up takes nothing from others; what waits is counted in the database, so a restart forgets none of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mssante import limits
from mssante.clock import Clock
from mssante.delivery.allowance import Allowance
from mssante.delivery.route import person_tag, sender_tag
from mssante.model import Address, PersonId
from mssante.net.repeated import Repeated
from mssante.observe.event import report
from mssante.observe.events import SendingHeldBack
from mssante.reasons import Passing, Reason
from mssante.store import MailStore


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingBounds:
    """For each person and each mailbox. An hour's recipients may come all at once."""

    recipients_per_hour: int = limits.SENT_RECIPIENTS_PER_HOUR
    queued_kib_max: int = limits.QUEUED_OCTETS_MAX // limits.KIB
    queued_recipients_max: int = limits.QUEUED_RECIPIENTS_MAX


class Sending:
    """What our people send, seen from this process; `secret` makes the tags of the queue."""

    def __init__(self, *, store: MailStore, secret: bytes, clock: Clock, bounds: SendingBounds) -> None:
        self._store = store
        self._secret = secret
        self._bounds = bounds
        hourly = bounds.recipients_per_hour
        self._persons = Allowance(clock, at_once=hourly, per_hour=hourly)
        self._mailboxes = Allowance(clock, at_once=hourly, per_hour=hourly)
        self._alarms: Repeated[tuple[str, Reason]] = Repeated(_alarm, rest=("others", Reason.LIMIT_REACHED))

    async def admit(self, person: PersonId, sender: Address | None, *, recipients: int, octets: int) -> None:
        """Counts a letter that is about to come in. Raises Passing(SENDING_TOO_FAST, SENDER_QUEUE_FULL)."""
        tags = person_tag(self._secret, person), sender_tag(self._secret, sender) if sender else None
        for waiting in await self._store.queue.waiting_of(person=tags[0], sender=tags[1]):
            if (
                waiting.kib + octets // limits.KIB > self._bounds.queued_kib_max
                or waiting.recipients + recipients > self._bounds.queued_recipients_max
            ):
                self._hold_back(person, Reason.SENDER_QUEUE_FULL)
        shares = [(self._persons, person)] + ([(self._mailboxes, sender.key)] if sender else [])
        if any(share.left(key) < recipients for share, key in shares):
            self._hold_back(person, Reason.SENDING_TOO_FAST)
        for share, key in shares:
            share.take(key, recipients)

    def _hold_back(self, person: PersonId, reason: Reason) -> None:
        self._alarms.happened((person, reason))
        raise Passing(reason, person)


def _alarm(what: tuple[str, Reason], times: int) -> None:
    person, reason = what
    report(SendingHeldBack(person=person, reason=reason, times=times))
