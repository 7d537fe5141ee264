"""When a directory that does not answer is left alone, and when it is asked again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from mssante.annuaire.circuit import Circuit, NotAsked
from mssante.clock import ManualClock
from mssante.limits import DIRECTORY_REST_SECONDS, DIRECTORY_SLOW_SECONDS, DIRECTORY_UNANSWERED_MAX
from mssante.observe.event import add_sink
from mssante.reasons import Passing, Reason

NO_ANSWER = Passing(Reason.DIRECTORY_UNAVAILABLE)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def told() -> Iterator[list[str]]:
    seen: list[str] = []
    forget = add_sink(lambda event: seen.append(type(event).__name__))
    yield seen
    forget()


def _ask(circuit: Circuit, *, trouble: Passing | None = None, clock: ManualClock, seconds: float = 0) -> bool:
    """One question; whether it was put."""
    put = False
    try:
        with circuit.question():
            put = True
            clock.advance(timedelta(seconds=seconds))
            if trouble is not None:
                raise trouble
    except Passing:
        pass
    return put


def _open(circuit: Circuit, clock: ManualClock) -> None:
    for _ in range(DIRECTORY_UNANSWERED_MAX):
        assert _ask(circuit, trouble=NO_ANSWER, clock=clock)


def test_after_some_silence_nobody_waits_until_one_question_is_answered(
    clock: ManualClock, told: list[str]
) -> None:
    circuit = Circuit(clock)
    _open(circuit, clock)
    assert [_ask(circuit, clock=clock) for _ in range(100)] == [False] * 100
    clock.advance(timedelta(seconds=DIRECTORY_REST_SECONDS))
    assert [_ask(circuit, trouble=NO_ANSWER, clock=clock) for _ in range(3)] == [True, False, False]
    clock.advance(timedelta(seconds=DIRECTORY_REST_SECONDS))
    assert [_ask(circuit, clock=clock) for _ in range(3)] == [True, True, True]
    assert told == ["DirectoryLeftAlone", "DirectoryAnswersAgain"]


def test_only_one_question_at_a_time_tries_whether_it_answers_again(clock: ManualClock) -> None:
    circuit = Circuit(clock)
    _open(circuit, clock)
    clock.advance(timedelta(seconds=DIRECTORY_REST_SECONDS))
    with circuit.question():
        assert not _ask(circuit, clock=clock)


def test_an_answer_that_comes_too_late_counts_as_none(clock: ManualClock) -> None:
    circuit = Circuit(clock)
    for _ in range(DIRECTORY_UNANSWERED_MAX):
        assert _ask(circuit, clock=clock, seconds=DIRECTORY_SLOW_SECONDS + 1)
    assert not _ask(circuit, clock=clock)


def test_a_search_may_take_long(clock: ManualClock) -> None:
    circuit = Circuit(clock)
    for _ in range(2 * DIRECTORY_UNANSWERED_MAX):
        with circuit.question(may_take_long=True):
            clock.advance(timedelta(seconds=DIRECTORY_SLOW_SECONDS + 1))
    assert _ask(circuit, clock=clock)


def test_an_answer_between_two_silences_or_a_question_never_put_opens_nothing(clock: ManualClock) -> None:
    circuit = Circuit(clock)
    for _ in range(3 * DIRECTORY_UNANSWERED_MAX):
        assert _ask(circuit, trouble=NO_ANSWER, clock=clock)
        assert _ask(circuit, clock=clock)
        assert _ask(circuit, trouble=NotAsked(Reason.DIRECTORY_UNAVAILABLE), clock=clock)
