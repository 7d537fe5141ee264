"""SEARCH: what a key means, and that opening a message further never changes a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.flags import RECENT, FlagNames
from mssante.imap.grammar import search, search_syntax
from mssante.imap.grammar.lexer import Cursor, Literal8
from mssante.imap.grammar.need import Need
from mssante.imap.grammar.search import Key, Query, Result
from mssante.imap.rules.matching import Candidate, Context, compiled, need_of
from mssante.mime.folding import fold
from mssante.model import Flag

NOW = datetime(2024, 5, 10, 12, tzinfo=UTC)
NAMES = FlagNames(("$label1",))
CONTEXT = Context(NAMES, last_sequence=6, last_uid=60, now=NOW)


def query(text: str | bytes, *literals: bytes) -> Query:
    octets = text if isinstance(text, bytes) else text.encode()
    cursor = Cursor(b" " + octets, literals)
    found = search_syntax.parse(cursor)
    cursor.end()
    return found


@dataclass
class Mail:
    """A message as the store would open it."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    body: str = ""
    received: datetime = NOW
    sent: date | None = None
    size: int = 100
    keeps: frozenset[str] = frozenset({"from", "to", "cc", "bcc", "subject"})

    def candidate(self, need: Need, *, sequence: int = 1, uid: int = 10, flags: int = 0) -> Candidate:
        return Candidate(
            sequence,
            uid,
            flags,
            summary=_Summary(self) if need >= Need.SUMMARY else None,
            header=_Header(self) if need >= Need.HEADER else None,
            content=_Content(self) if need >= Need.BODY else None,
        )


@dataclass
class _Header:
    mail: Mail

    def texts(self, name: str) -> Sequence[str] | None:
        return [fold(value) for value in self.mail.fields.get(name, [])]


class _Summary(_Header):
    def texts(self, name: str) -> Sequence[str] | None:
        return super().texts(name) if name in self.mail.keeps else None

    @property
    def received(self) -> datetime:
        return self.mail.received

    @property
    def sent(self) -> date | None:
        return self.mail.sent

    @property
    def size(self) -> int:
        return self.mail.size


@dataclass
class _Content:
    mail: Mail

    def header_contains(self, needle: str) -> bool:
        text = "\n".join(f"{name}: {value}" for name, values in self.mail.fields.items() for value in values)
        return needle in fold(text)

    def body_contains(self, needle: str) -> bool:
        return needle in fold(self.mail.body)


LETTER = Mail(
    fields={
        "from": ["Dr Hélène Müller <h@a.mssante.fr>"],
        "subject": ["RÉSULTATS d'analyse"],
        "x-mss-ins": ["O"],
    },
    body="Cher confrère, le patient va bien.",
    received=datetime(2024, 5, 3, 23, 30, tzinfo=UTC),
    sent=date(2024, 5, 2),
    size=2000,
)


