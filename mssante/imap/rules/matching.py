"""Whether a message matches a SEARCH: pure functions that open it no further than they must.

Invariants: a verdict is True, False, or None (not decided by what is known so far); once given, opening
the message further never changes it; matching is by substring of folded text, never by pattern.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol, assert_never

from mssante.flags import FlagNames
from mssante.imap.grammar.need import Need
from mssante.imap.grammar.search import (
    All,
    And,
    Changed,
    Dated,
    Flagged,
    HasField,
    HasKeyword,
    Identified,
    Key,
    Not,
    Numbers,
    Or,
    Saved,
    Sized,
    Text,
    When,
    Within,
)
from mssante.imap.grammar.sets import SequenceSet
from mssante.imap.rules.indexed import Area, Indexed
from mssante.mime.folding import fold


class Fields(Protocol):
    """Header fields as text."""

    def texts(self, name: str) -> Sequence[str] | None:
        """The decoded and folded (`fold`) values of the field `name` (lower case): empty when the
        message has none, None when this source does not keep that field."""


class SearchedPlace(Protocol):
    """What is known of a message in its folder without opening it (Need.PLACE)."""

    @property
    def saved(self) -> date:
        """The day it came into the folder, UTC."""

    @property
    def email_id(self) -> str:
        """RFC 8474's."""


class SearchedSummary(Fields, Protocol):
    """The prepared metadata of a message (Need.SUMMARY)."""

    @property
    def received(self) -> datetime:
        """INTERNALDATE, aware."""

    @property
    def sent(self) -> date | None:
        """The day of the Date field in its own zone; None when absent or unreadable."""

    @property
    def size(self) -> int:
        """RFC822.SIZE."""


class SearchedContent(Protocol):
    """The opened message (Need.BODY); needles are folded."""

    def header_contains(self, needle: str) -> bool: ...

    def body_contains(self, needle: str) -> bool: ...


