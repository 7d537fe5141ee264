"""Back-off, lifetime and the meaning of replies, as values (C16, C17)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssante.delivery.retry import Decision, Done, Fate, GiveUp, Later, Outcome, decide, delay, judged, soon
from mssante.reasons import Passing, Reason, Refused

START = datetime(2026, 3, 1, tzinfo=UTC)
DEFERRED = Outcome(Fate.DEFERRED, Reason.REMOTE_DEFERRED, "451 4.3.0 later")


def test_the_delay_doubles_from_five_minutes_to_sixty_seven() -> None:
    assert [delay(n, 0.0).total_seconds() for n in range(1, 8)] == [300, 600, 1200, 2400, 4000, 4000, 4000]


def test_a_fault_of_our_own_database_delays_by_seconds_first_and_never_longer_than_another() -> None:
    assert [soon(n).total_seconds() for n in range(1, 8)] == [5, 10, 20, 40, 80, 160, 320]
    assert soon(40) == delay(40, 0.0)
    ours = Outcome(Fate.DEFERRED, Reason.STORAGE_UNAVAILABLE)
    assert decide(ours, attempts=1, queued_at=START, now=START, jitter=0.5) == Later(START + soon(1))


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_jitter_only_makes_it_later_and_by_a_third_at_most(attempts: int, jitter: float) -> None:
    base = delay(attempts, 0.0)
    assert base <= delay(attempts, jitter) <= base * 4 / 3


def _attempts_until_given_up(jitters: list[float]) -> tuple[int, datetime]:
    now, attempts = START, 0
    while True:
        attempts += 1
        decision = decide(
            DEFERRED, attempts=attempts, queued_at=START, now=now, jitter=jitters[attempts % len(jitters)]
        )
        if isinstance(decision, GiveUp):
            assert decision == GiveUp(Reason.EXPIRED_IN_QUEUE, expired=True)
            return attempts, now
        assert isinstance(decision, Later)
        assert decision.next_at - now >= timedelta(seconds=300)
        now = decision.next_at


def test_five_days_take_fewer_than_a_hundred_attempts_and_end_on_time() -> None:
    attempts, ended = _attempts_until_given_up([0.05, 0.5, 0.95])
    assert 60 <= attempts < 100
    assert timedelta(days=5) <= ended - START <= timedelta(days=5, minutes=7)


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20))
def test_whatever_the_chance_nothing_is_given_up_before_five_days(jitters: list[float]) -> None:
    _, ended = _attempts_until_given_up(jitters)
    assert timedelta(days=5) <= ended - START <= timedelta(days=5, minutes=7)


def test_a_refusal_gives_up_at_once_and_a_delivery_is_done() -> None:
    def at_once(outcome: Outcome) -> Decision:
        return decide(outcome, attempts=1, queued_at=START, now=START, jitter=0.0)

    refused = Outcome.of(Refused(Reason.MAILBOX_UNKNOWN))
    assert at_once(refused) == GiveUp(Reason.MAILBOX_UNKNOWN, expired=False)
    assert at_once(Outcome(Fate.DELIVERED)) == Done()


def test_a_delivery_on_the_last_day_is_a_delivery() -> None:
    late = START + timedelta(days=9)
    assert decide(Outcome(Fate.DELIVERED), attempts=80, queued_at=START, now=late, jitter=0.0) == Done()


@pytest.mark.parametrize(
    ("code", "text", "fate"),
    [
        (250, "2.1.5 ok", Fate.DELIVERED),
        (251, "will forward", Fate.DELIVERED),
        (421, "4.3.2 closing", Fate.DEFERRED),
        (450, "4.2.1 busy", Fate.DEFERRED),
        (550, "5.1.1 unknown", Fate.FAILED),
        (554, "5.7.1 no", Fate.FAILED),
        (354, "go on", Fate.DEFERRED),
        (-1, "what?", Fate.DEFERRED),
        (999, "", Fate.DEFERRED),
    ],
)
def test_a_reply_means_what_its_first_digit_says(code: int, text: str, fate: Fate) -> None:
    assert judged(code, text).fate is fate


def test_a_552_at_rcpt_passes_unless_the_mailbox_is_full() -> None:
    assert judged(552, "too many recipients", at_recipient=True).fate is Fate.DEFERRED
    assert judged(552, "5.2.2 full", at_recipient=True).fate is Fate.FAILED
    assert judged(552, "5.3.4 too big").fate is Fate.FAILED


def test_trouble_of_ours_passes() -> None:
    assert Outcome.of(Passing(Reason.DIRECTORY_UNAVAILABLE)).fate is Fate.DEFERRED
