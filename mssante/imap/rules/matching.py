"""Which messages match a SEARCH, each opened no further than it must be.

A search key is a tree. Each leaf asks one thing of a message: a flag, a date, a word of its text. AND, OR and
NOT combine the leaves. Some leaves cost thousands of times more than others: the flags of a whole folder are
in memory, a date is in a summary that must be read and decrypted, and for a word of the body the whole
message must be. A search therefore goes in stages, from the cheapest to the most expensive. At each stage it
asks the whole key again, but only about the messages that the earlier stages have left in doubt.

For that, an answer has three values: yes, no, and not known yet. For many messages at once, these are two
sets: the messages that surely match, and those that possibly match (`Verdict`). A leaf whose stage has not
come yet answers that no message surely matches, and that all of them possibly do. `judged` combines such
answers. NOT turns them round: what surely matches is then what did not even possibly match. AND asks its next
key only about messages that may still match, and OR only about those that do not match already. With the
cheap keys first (`prepared`), an expensive leaf is never asked about a message that is decided.

A search may stop at the first yes or no because later stages never change one: they only decide what was in
doubt. Each leaf keeps this rule in `Known.judge`, where its meaning is written once. Whole keys then keep it
too: when more is known, `sure` can only gain messages and `possible` can only lose some, and this holds for
NOT, AND and OR whenever it holds for the keys inside them.

Invariants: nothing is opened here, `Known` is given what others have opened; a text matches when it contains
the needle, after both were folded (`fold`); a needle is never taken for a pattern.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from itertools import compress
from typing import NamedTuple, assert_never

from mssante.flags import FlagNames
from mssante.imap.grammar.lexer import NUMBER_MAX
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
    Leaf,
    Not,
    Numbers,
    Or,
    Saved,
    Sized,
    Text,
    When,
    Within,
    leaves,
)
from mssante.imap.grammar.sets import Interval, SequenceSet
from mssante.mime import encoded_words, header
from mssante.mime.folding import fold
from mssante.mime.summary import Summary

Uids = AbstractSet[int]
_NOBODY: Uids = frozenset()
_KEPT = ("subject", "from", "to", "cc", "bcc")  # the fields whose texts a summary keeps, as in SearchTexts
_DAY_SECONDS = 86400
_FIRST_DAY = date(1970, 1, 1).toordinal()


class Verdict(NamedTuple):
    """Of the messages asked about: those that surely match, and those that possibly do, the sure ones
    included."""

    sure: Uids
    possible: Uids


class Question(NamedTuple):
    """What an index of words is asked about a message: whether its header, its body, or either of them holds
    `needle`, which is folded and not empty."""

    needle: str
    in_header: bool
    in_body: bool


# Answers a question about some messages: the sure ones and the possible ones, as in Verdict. The answers
# agree with what reading the texts would give.
AsksIndex = Callable[[Question, Uids], tuple[Uids, Uids]]


@dataclass(frozen=True, slots=True)
class Context:
    """What the meaning of a query depends on: the folder's keywords, its last sequence number and UID, the
    time. `saved` are the UIDs that `$` stands for, ascending."""

    names: FlagNames
    last_sequence: int
    last_uid: int
    now: datetime
    saved: Sequence[int] = ()


def judged(key: Key, asked: Uids, judge: Callable[[Leaf, Uids], Verdict]) -> Verdict:
    """Which of the messages `asked` match `key`; `judge` answers for one leaf."""
    if not asked:
        return Verdict(asked, asked)
    match key:
        case Not(inner):
            sure, possible = judged(inner, asked, judge)
            return Verdict(asked - possible, asked - sure)
        case And(keys):
            sure = possible = asked
            for each in keys:
                one_more, possible = judged(each, possible, judge)
                sure = sure & one_more
            return Verdict(sure, possible)
        case Or(either, other):
            one = judged(either, asked, judge)
            two = judged(other, asked - one.sure, judge)
            return Verdict(one.sure | two.sure, one.possible | two.possible)
        case _:
            return judge(key, asked)


def prepared(key: Key, context: Context) -> Key:
    """The same key in the form that `Known.judge` takes: needles are folded, `*` is replaced by a number, and
    of the keys inside an AND or OR the cheapest comes first."""
    match key:
        case Not(inner):
            return Not(prepared(inner, context))
        case Or(either, other):
            return Or(*sorted((prepared(either, context), prepared(other, context)), key=need_of))
        case And(keys):
            return And(tuple(sorted((prepared(each, context) for each in keys), key=need_of)))
        case HasField(name, needle):
            return HasField(name, fold(needle))
        case Text(needle, in_header):
            return Text(fold(needle), in_header)
        case Numbers(messages, by_uid) if not messages.saved:
            last = context.last_uid if by_uid else context.last_sequence
            return Numbers(SequenceSet(messages.resolve(last)), by_uid)
        case _:
            return key


def need_of(key: Key) -> Need:
    """The stage at which `key` is decided for every message."""
    return max(needs(key))


def needs(key: Key) -> set[Need]:
    """The stages at which the leaves of `key` are decided."""
    return set(map(_need, leaves(key)))


def questions(key: Key) -> set[Question]:
    """What to ask an index of words for a key; the key must be `prepared`."""
    return {_question(leaf) for leaf in leaves(key) if isinstance(leaf, Text | HasField) and leaf.needle}


def _question(leaf: Text | HasField) -> Question:
    # The index knows only that a word is in the header, not in which field.
    in_header = isinstance(leaf, HasField) or leaf.header
    return Question(leaf.needle, in_header, isinstance(leaf, Text))


# What each leaf means: at which stage it is decided, and how


def _need(leaf: Leaf) -> Need:
    match leaf:
        case All() | Flagged() | HasKeyword() | Numbers() | Changed():
            return Need.FLAGS
        case Saved() | Identified():
            return Need.PLACE
        case Dated() | Within() | Sized():
            return Need.SUMMARY
        case HasField(name, needle):
            # An empty needle asks whether the field exists at all, which only the header can tell.
            return Need.SUMMARY if needle and name in _KEPT else Need.HEADER
        case Text(needle, _):
            return Need.BODY if needle else Need.FLAGS  # an empty needle is in every text
        case _:
            assert_never(leaf)


@dataclass(slots=True)
class Known:
    """What is known of some messages so far, each thing by UID; None where its stage has not come.

    Need.FLAGS gives `flags`, `sequences` and `modseqs`. Need.PLACE gives `saved_days` (UTC) and `email_ids`.
    Next comes `index`, if it is asked at all. Need.SUMMARY gives `summaries`, Need.HEADER gives `headers` as
    octets, and Need.BODY gives `contents`: for each message the folded text of its header and of its body."""

    context: Context
    flags: dict[int, int] = field(default_factory=dict)
    sequences: dict[int, int] = field(default_factory=dict)
    modseqs: dict[int, int] = field(default_factory=dict)
    saved_days: Mapping[int, date] | None = None
    email_ids: Mapping[int, str] | None = None
    index: AsksIndex | None = None
    summaries: Mapping[int, Summary] | None = None
    headers: Mapping[int, bytes] | None = None
    contents: Mapping[int, tuple[str, str]] | None = None
    # Several leaves may need the same text or header of a message: it is prepared once and remembered here.
    _texts: dict[tuple[int, int], str] = field(default_factory=dict, init=False)
    _fields: dict[int, list[tuple[bytes, bytes]]] = field(default_factory=dict, init=False)

    def learn(self, other: Known, uids: Iterable[int]) -> None:
        """Takes over from `other` what the stage Need.FLAGS found out about these messages."""
        kept = ((self.flags, other.flags), (self.sequences, other.sequences), (self.modseqs, other.modseqs))
        for mine, others in kept:
            mine.update((uid, others[uid]) for uid in uids)

    def judge(self, leaf: Leaf, asked: Uids) -> Verdict:
        """Which of the messages `asked` match a leaf; the leaf must be of a `prepared` key."""
        match leaf:
            case All():
                return _certainly(asked)
            case Flagged() | HasKeyword():
                return self._flagged(leaf, asked)
            case Changed(modseq):
                modseqs = self.modseqs
                return _certainly({uid for uid in asked if modseqs[uid] >= modseq})
            case Numbers(messages, _) if messages.saved:
                return _certainly(asked & _between(self.context.saved, min(asked), max(asked)))
            case Numbers(messages, by_uid):
                numbers = asked if by_uid else map(self.sequences.__getitem__, asked)
                return _certainly(_among(asked, numbers, messages.intervals))
            case Saved(when, day) if (days := self.saved_days) is not None:
                return _certainly({uid for uid in asked if _falls(days[uid], when, day)})
            case Identified(email_id) if (identifiers := self.email_ids) is not None:
                return _certainly({uid for uid in asked if identifiers[uid] == email_id})
            case Dated() | Within() | Sized() if (summaries := self.summaries) is not None:
                test = _of_summary(leaf, self.context.now)
                return _certainly({uid for uid in asked if test(summaries[uid])})
            case Saved() | Identified() | Dated() | Within() | Sized():
                return Verdict(_NOBODY, asked)
            case HasField():
                return self._field(leaf, asked)
            case Text():
                return self._text(leaf, asked)
            case _:
                assert_never(leaf)

    def _flagged(self, leaf: Flagged | HasKeyword, asked: Uids) -> Verdict:
        flags = self.flags
        bit = leaf.bit if isinstance(leaf, Flagged) else self.context.names.keyword_bit(leaf.name)
        if leaf.present:
            return _certainly({uid for uid in asked if flags[uid] & bit})
        return _certainly({uid for uid in asked if not flags[uid] & bit})

    def _field(self, leaf: HasField, asked: Uids) -> Verdict:
        name, needle = leaf.name, leaf.needle
        if needle and self.index is not None:
            # The word may be in another field of the header. So from the index we learn only which messages
            # do not match.
            _, asked = self.index(_question(leaf), asked)
        if _need(leaf) is Need.SUMMARY and self.summaries is not None:
            at, text = _KEPT.index(name), self._kept_text
            return _certainly({uid for uid in asked if needle in text(uid, at)})
        if _need(leaf) is Need.HEADER and self.headers is not None:
            octets = name.encode("utf-8", "replace")
            return _certainly({uid for uid in asked if self._header_holds(uid, octets, needle)})
        return Verdict(_NOBODY, asked)

    def _kept_text(self, uid: int, at: int) -> str:
        """One of the texts that summaries keep, folded, for a message whose summary is known."""
        found = self._texts.get((uid, at))
        if found is None:
            assert self.summaries is not None
            found = self._texts[uid, at] = fold(self.summaries[uid].texts[at])
        return found

    def _header_holds(self, uid: int, name: bytes, needle: str) -> bool:
        """Whether a field `name` of a message whose header is known holds `needle`."""
        fields = self._fields.get(uid)
        if fields is None:
            assert self.headers is not None
            fields = self._fields[uid] = header.pairs(self.headers[uid])
        for found, raw in fields:
            if found == name and needle in fold(encoded_words.decode(header.unfold(raw))):
                return True
        return False

    def _text(self, leaf: Text, asked: Uids) -> Verdict:
        needle = leaf.needle
        if not needle:
            return _certainly(asked)
        if (contents := self.contents) is not None:
            found = {uid for uid in asked if needle in contents[uid][1]}
            if leaf.header:
                found |= {uid for uid in asked if needle in contents[uid][0]}
            return _certainly(found)
        if self.index is not None:
            return Verdict(*self.index(_question(leaf), asked))
        return Verdict(_NOBODY, asked)


def _certainly(uids: Uids) -> Verdict:
    return Verdict(uids, uids)


def _between(numbers: Sequence[int], low: int, high: int) -> Uids:
    """Those of `numbers` (ascending) from `low` to `high`, both included."""
    return frozenset(numbers[bisect_left(numbers, low) : bisect_right(numbers, high)])


def _among(uids: Uids, numbers: Iterable[int], intervals: Sequence[Interval]) -> Uids:
    """Those of `uids` whose numbers, in the same order, lie in one of the intervals."""
    if len(intervals) == 1:
        ((low, high),) = intervals
        return set(compress(uids, map(range(low, high + 1).__contains__, numbers)))
    return set(compress(uids, map(partial(_lies_in, intervals), numbers)))


def _lies_in(intervals: Sequence[Interval], number: int) -> bool:
    at = bisect_right(intervals, (number, NUMBER_MAX)) - 1
    return at >= 0 and number <= intervals[at][1]


def _of_summary(leaf: Dated | Within | Sized, now: datetime) -> Callable[[Summary], bool]:
    match leaf:
        case Dated(when, day, True):
            return lambda summary: (
                summary.sent_at is not None
                and _falls(_day(summary.sent_at, summary.sent_offset or 0), when, day)
            )
        case Dated(when, day, _):
            return lambda summary: _falls(_day(summary.internal_date, summary.internal_offset), when, day)
        case Within(seconds, younger):
            edge = now.timestamp() - seconds
            # RFC 5032 §3: a message exactly that old matches both OLDER and YOUNGER.
            if younger:
                return lambda summary: summary.internal_date >= edge
            return lambda summary: summary.internal_date <= edge
        case Sized(octets, larger):
            if larger:
                return lambda summary: summary.size > octets
            return lambda summary: summary.size < octets


def _day(moment: int, offset: int) -> date:
    """The day on which `moment` (seconds since 1970) falls in a zone `offset` minutes ahead of UTC."""
    return date.fromordinal(_FIRST_DAY + (moment + 60 * offset) // _DAY_SECONDS)


def _falls(moment: date, when: When, day: date) -> bool:
    match when:
        case When.BEFORE:
            return moment < day
        case When.ON:
            return moment == day
        case When.SINCE:
            return moment >= day
