"""Letters by number, and what is true of each: its octets, its sections, its texts and dates.

A letter is made of its number alone, so that any client can say what the octets of message n must be. The
words that searches look for stand nowhere else, so that an oracle of three lines is exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from random import Random

SUBJECTS = tuple(f"sujet{n}q" for n in range(6))
BODIES = tuple(f"corps{n}q" for n in range(6))
SENDERS = tuple(f"emetteur{n}q" for n in range(6))
RECIPIENTS = tuple(f"destinataire{n}q" for n in range(4))
ACCENTED = "résultat"
_FIELD = re.compile(rb"([^:\r\n]+):.*\r\n(?:[ \t].*\r\n)*")


@dataclass(frozen=True)
class Letter:
    """`sections` by their names in FETCH: "" the whole, "HEADER", "1.MIME" …; what is not there has none."""

    number: int
    content: bytes
    sections: dict[str, bytes]
    subject: str
    sender: str
    recipient: str | None
    sent: date | None
    body: frozenset[str]

    def fields(self, names: frozenset[bytes], *, others: bool) -> bytes:
        """HEADER.FIELDS (names in lower case) or, with `others`, HEADER.FIELDS.NOT."""
        kept = [
            field.group() for field in _FIELD.finditer(self.sections["HEADER"])
            if (field[1].lower() in names) is not others
        ]  # fmt: skip
        return b"".join(kept) + b"\r\n"


@lru_cache(maxsize=4096)
def letter(number: int) -> Letter:
    chance = Random(number)
    subject, sender = chance.choice(SUBJECTS), chance.choice(SENDERS)
    recipient = chance.choice([*RECIPIENTS, None])
    sent = date(2024, 2, 26) + timedelta(days=chance.randrange(6)) if chance.random() < 0.8 else None
    lines = [
        f"X-Number: {number}",
        f"From: Dr X <{sender}@a.test>",
        f"Subject: n{number} {subject} =?utf-8?q?r=C3=A9sultat?=" if number % 3 == 0 else
        f"Subject: n{number}\r\n {subject}",
        f"Message-ID: <{number}@a.test>",
    ]  # fmt: skip
    if recipient is not None:
        lines.append(f"To: {recipient}@b.test")
    if sent is not None:
        # The day that counts is the one written, whatever its zone (RFC 3501 §6.4.4).
        zone = timezone(timedelta(hours=chance.choice([-12, 0, 14])))
        lines.append(
            f"Date: {datetime(sent.year, sent.month, sent.day, 23, 30, tzinfo=zone):%d %b %Y %H:%M:%S %z}"
        )
    chance.shuffle(lines)
    words = [chance.choice(BODIES), chance.choice(BODIES)]
    size = 70_000 if number % 29 == 0 else chance.choice([0, 10, 900])
    texts = [f"{word}\r\n{'x' * 70}\r\n" + "une ligne\r\n" * (size // 11) for word in words]
    kind = (_plain, _plain, _mixed, _nested)[number % 4]
    head, sections = kind("\r\n".join(lines).encode(), [text.encode() for text in texts], words)
    body = sections["TEXT"]
    whole = head + body
    sections |= {"": whole, "HEADER": head}
    told = frozenset(words if number % 4 > 1 else words[:1])
    return Letter(number, whole, sections, subject, sender, recipient, sent, told)


Made = tuple[bytes, dict[str, bytes]]


def _plain(head: bytes, texts: list[bytes], words: list[str]) -> Made:
    head += b"\r\n\r\n"
    return head, {"TEXT": texts[0], "1": texts[0], "1.MIME": head}


def _mixed(head: bytes, texts: list[bytes], words: list[str]) -> Made:
    head += b"\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n"
    mimes = [b"Content-Type: text/plain\r\n\r\n", b"\r\n"]
    text = b"".join(b"--bb\r\n" + mime + each + b"\r\n" for mime, each in zip(mimes, texts, strict=True))
    sections = {"TEXT": b"preamble\r\n" + text + b"--bb--\r\nepilogue\r\n"}
    for number, (mime, each) in enumerate(zip(mimes, texts, strict=True), 1):
        sections |= {f"{number}": each, f"{number}.MIME": mime}
    return head, sections


def _nested(head: bytes, texts: list[bytes], words: list[str]) -> Made:
    head += b"\r\nContent-Type: multipart/mixed; boundary=cc\r\n\r\n"
    mime = b"Content-Type: message/rfc822\r\n\r\n"
    inner_head = b"From: within@c.test\r\nX-Within: yes\r\n\r\n"
    inner = inner_head + texts[1]
    text = b"--cc\r\n\r\n" + texts[0] + b"\r\n--cc\r\n" + mime + inner + b"\r\n--cc--"
    return head, {
        "TEXT": text, "1": texts[0], "1.MIME": b"\r\n", "2": inner, "2.MIME": mime, "2.HEADER": inner_head,
        "2.TEXT": texts[1], "2.1": texts[1], "2.1.MIME": inner_head,
    }  # fmt: skip


# What a FETCH may ask of a letter

_SECTIONS = (
    "", "HEADER", "TEXT", "1", "1.MIME", "2", "2.MIME", "2.HEADER", "2.TEXT", "2.1", "2.1.MIME", "3", "1.1",
)  # fmt: skip
_NAMES = ("Subject", "From", "X-Number", "Date", "X-None")


@dataclass(frozen=True)
class Asked:
    """One body section: how it is asked, how its answer is labelled, and what it must be."""

    item: str
    label: str
    reads: bool  # marks as \\Seen
    expected: Callable[[Letter], bytes | None]


def asked(chance: Random) -> Asked:
    peek = chance.choice(["BODY", "BODY.PEEK", "BODY.PEEK"])
    kind = chance.random()
    if kind < 0.15:
        name, section = chance.choice([("RFC822", ""), ("RFC822.HEADER", "HEADER"), ("RFC822.TEXT", "TEXT")])
        return Asked(name, name, section != "HEADER", lambda letter: letter.sections[section])
    if kind < 0.4:
        names, others = chance.sample(_NAMES, chance.randint(1, 3)), chance.random() < 0.3
        spec = f"HEADER.FIELDS{'.NOT' if others else ''} ({' '.join(names)})"
        lowered = frozenset(name.lower().encode() for name in names)
        return _cut(chance, peek, spec, lambda letter: letter.fields(lowered, others=others))
    section = chance.choice(_SECTIONS)
    return _cut(chance, peek, section, lambda letter: letter.sections.get(section))


def _cut(chance: Random, peek: str, spec: str, whole: Callable[[Letter], bytes | None]) -> Asked:
    item, label = f"{peek}[{spec}]", f"BODY[{spec.upper()}]"
    if chance.random() < 0.7:
        return Asked(item, label, peek == "BODY", whole)
    start, count = chance.choice([0, 3, 65_530, 99_999]), chance.choice([1, 20, 70_000])

    def expected(letter: Letter) -> bytes | None:
        octets = whole(letter)
        return None if octets is None else octets[start : start + count]

    return Asked(f"{item}<{start}.{count}>", f"{label}<{start}>", peek == "BODY", expected)