def holds(text: str, mail: Mail = LETTER, **of: int) -> bool:
    verdict = compiled(query(text).key, CONTEXT)(mail.candidate(Need.BODY, **of))
    assert verdict is not None
    return verdict


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ALL", True),
        ('FROM "müller"', True),
        ('FROM "MÜLLER"', True),
        ("FROM muller", True),  # accents do not count
        ('FROM "@A.MSSANTE.FR>"', True),
        ("TO x", False),
        ('TO ""', False),
        ('FROM ""', True),
        ('SUBJECT "résultats"', True),
        ("HEADER X-MSS-INS o", True),
        ('HEADER X-MSS-INS ""', True),
        ('HEADER X-MSS-MES ""', False),
        ('BODY "confrère"', True),
        ('BODY "résultats"', False),
        ('TEXT "résultats"', True),
        ('TEXT "confrère"', True),
        ('BODY ""', True),
        ("SMALLER 2000", False),
        ("SMALLER 2001", True),
        ("LARGER 2000", False),
        ("LARGER 1999", True),
        ("BEFORE 3-May-2024", False),
        ("BEFORE 4-May-2024", True),
        ('ON "3-May-2024"', True),
        ("SINCE 3-May-2024", True),
        ("SINCE 4-May-2024", False),
        ("SENTON 2-May-2024", True),
        ("SENTBEFORE 2-May-2024", False),
        ("SENTSINCE 2-May-2024", True),
        ("OLDER 3600", True),
        ("YOUNGER 3600", False),
        ("NOT FROM x", True),
        ("OR FROM x SUBJECT analyse", True),
        ("OR FROM x SUBJECT zz", False),
        ('(FROM "hélène" SUBJECT analyse) BODY patient', True),
        ('(FROM "hélène" SUBJECT analyse) BODY absent', False),
        ("1", True),
        ("2:*", False),
        ("UID 10", True),
        ("UID 11:*", False),
        ("UID 5:12,60", True),
    ],
)
def test_what_a_key_means(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize("flag", Flag)
def test_system_flags(flag: Flag) -> None:
    assert holds(flag.name, flags=flag.value)
    assert not holds(flag.name)
    assert holds(f"UN{flag.name}")
    assert not holds(f"UN{flag.name}", flags=flag.value)


def test_recent_new_and_old() -> None:
    assert holds("NEW", flags=RECENT)
    assert not holds("NEW", flags=RECENT | Flag.SEEN.value)
    assert holds("RECENT", flags=RECENT | Flag.SEEN.value)
    assert holds("OLD")


def test_keywords_in_any_case_and_unknown_ones() -> None:
    assert holds("KEYWORD $LABEL1", flags=1 << 8)
    assert not holds("UNKEYWORD $label1", flags=1 << 8)
    assert not holds("KEYWORD never-seen", flags=-1)
    assert holds("UNKEYWORD never-seen", flags=-1)


def test_within_takes_in_its_edge() -> None:  # RFC 5032 §3
    edge = Mail(received=NOW - timedelta(seconds=60))
    assert holds("YOUNGER 60", edge)
    assert holds("OLDER 60", edge)
    assert not holds("YOUNGER 59", edge)


@pytest.mark.parametrize(
    ("charset", "octets"),
    [
        ("UTF-8", "été".encode()),
        ("utf-8", "été".encode()),
        ("ISO-8859-1", "été".encode("latin-1")),
        ("ISO-8859-15", "été".encode("iso8859-15")),
        ("WINDOWS-1252", "été".encode("cp1252")),
        ("UTF-16", "été".encode("utf-16")),
        ("UTF-16", "été".encode("utf-16-be")),
        ("UTF-16LE", "été".encode("utf-16-le")),
    ],
)
def test_texts_are_read_in_their_charset(charset: str, octets: bytes) -> None:
    # UTF-16 holds NUL: such a text comes as a literal8 (RFC 3516), others in any literal.
    found = query(f"CHARSET {charset} SUBJECT \n", Literal8(octets))
    assert found.key == search.HasField("subject", "été")


def test_without_a_charset_utf8_is_tried_first() -> None:
    assert query("SUBJECT \n", "été".encode()).key == search.HasField("subject", "été")
    assert query("SUBJECT \n", "été".encode("latin-1")).key == search.HasField("subject", "été")


def test_result_options() -> None:
    assert query("ALL").results is None
    assert query("RETURN () ALL").results == frozenset({Result.ALL})
    assert query("RETURN (MIN MAX count) ALL").results == frozenset({Result.MIN, Result.MAX, Result.COUNT})


@pytest.mark.parametrize(
    ("text", "need"),
    [
        ("UNSEEN 1:5 KEYWORD x", Need.FLAGS),
        ("SEEN SINCE 1-Jan-2024", Need.SUMMARY),
        ("FROM x", Need.HEADER),
        ("OR SEEN NOT BODY x", Need.BODY),
    ],
)
def test_the_deepest_opening_a_query_may_need(text: str, need: Need) -> None:
    assert need_of(query(text).key) is need


def test_a_cheap_key_decides_without_opening() -> None:
    flags_only = LETTER.candidate(Need.FLAGS, flags=Flag.SEEN.value)
    assert compiled(query("TEXT x UNSEEN").key, CONTEXT)(flags_only) is False
    assert compiled(query("OR TEXT x SEEN").key, CONTEXT)(flags_only) is True
    assert compiled(query("TEXT x SEEN").key, CONTEXT)(flags_only) is None


LEAVES = st.sampled_from(
    [
        "ALL", "SEEN", "UNSEEN", "KEYWORD $label1", "1:3", "UID 10:20", "SINCE 4-May-2024",
        "SENTON 2-May-2024", "LARGER 1500", "FROM a", "SUBJECT b", "HEADER x-y c", "BODY a", "TEXT b",
    ]
)  # fmt: skip
KEYS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map("NOT {}".format),
        st.tuples(inner, inner).map("OR {0[0]} {0[1]}".format),
        st.lists(inner, min_size=1, max_size=3).map(lambda keys: f"({' '.join(keys)})"),
    ),
    max_leaves=6,
)
TEXTS = st.text("abc", max_size=2)
MAILS = st.builds(
    Mail,
    fields=st.dictionaries(st.sampled_from(["from", "subject", "x-y"]), st.lists(TEXTS, max_size=2)),
    body=TEXTS,
    received=st.sampled_from([NOW, datetime(2024, 5, 1, tzinfo=UTC)]),
    sent=st.sampled_from([None, date(2024, 5, 2)]),
    size=st.sampled_from([1000, 2000]),
    keeps=st.sampled_from([frozenset(), frozenset({"from", "subject"})]),
)


@given(KEYS, MAILS, st.sampled_from([0, 1, 256, 257]))
@settings(max_examples=200, deadline=None)
def test_opening_further_never_changes_a_verdict(text: str, mail: Mail, flags: int) -> None:
    key: Key = query(text).key
    test = compiled(key, CONTEXT)
    verdicts = [test(mail.candidate(need, flags=flags)) for need in Need]
    assert verdicts[need_of(key)] is not None
    assert verdicts[-1] is not None
    assert all(verdict in (None, verdicts[-1]) for verdict in verdicts)
    assert verdicts[-1] is _plainly(key, mail, flags)


def _plainly(key: Key, mail: Mail, flags: int) -> bool:
    """The same, said naively on the whole message."""
    match key:
        case search.All():
            return True
        case search.Flagged(bit, present):
            return bool(flags & bit) is present
        case search.HasKeyword(_, present):
            return bool(flags & 256) is present
        case search.Numbers(_, _):
            return True  # sequence 1 and UID 10 are in every set of LEAVES
        case search.Dated(_, day, sent):
            return mail.sent == day if sent else mail.received.date() >= day
        case search.Sized(octets, _):
            return mail.size > octets
        case search.HasField(name, needle):
            return any(needle in value for value in mail.fields.get(name, []))
        case search.Text(needle, header):
            everything = "".join(
                f"{name}: {value}\n" for name, values in mail.fields.items() for value in values
            )
            return needle in mail.body or (header and needle in everything)
        case search.Not(inner):
            return not _plainly(inner, mail, flags)
        case search.Or(either, other):
            return _plainly(either, mail, flags) or _plainly(other, mail, flags)
        case search.And(keys):
            return all(_plainly(one, mail, flags) for one in keys)
        case search.Saved() | search.Identified() | search.Within() | search.Changed():
            raise AssertionError("not in LEAVES")
