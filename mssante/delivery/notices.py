"""Tells a sender of ours that a letter did not arrive, or is delayed (RFC 3464).

Invariants: a notice goes through Reception like any letter; it has the null sender, and no notice is written
for a letter with the null sender (R12); it goes only to a mailbox of ours; sending it again after a crash
changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mssante.delivery.letters import Letter
from mssante.delivery.reception import Reception, Trace
from mssante.delivery.retry import Outcome
from mssante.delivery.routing import Routing
from mssante.mime import notice
from mssante.model import Address, MessageSource
from mssante.reasons import Reason, Refused
from mssante.words.notice import explanation

_POSTMASTER = "postmaster"  # RFC 5321 §4.5.1


@dataclass(frozen=True, slots=True)
class Failure:
    """A recipient that we gave up for `reason`. `last` is the outcome of the last attempt."""

    reason: Reason
    last: Outcome


class Notices:
    """Writes notices, in the name of the postmaster of the sender's domain."""

    def __init__(self, reception: Reception, routing: Routing) -> None:
        self._reception = reception
        self._routing = routing

    async def failed(self, letter: Letter, failures: Mapping[Address, Failure], *, now: datetime) -> bool:
        """Tells the sender which recipients failed. Returns whether it was told: a null sender is not, nor a
        mailbox that takes no mail any more. Raises Passing; then try again before the letter is forgotten."""
        told = [_failed(address, failure, now) for address, failure in failures.items()]
        ids = sorted(letter.due[address].id for address in failures)
        return await self._tell(letter, told, once=f"failed\0{letter.id}\0{ids}", now=now)

    async def delayed(
        self, letter: Letter, waiting: Mapping[Address, Outcome], *, until: datetime, now: datetime
    ) -> bool:
        """Tells the sender what is still being tried, and until when; once for each letter and destination.
        Returns and raises as `failed` does."""
        told = [_delayed(address, outcome, until, now) for address, outcome in waiting.items()]
        once = f"delayed\0{letter.id}\0{letter.domain}"
        return await self._tell(letter, told, once=once, now=now)

    async def _tell(
        self, letter: Letter, told: Sequence[notice.ReportedOutcome], *, once: str, now: datetime
    ) -> bool:
        sender = letter.route.sender
        if sender is None:
            return False
        octets = notice.notice(
            reporting_server=self._reception.hostname,
            author=Address(_POSTMASTER, sender.domain),
            to=sender,
            outcomes=told,
            original_header=await _header(letter),
            sent_at=now,
            unique=hashlib.sha256(once.encode("ascii")).hexdigest()[:32],
            arrived_at=letter.queued_at,
        )
        try:
            recipient = await self._routing.local(sender, size=len(octets))
            intake = await self._reception.deposit(
                sender=None,
                recipients=[recipient],
                trace=Trace(source=MessageSource.QUEUE, detail={"queued": letter.id, "notice": "yes"}),
                once=once.encode("ascii"),
            )
            try:
                await intake.write(octets)
            except BaseException:
                await intake.abort()
                raise
            await intake.commit()
        except Refused:
            return False  # there is nobody left to tell; the journal has the letter's outcome
        return True


async def _header(letter: Letter) -> bytes:
    try:
        return await letter.header()
    except Refused:  # the letter is damaged; the sender is told without its header
        return b""


def _failed(address: Address, failure: Failure, now: datetime) -> notice.ReportedOutcome:
    """When time ran out, the text gives the last problem, which says more than "expired". The status is that
    of the expiry, unless the remote gave one."""
    cause = failure.reason
    if cause is Reason.EXPIRED_IN_QUEUE and failure.last.reason is not None:
        cause = failure.last.reason
    said = explanation(cause)
    status = explanation(failure.reason).status if failure.reason is Reason.EXPIRED_IN_QUEUE else said.status
    return notice.ReportedOutcome(
        recipient=address,
        action=notice.Action.FAILED,
        status=_remote_status(failure.last.reply) or status,
        french=said.french,
        english=said.english,
        remote_server=address.domain.name if failure.last.reply else None,
        remote_reply=failure.last.reply or None,
        last_attempt=now,
    )


def _delayed(address: Address, outcome: Outcome, until: datetime, now: datetime) -> notice.ReportedOutcome:
    said = explanation(outcome.reason or Reason.REMOTE_DEFERRED)
    return notice.ReportedOutcome(
        recipient=address,
        action=notice.Action.DELAYED,
        status=f"4{said.status[1:]}",
        french=said.french,
        english=said.english,
        remote_server=address.domain.name if outcome.reply else None,
        remote_reply=outcome.reply or None,
        last_attempt=now,
        retry_until=until,
    )


def _remote_status(reply: str) -> str | None:
    """The enhanced code of a remote's refusal, if it gave one, because practice software reads it."""
    words = reply.split(" ", 2)
    if len(words) > 1 and words[1].startswith("5."):
        digits = words[1].split(".")
        if len(digits) == 3 and all(part.isascii() and part.isdigit() and len(part) <= 3 for part in digits):
            return words[1]
    return None