@dataclass(slots=True)
class Candidate:
    """What is known of one message so far; a test is asked again after each part is filled in.

    `header` must answer every field name (never None)."""

    sequence: int
    uid: int
    flags: int
    place: SearchedPlace | None = None
    summary: SearchedSummary | None = None
    header: Fields | None = None
    content: SearchedContent | None = None
    modseq: int = 0
    number: int = 0  # what the index knows it by
    indexed: Indexed | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What a query's meaning depends on: the folder's keywords, the last numbers, the time; `saved` are the
    UIDs that `$` stands for."""

    names: FlagNames
    last_sequence: int
    last_uid: int
    now: datetime
    saved: Sequence[int] = ()


Verdict = bool | None
Test = Callable[[Candidate], Verdict]


def need_of(key: Key) -> Need:
    """The deepest opening that may be needed to decide `key`."""
    match key:
        case All() | Flagged() | HasKeyword() | Numbers() | Changed():
            return Need.FLAGS
        case Saved() | Identified():
            return Need.PLACE
        case Dated() | Within() | Sized():
            return Need.SUMMARY
        case HasField():
            return Need.HEADER
        case Text():
            return Need.BODY
        case Not(inner):
            return need_of(inner)
        case Or(either, other):
            return max(need_of(either), need_of(other))
        case And(keys):
            return max(map(need_of, keys))
        case _:
            assert_never(key)


def compiled(key: Key, context: Context) -> Test:
    """A function that judges a candidate; the cheapest keys are asked first."""
    match key:
        case And(keys):
            return _all_of([compiled(one, context) for one in sorted(keys, key=need_of)])
        case Or(either, other):
            return _any_of([compiled(one, context) for one in sorted((either, other), key=need_of)])
        case Not(inner):
            return _negated(compiled(inner, context))
        case HasField(name, needle):
            return _field(name, fold(needle))
        case Text(needle, header):
            return _text(fold(needle), header=header)
        case Saved() | Identified():
            return _place(key)
        case Dated() | Within() | Sized():
            return _summary(key, context)
        case _:
            return _index(key, context)


def _all_of(tests: Sequence[Test]) -> Test:
    def judge(candidate: Candidate) -> Verdict:
        verdict: Verdict = True
        for test in tests:
            found = test(candidate)
            if found is False:
                return False
            if found is None:
                verdict = None
        return verdict

    return judge


def _any_of(tests: Sequence[Test]) -> Test:
    def judge(candidate: Candidate) -> Verdict:
        verdict: Verdict = False
        for test in tests:
            found = test(candidate)
            if found:
                return True
            if found is None:
                verdict = None
        return verdict

    return judge


def _negated(test: Test) -> Test:
    def judge(candidate: Candidate) -> Verdict:
        found = test(candidate)
        return None if found is None else not found

    return judge


def _index(key: All | Flagged | HasKeyword | Numbers | Changed, context: Context) -> Test:
    match key:
        case All():
            return lambda candidate: True
        case Flagged(bit, present):
            return _mask(bit, present=present)
        case HasKeyword(name, present):
            return _mask(context.names.keyword_bit(name), present=present)
        case Changed(modseq):
            return lambda candidate: candidate.modseq >= modseq
        case Numbers(messages, _) if messages.saved:
            saved = frozenset(context.saved)
            return lambda candidate: candidate.uid in saved
        case Numbers(messages, True):
            belongs = _member(messages, context.last_uid)
            return lambda candidate: belongs(candidate.uid)
        case Numbers(messages, _):
            belongs = _member(messages, context.last_sequence)
            return lambda candidate: belongs(candidate.sequence)


def _mask(bit: int, *, present: bool) -> Test:
    return lambda candidate: (candidate.flags & bit != 0) is present


def _member(messages: SequenceSet, last: int) -> Callable[[int], bool]:
    intervals = messages.resolve(last)
    lows = [low for low, _ in intervals]
    highs = [high for _, high in intervals]

    def belongs(number: int) -> bool:
        at = bisect_right(lows, number) - 1
        return at >= 0 and number <= highs[at]

    return belongs


def _place(key: Saved | Identified) -> Test:
    def test(candidate: Candidate) -> Verdict:
        place = candidate.place
        if place is None:
            return None
        match key:
            case Saved(when, day):
                return _falls(place.saved, when, day)
            case Identified(email_id):
                return place.email_id == email_id

    return test


def _summary(key: Dated | Within | Sized, context: Context) -> Test:
    judge = _summary_judge(key, context)

    def test(candidate: Candidate) -> Verdict:
        return None if candidate.summary is None else judge(candidate.summary)

    return test


def _summary_judge(key: Dated | Within | Sized, context: Context) -> Callable[[SearchedSummary], bool]:
    match key:
        case Dated(when, day, True):
            return lambda summary: summary.sent is not None and _falls(summary.sent, when, day)
        case Dated(when, day, _):
            return lambda summary: _falls(summary.received.date(), when, day)
        case Within(seconds, younger):
            edge = context.now - timedelta(seconds=seconds)
            # RFC 5032 §3: OLDER takes in the edge, YOUNGER too.
            if younger:
                return lambda summary: summary.received >= edge
            return lambda summary: summary.received <= edge
        case Sized(octets, larger):
            if larger:
                return lambda summary: summary.size > octets
            return lambda summary: summary.size < octets


def _falls(moment: date, when: When, day: date) -> bool:
    match when:
        case When.BEFORE:
            return moment < day
        case When.ON:
            return moment == day
        case When.SINCE:
            return moment >= day


def _field(name: str, needle: str) -> Test:
    def test(candidate: Candidate) -> Verdict:
        if _indexed(candidate, needle, "field") is False:
            return False
        texts = candidate.summary.texts(name) if candidate.summary is not None else None
        if texts is None and candidate.header is not None:
            texts = candidate.header.texts(name)
        if texts is None:
            return None
        return any(needle in text for text in texts)

    return test


def _indexed(candidate: Candidate, needle: str, area: Area) -> Verdict:
    if candidate.indexed is None or not needle:
        return None
    return candidate.indexed.holds(candidate.number, needle, area)


def _text(needle: str, *, header: bool) -> Test:
    area: Area = "text" if header else "body"

    def test(candidate: Candidate) -> Verdict:
        if not needle:
            return True
        content = candidate.content
        if content is None:
            return _indexed(candidate, needle, area)
        return (header and content.header_contains(needle)) or content.body_contains(needle)

    return test
