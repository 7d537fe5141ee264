"""The laws of SMTP's cores at the figures of the attack catalogue: S2, S5, S12, S13."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest

from mssante.model import Domain, Malformed
from mssante.smtp.grammar.commands import RcptCommand, parse_rcpt
from mssante.smtp.grammar.data import DataParser
from mssante.smtp.grammar.sending import DotStuffer
from tests.support.smtp.smuggling import FAKE_TERMINATORS

from .test_commands import ORACLE
from .test_data import oracle, outcome

_WORDS = (b"\r\n", b"\r\n", b"\r\n.", b"\r", b"\n", b".", b"..", b"\0", b"a", b"corps", b"x" * 18, b"\xe9")
_ENDS = (b"\r\n.\r\n", b"\r\n.\r\nNOOP\r\n", b"", *FAKE_TERMINATORS)


def _wire(chance: random.Random) -> bytes:
    words = chance.choices(_WORDS, k=chance.randrange(12))
    return b"".join(words) + chance.choice(_ENDS)


def _agree(cases: int, *, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(cases):
        wire = _wire(chance)
        cuts = [chance.randrange(len(wire) + 1) for _ in range(chance.randrange(4))]
        expected, seen = oracle(wire), outcome(wire, cuts)
        if expected[0] in ("exhausted", "unfinished"):
            assert seen[0] == expected[0], wire
        else:
            assert seen == expected, (wire, cuts)


def test_two_thousand_contents_end_where_the_oracle_says() -> None:
    _agree(2_000, seed=1)


@pytest.mark.campaign
def test_sixty_thousand_contents_end_where_the_oracle_says() -> None:
    """S2: 0 mismatches."""
    _agree(60_000, seed=2)


def _every_split(bodies: int, *, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(bodies):
        wire = _wire(chance) + b"\r\n.\r\nRSET\r\n"
        whole = outcome(wire, [])
        for first in range(len(wire) + 1):
            assert outcome(wire, [first]) == whole, (wire, first)
        assert outcome(wire, list(range(len(wire)))) == whole, wire


@pytest.mark.campaign
def test_two_hundred_bodies_at_every_split() -> None:
    """S2: identical at every octet."""
    _every_split(200, seed=3)


def _round_trips(cases: int, *, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(cases):
        lines = [
            chance.choice((b"", b".", b"..", b".x", chance.randbytes(chance.randrange(60))))
            for _ in range(chance.randrange(8))
        ]
        content = b"".join(re.sub(rb"[\r\n\0]", b"", line) + b"\r\n" for line in lines)
        stuffer, parser = DotStuffer(), DataParser(octets_max=1 << 20)
        cut = chance.randrange(1, 40)
        wire = b"".join(stuffer.feed(content[at : at + cut]) for at in range(0, len(content), cut))
        wire += stuffer.end()
        other = chance.randrange(1, 40)
        received = b"".join(parser.receive_data(wire[at : at + other]) for at in range(0, len(wire), other))
        assert (received, parser.done, parser.fault, parser.leftover) == (content, True, None, b"")


def test_a_thousand_contents_survive_the_way() -> None:
    _round_trips(1_000, seed=4)


@pytest.mark.campaign
def test_twenty_thousand_contents_survive_the_way() -> None:
    """S5: equal, octet for octet."""
    _round_trips(20_000, seed=5)


_PIECES = [*'aBz09@@..-_+%!"\\()<>[]:;,éа＠。 ', "\t", "\0", "\r"]
_WHOLE = (
    "a@b.fr",
    "dr.x@chu-a.mssante.fr",
    "@r.fr:a@b.fr",
    '"a b"@c.fr',
    "a%b@c.fr",
    "a@b@c.fr",
    "a@[1.2.3.4]",
)


def _paths(cases: int, seed: int) -> Iterator[str]:
    chance = random.Random(seed)
    for _ in range(cases):
        inner = list(chance.choice(_WHOLE)) if chance.random() < 0.6 else chance.choices(_PIECES, k=8)
        for _ in range(chance.randrange(3)):
            inner.insert(chance.randrange(len(inner) + 1), chance.choice(_PIECES))
        text = "".join(inner)
        yield text if chance.random() < 0.05 else f"<{text}>"


def _same_set(cases: int, *, seed: int) -> None:
    accepted = 0
    for path in _paths(cases, seed):
        said = parse_rcpt(f"TO:{path}")
        # Blanks round the path are the command's, not the address's (RFC 5321 §4.1.1.11 clients write them).
        match = ORACLE.fullmatch(path.strip(" "))
        assert isinstance(said, RcptCommand) == (match is not None), path
        if isinstance(said, RcptCommand) and match is not None:
            accepted += 1
            assert (said.recipient.local, said.recipient.domain.name) == (match[1], match[2].lower())
    assert accepted > cases / 20  # the fuzz is not all rubbish


def test_five_thousand_paths_are_accepted_as_the_grammar_says() -> None:
    _same_set(5_000, seed=6)


@pytest.mark.campaign
def test_a_hundred_thousand_paths_are_accepted_as_the_grammar_says() -> None:
    """S13: the accepted set is the oracle's."""
    _same_set(100_000, seed=7)


# What looks like a letter, a hyphen, a dot, or like nothing (S12; Unicode TR39's confusables, abridged).
_ALIKE = {
    "a": "аɑａ𝐚Aª",
    "c": "сⅽｃƈC",
    "e": "еｅ𝐞ҽE",
    "h": "һｈℎH",
    "i": "іｉıíI1l",
    "l": "ｌⅼ1iI",
    "m": "ｍⅿmM",
    "n": "ｎոN",
    "o": "оｏοο0O",
    "r": "ｒгR",
    "s": "ѕｓsSƽ",
    "t": "ｔтT",
    "u": "ｕυսU",
    "b": "Ьｂ6B",
    "-": "‐‑–−﹣－_",
    ".": "。．｡․,",
}
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u202e\u202d\u2066\u0301"


def confusables(name: str, many: int) -> list[str]:
    """`many` texts that could be taken for `name` and are not it, case apart."""
    chance, found = random.Random(name), dict[str, None]()
    while len(found) < many:
        letters = list(name)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            at = chance.randrange(len(letters))
            if chance.random() < 0.25:
                letters.insert(at, chance.choice(_INVISIBLE))
            else:
                letters[at] = chance.choice(_ALIKE.get(letters[at], letters[at]))
        text = "".join(letters)
        if text.lower() != name or not text.isascii():
            found[text] = None
    return list(found)


@pytest.mark.parametrize("name", ["chu-a.mssante.fr", "cabinet-b.mssante.fr", "labo-c.mssante.fr"])
def test_two_hundred_confusable_domains_are_never_the_real_one(name: str) -> None:
    """S12: each is refused, or another domain; never normalised into the real one."""
    real, refused = Domain.parse(name), 0
    for look in confusables(name, 200):
        said = parse_rcpt(f"TO:<dr.x@{look}>")
        if isinstance(said, RcptCommand):
            assert said.recipient.domain != real, look
            assert said.recipient.domain.name.isascii(), look
        else:
            refused += 1
        try:
            assert Domain.parse(look) != real, look
        except Malformed:
            continue
    assert refused > 100
