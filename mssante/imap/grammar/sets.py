"""Sequence sets (RFC 3501 §9): normalised intervals, whatever a client wrote.

Invariants: intervals are sorted, disjoint and not adjacent; `*` is kept apart until the mailbox's last
number is known; no cost depends on the width of a range (`1:4294967295` is one interval).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mssante.imap.grammar.lexer import NUMBER_MAX, Beyond, Cursor, Unacceptable
from mssante.limits import IMAP_SET_ELEMENTS_MAX

_SET = re.compile(rb"[0-9:,*]+")
Interval = tuple[int, int]  # both ends included


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Message numbers or UIDs. `to_last` is n for `n:*` (2^32-1 for `*` alone), None without `*`. `saved`:
    the set is `$`, the messages that the last SEARCH saved (RFC 5182 §2.1), and has no other members."""

    intervals: tuple[Interval, ...]
    to_last: int | None = None
    saved: bool = False

    @classmethod
    def of(cls, numbers: Iterable[int]) -> SequenceSet:
        return cls(tuple(merged((number, number) for number in numbers)))

    def resolve(self, last: int) -> tuple[Interval, ...]:
        """The intervals in a mailbox whose last number is `last` (0 if it is empty; `*` then names nothing).

        RFC 3501 §9: `n:*` always includes the last message, even when n is above its number."""
        if self.to_last is None or last == 0:
            return self.intervals
        return tuple(merged((*self.intervals, (min(self.to_last, last), last))))

    def positions(self, numbers: Sequence[int]) -> list[range]:
        """Where the set's members stand in sorted `numbers`: index ranges, ascending."""
        found = []
        for low, high in self.resolve(numbers[-1] if numbers else 0):
            start = bisect_left(numbers, low)
            stop = bisect_right(numbers, high, start)
            if start < stop:
                found.append(range(start, stop))
        return found

    def exceeds(self, last: int) -> bool:
        """Whether the set names a sequence number that does not exist (RFC 9051 §9 seq-number)."""
        if self.intervals and self.intervals[-1][1] > last:
            return True
        return self.to_last is not None and (last == 0 or last < self.to_last < NUMBER_MAX)


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The same numbers in intervals that are sorted, disjoint and not adjacent."""
    result: list[Interval] = []
    for low, high in sorted(intervals):
        if result and low <= result[-1][1] + 1:
            if high > result[-1][1]:
                result[-1] = (result[-1][0], high)
        else:
            result.append((low, high))
    return result


def parse(cursor: Cursor) -> SequenceSet:
    """Reads a sequence-set; at most IMAP_SET_ELEMENTS_MAX elements, else NO [LIMIT]."""
    if cursor.take(b"$"):
        return SequenceSet((), saved=True)
    elements = cursor.match(_SET, "a sequence set").split(b",", IMAP_SET_ELEMENTS_MAX)
    if len(elements) > IMAP_SET_ELEMENTS_MAX:
        raise Beyond("Trop d'elements dans l'ensemble / Too many elements in a sequence set")
    intervals: list[Interval] = []
    to_last: int | None = None
    for element in elements:
        first, colon, second = element.partition(b":")
        low, high = _number(first), _number(second) if colon else _number(first)
        if low is None or high is None:
            start = high if low is None else low
            start = NUMBER_MAX if start is None else start
            to_last = start if to_last is None else min(to_last, start)
        else:
            intervals.append((low, high) if low <= high else (high, low))
    return SequenceSet(tuple(merged(intervals)), to_last)


def parse_known(cursor: Cursor) -> SequenceSet:
    """A set of numbers only, without `*` and `$` (RFC 7162 §7 known-uids)."""
    found = parse(cursor)
    if found.to_last is not None or found.saved:
        raise Unacceptable("Only numbers can be known")
    return found


def _number(octets: bytes) -> int | None:
    """A seq-number; None for `*`."""
    if octets == b"*":
        return None
    if not octets.isdigit() or len(octets) > 10 or not 0 < int(octets) <= NUMBER_MAX:
        raise Unacceptable("Malformed sequence set")
    return int(octets)


def render(numbers: Iterable[int]) -> bytes:
    """The shortest sequence-set of ascending `numbers`; empty for none."""
    pieces = []
    start = previous = 0
    for number in numbers:
        if previous and number == previous + 1:
            previous = number
            continue
        if previous:
            pieces.append(b"%d" % start if start == previous else b"%d:%d" % (start, previous))
        start = previous = number
    if previous:
        pieces.append(b"%d" % start if start == previous else b"%d:%d" % (start, previous))
    return b",".join(pieces)
