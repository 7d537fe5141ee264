"""Leaves a directory in peace that does not answer, so that nobody waits for it again and again.

A circuit is closed while the directory answers. After several questions in a row without an answer in time it
opens: further questions are declined at once. When it has been open for a while, one question is let through
to see; its answer closes the circuit, and its silence keeps it open for another while.

Invariants: an open circuit lets one question through at a time; an answer that comes too late for the asker
counts as none; each opening and each closing is reported once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mssante.clock import Clock
from mssante.limits import (
    DIRECTORY_REST_SECONDS,
    DIRECTORY_SLOW_SECONDS,
    DIRECTORY_UNANSWERED_MAX,
)
from mssante.observe.event import report
from mssante.observe.events import DirectoryAnswersAgain, DirectoryLeftAlone
from mssante.reasons import Passing, Reason


class NotAsked(Passing):
    """A question was never put to the directory, so that it has no answer says nothing about it."""


class Circuit:
    """One for each directory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._unanswered = 0  # in a row
        self._opened_at: float | None = None
        self._probe_at = 0.0

    @contextmanager
    def question(self, *, may_take_long: bool = False) -> Iterator[None]:
        """Around one question, whose Passing means that no answer came. Raises
        Passing(DIRECTORY_UNAVAILABLE) at once when the circuit is open. With `may_take_long`, a late answer
        is no fault of the directory."""
        begun = self._clock.monotonic()
        if self._opened_at is not None:
            if begun < self._probe_at:
                raise Passing(Reason.DIRECTORY_UNAVAILABLE, "it did not answer lately, and is not asked")
            self._probe_at = begun + DIRECTORY_REST_SECONDS  # the others wait for what this one learns
        try:
            yield
        except NotAsked:
            raise
        except Passing:
            self._silent()
            raise
        if self._clock.monotonic() - begun <= DIRECTORY_SLOW_SECONDS:
            self._answered()
        elif not may_take_long:
            self._silent()

    def _silent(self) -> None:
        self._unanswered += 1
        if self._unanswered < DIRECTORY_UNANSWERED_MAX:
            return
        now = self._clock.monotonic()
        self._probe_at = now + DIRECTORY_REST_SECONDS
        if self._opened_at is None:
            self._opened_at = now
            report(DirectoryLeftAlone(unanswered=self._unanswered))

    def _answered(self) -> None:
        self._unanswered = 0
        if self._opened_at is not None:
            seconds = int(self._clock.monotonic() - self._opened_at)
            self._opened_at = None
            report(DirectoryAnswersAgain(seconds=seconds))
