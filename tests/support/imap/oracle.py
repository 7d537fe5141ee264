"""Random SEARCH keys, each with the predicate that says which messages must be found (RFC 3501 §6.4.4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from random import Random

from tests.support.imap.letters import ACCENTED, BODIES, RECIPIENTS, SENDERS, SUBJECTS, Letter, letter

SYSTEM = (r"\Seen", r"\Answered", r"\Flagged", r"\Deleted", r"\Draft")
KEYWORDS = ("$label1", "Dossier", "k3")
DAYS = (*(date(2024, 2, day) for day in range(25, 30)), date(2024, 3, 1), date(2024, 3, 2))


@dataclass(frozen=True)
class Candidate:
    sequence: int
    uid: int
    letter: Letter
    flags: frozenset[str]
    received: date


Test = Callable[[Candidate], bool]


@dataclass(frozen=True)
class Key:
    """`text` as it is sent, each "\\n" a literal; `depends` on flags, which others may change meanwhile."""

    text: str
    test: Test
    literals: tuple[bytes, ...] = ()
    depends: bool = False
    numbers: bool = False


def key(chance: Random, uids: Sequence[int], depth: int = 0) -> Key:
    """A key over a view of these UIDs."""
    kind = chance.random()
    if depth < 3 and kind < 0.12:
        inner = key(chance, uids, depth + 1)
        return replace(inner, text=f"NOT {inner.text}", test=lambda one: not inner.test(one))
    if depth < 3 and kind < 0.35:
        left, right = key(chance, uids, depth + 1), key(chance, uids, depth + 1)
        more = left.literals + right.literals, left.depends or right.depends, left.numbers or right.numbers
        if chance.random() < 0.5:
            return Key(f"OR {left.text} {right.text}", lambda one: left.test(one) or right.test(one), *more)
        return Key(f"({left.text} {right.text})", lambda one: left.test(one) and right.test(one), *more)
    return chance.choice(_LEAVES)(chance, uids)


def _flag(chance: Random, uids: Sequence[int]) -> Key:
    flag, wanted = chance.choice(SYSTEM + KEYWORDS), chance.random() < 0.5
    if flag.startswith("\\"):
        text = f"{'' if wanted else 'UN'}{flag[1:]}"
    else:
        text = f"{'' if wanted else 'UN'}KEYWORD {chance.choice([flag, flag.upper()])}"
    return Key(text, lambda one: (flag in one.flags) is wanted, depends=True)


def _numbers(chance: Random, uids: Sequence[int]) -> Key:
    by_uid = chance.random() < 0.5
    last = (uids[-1] if by_uid else len(uids)) if uids else 0
    low, high = sorted(chance.choices(range(1, last + 3), k=2))
    text = chance.choice([f"{low}:{high}", f"{high}:{low}", f"{low},{high}", f"{low}:*", "*"])

    def named(number: int) -> bool:
        if text == "*":
            return number == last
        if text.endswith(":*"):
            return min(low, last) <= number <= max(low, last)
        return number in (low, high) if "," in text else low <= number <= high

    def holds(one: Candidate) -> bool:
        return named(one.uid if by_uid else one.sequence)

    return Key(f"{'UID ' * by_uid}{text}", holds, numbers=not by_uid)


def _word(chance: Random, uids: Sequence[int]) -> Key:
    name, words, test = chance.choice(_WORDS)
    word = chance.choice(words)
    spelt = chance.choice([word, word.upper(), f'"{word[1:]}"'])
    found = lambda one: test(one, word)  # noqa: E731 - a closure like its neighbours
    if chance.random() < 0.3:
        return Key(f"{name} \n", found, (word.encode(),))
    return Key(f"{name} {spelt}", found)


_WORDS: tuple[tuple[str, tuple[str, ...], Callable[[Candidate, str], bool]], ...] = (
    ("SUBJECT", SUBJECTS, lambda one, word: word == one.letter.subject),
    ("HEADER Subject", SUBJECTS, lambda one, word: word == one.letter.subject),
    ("FROM", SENDERS, lambda one, word: word == one.letter.sender),
    ("TO", RECIPIENTS, lambda one, word: word == one.letter.recipient),
    ("BODY", BODIES, lambda one, word: word in one.letter.body),
    ("BODY", SUBJECTS, lambda one, word: False),
    ("TEXT", BODIES, lambda one, word: word in one.letter.body),
    ("TEXT", SUBJECTS, lambda one, word: word == one.letter.subject),
    ("TEXT", SENDERS, lambda one, word: word == one.letter.sender),
)


def _header(chance: Random, uids: Sequence[int]) -> Key:
    return chance.choice(
        (
            Key('HEADER To ""', lambda one: one.letter.recipient is not None),
            Key('CC ""', lambda one: False),
            Key('TEXT ""', lambda one: True),
            Key("HEADER X-None x", lambda one: False),
            Key("HEADER Message-ID @a.test", lambda one: True),
            Key("SUBJECT \n", lambda one: one.letter.number % 3 == 0, (ACCENTED.encode(),)),
        )
    )


def _size(chance: Random, uids: Sequence[int]) -> Key:
    octets = chance.choice([0, 70_000, 4_294_967_295, len(letter(chance.randint(1, 40)).content)])
    if chance.random() < 0.5:
        return Key(f"LARGER {octets}", lambda one: len(one.letter.content) > octets)
    return Key(f"SMALLER {octets}", lambda one: len(one.letter.content) < octets)


def _date(chance: Random, uids: Sequence[int]) -> Key:
    day, sent = chance.choice(DAYS), chance.random() < 0.5
    name, test = chance.choice(_WHEN)
    text = f"{'SENT' * sent}{name} {day.day}-{day:%b}-{day.year}"

    def holds(one: Candidate) -> bool:
        when = one.letter.sent if sent else one.received
        return when is not None and test(when, day)

    return Key(text, holds)


_WHEN: tuple[tuple[str, Callable[[date, date], bool]], ...] = (
    ("BEFORE", lambda when, day: when < day),
    ("ON", lambda when, day: when == day),
    ("SINCE", lambda when, day: when >= day),
)
_LEAVES: tuple[Callable[[Random, Sequence[int]], Key], ...] = (
    _flag, _flag, _numbers, _word, _word, _header, _size, _date,
    lambda chance, uids: Key("ALL", lambda one: True),
)  # fmt: skip
