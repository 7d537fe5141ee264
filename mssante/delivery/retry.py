"""Decides when to try a recipient again and when to give up. Pure: time and chance are arguments.

Invariants: nothing is given up before the end of its lifetime, unless a peer or a policy refused it for good;
two attempts are never closer together than the first delay, unless our own database made one fail; what is
delivered is never tried again (C17).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from mssante import limits
from mssante.reasons import Declined, Reason, Refused

LIFETIME = timedelta(days=limits.QUEUE_DAYS_MAX)
DELAY_NOTICE = timedelta(seconds=limits.QUEUE_DELAY_NOTICE_SECONDS)
_JITTER = 1 / 3  # it only ever adds to a delay, and five days stay below a hundred attempts (C16)


class Fate(StrEnum):
    """What one attempt did to one recipient."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one attempt for one recipient. `reply` is the remote's reply on one line, or a text of
    ours, or "" without any. `reached` is False when nobody answered, so that the whole destination has to
    wait. `dn` is the name of the server, once it is verified."""

    fate: Fate
    reason: Reason | None = None
    reply: str = ""
    reached: bool = True
    dn: str = ""

    @classmethod
    def of(cls, declined: Declined, *, reply: str = "", reached: bool = True) -> Outcome:
        """The outcome of something that our side declined. Refused is final; anything else is tried again."""
        fate = Fate.FAILED if isinstance(declined, Refused) else Fate.DEFERRED
        return cls(fate, declined.reason, reply, reached)


def judged(code: int, text: str, *, at_recipient: bool = False) -> Outcome:
    """What a remote's reply means for a recipient (RFC 5321 §4.2.1). A code that makes no sense here means
    "try later", so that a confused remote never makes us lose a letter."""
    reply = f"{code} {text}".strip()
    if 200 <= code < 300:
        return Outcome(Fate.DELIVERED, None, reply)
    if 500 <= code < 600:
        # RFC 5321 §4.5.3.1.10: old servers say 552 for "too many recipients", which we treat as a 452. A
        # server that means a full mailbox says 5.2.2.
        if at_recipient and code == 552 and not text.startswith("5.2.2"):
            return Outcome(Fate.DEFERRED, Reason.REMOTE_DEFERRED, reply)
        return Outcome(Fate.FAILED, Reason.REMOTE_REFUSED, reply)
    return Outcome(Fate.DEFERRED, Reason.REMOTE_DEFERRED, reply)


@dataclass(frozen=True, slots=True)
class Done:
    """The remote has the message and is responsible for it from now on."""


@dataclass(frozen=True, slots=True)
class Later:
    """Try again at `next_at`."""

    next_at: datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Give up and tell the sender. `expired` says that time ran out, rather than that somebody refused."""

    reason: Reason
    expired: bool


Decision = Done | Later | GiveUp


def delay(attempts: int, jitter: float) -> timedelta:
    """How long to wait after the `attempts`-th failed attempt (from 1): 5 minutes, doubled each time up to
    67. `jitter` in [0, 1) adds up to a third, so that letters that failed together are not all retried at
    once."""
    assert attempts >= 1
    assert 0 <= jitter < 1
    doubled = limits.RETRY_SECONDS_FIRST * 2 ** min(attempts - 1, 16)
    return timedelta(seconds=min(doubled, limits.RETRY_SECONDS_MAX) * (1 + jitter * _JITTER))


def soon(attempts: int) -> timedelta:
    """How long to wait after an attempt that our own database made fail: seconds, doubled each time, so that
    a letter is delayed by about as long as the database was away."""
    return min(timedelta(seconds=limits.QUEUE_POLL_SECONDS * 2 ** min(attempts - 1, 16)), delay(attempts, 0))


def decide(outcome: Outcome, *, attempts: int, queued_at: datetime, now: datetime, jitter: float) -> Decision:
    """What becomes of a recipient after its `attempts`-th attempt (this one counted) ended in `outcome`."""
    match outcome.fate:
        case Fate.DELIVERED:
            return Done()
        case Fate.FAILED:
            return GiveUp(outcome.reason or Reason.REMOTE_REFUSED, expired=False)
        case Fate.DEFERRED:
            ours = outcome.reason is Reason.STORAGE_UNAVAILABLE and not outcome.reply
            next_at = now + (soon(attempts) if ours else delay(attempts, jitter))
            if now - queued_at >= LIFETIME:
                return GiveUp(Reason.EXPIRED_IN_QUEUE, expired=True)
            # The last attempt is made when the lifetime ends, not earlier.
            return Later(min(next_at, max(queued_at + LIFETIME, now + delay(1, jitter))))
        case _:
            assert_never(outcome.fate)
