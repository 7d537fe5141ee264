"""SEARCH: what a key means, and that opening a message further never changes a verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.flags import RECENT, FlagNames
from mssante.imap.grammar import search, search_syntax
from mssante.imap.grammar.lexer import Cursor, Literal8
from mssante.imap.grammar.need import Need
from mssante.imap.grammar.search import All, And, Flagged, HasField, Key, Not, Or, Query, Result, Text
from mssante.imap.rules.matching import (
    Context,
    Known,
    Question,
    Uids,
    Verdict,
    judged,
    need_of,
    needs,
    prepared,
    questions,
)
from mssante.mime.folding import fold
from mssante.mime.packed import pack
from mssante.mime.summary import SearchTexts, Summary
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
    """A message, and what it shows when it is opened so far and no further."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    body: str = ""
    received: datetime = NOW
    sent: date | None = None
    size: int = 100

    def known(self, need: Need, *, sequence: int = 1, uid: int = 10, flags: int = 0) -> Known:
        return Known(
            CONTEXT,
            flags={uid: flags},
            sequences={uid: sequence},
            modseqs={uid: 1},
            summaries={uid: self.summary()} if need >= Need.SUMMARY else None,
            headers={uid: self.header().encode()} if need >= Need.HEADER else None,
            contents={uid: (fold(self.header()), fold(self.body))} if need >= Need.BODY else None,
        )

    def summary(self) -> Summary:
        kept = ("subject", "from", "to", "cc", "bcc")
        texts = SearchTexts(*(", ".join(self.fields.get(name, [])) for name in kept))
        sent = None if self.sent is None else datetime.combine(self.sent, time(), UTC)
        return Summary(
            size=self.size,
            internal_date=int(self.received.timestamp()),
            sent_at=None if sent is None else int(sent.timestamp()),
            sent_offset=None if sent is None else 0,
            envelope=pack(()),
            structure=pack(()),
            packed_texts=msgpack.packb(texts),
            packed_parts=b"",
            header_octets=0,
            internal_offset=0,
            packed_listed=b"",
            preview=b"",
        )

    def header(self) -> str:
        return "".join(f"{name}: {value}\r\n" for name, values in self.fields.items() for value in values)


def verdict(key: Key, known: Known) -> bool | None:
    """Of the one message that `known` is about; None: not decided by what is known."""
    everybody = frozenset(known.flags)
    sure, possible = judged(prepared(key, CONTEXT), everybody, known.judge)
    assert sure <= possible <= everybody
    if sure:
        return True
    return None if possible else False


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
    found = verdict(query(text).key, mail.known(Need.BODY, **of))
    assert found is not None
    return found


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
        ("FROM x", Need.SUMMARY),  # the summary keeps its text
        ('FROM ""', Need.HEADER),  # whether it is there
        ("HEADER x-y c", Need.HEADER),
        ("OR SEEN NOT BODY x", Need.BODY),
    ],
)
def test_the_deepest_opening_a_query_may_need(text: str, need: Need) -> None:
    assert need_of(query(text).key) is need


def test_a_cheap_key_decides_without_opening() -> None:
    flags_only = LETTER.known(Need.FLAGS, flags=Flag.SEEN.value)
    assert verdict(query("TEXT x UNSEEN").key, flags_only) is False
    assert verdict(query("OR TEXT x SEEN").key, flags_only) is True
    assert verdict(query("TEXT x SEEN").key, flags_only) is None


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
)


@given(KEYS, MAILS, st.sampled_from([0, 1, 256, 257]))
@settings(max_examples=200, deadline=None)
def test_opening_further_never_changes_a_verdict(text: str, mail: Mail, flags: int) -> None:
    key: Key = query(text).key
    verdicts = [verdict(key, mail.known(need, flags=flags)) for need in Need]
    assert verdicts[need_of(key)] is not None
    assert verdicts[-1] is not None
    assert all(found in (None, verdicts[-1]) for found in verdicts)
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


@given(KEYS, st.lists(MAILS, min_size=1, max_size=5), st.sampled_from(Need))
@settings(max_examples=100, deadline=None)
def test_of_many_at_once_is_found_what_is_found_one_by_one(text: str, post: list[Mail], need: Need) -> None:
    key = query(text).key
    alone = [mail.known(need, uid=uid, sequence=uid) for uid, mail in enumerate(post, 8)]
    together = Known(CONTEXT)
    for known in alone:
        together.learn(known, known.flags)
    if need >= Need.SUMMARY:
        together.summaries = {uid: each for known in alone for uid, each in (known.summaries or {}).items()}
    if need >= Need.HEADER:
        together.headers = {uid: each for known in alone for uid, each in (known.headers or {}).items()}
    if need >= Need.BODY:
        together.contents = {uid: each for known in alone for uid, each in (known.contents or {}).items()}
    sure, possible = judged(prepared(key, CONTEXT), frozenset(together.flags), together.judge)
    verdicts = {uid: verdict(key, known) for known in alone for uid in known.flags}
    assert sure == {uid for uid, found in verdicts.items() if found}
    assert possible == {uid for uid, found in verdicts.items() if found is not False}


def test_a_dear_leaf_is_not_asked_about_what_cheap_ones_decide() -> None:
    asked: list[tuple[Key, Uids]] = []

    def judge(leaf: search.Leaf, uids: Uids) -> Verdict:
        asked.append((leaf, uids))
        return Verdict(uids & {1, 2}, uids & {1, 2, 3}) if isinstance(leaf, Flagged) else Verdict(uids, uids)

    seen, word = Flagged(1, True), Text("a", header=True)
    judged(prepared(And((word, seen)), CONTEXT), {1, 2, 3, 4}, judge)
    judged(prepared(Or(word, seen), CONTEXT), {1, 2, 3, 4}, judge)
    assert asked == [(seen, {1, 2, 3, 4}), (word, {1, 2, 3}), (seen, {1, 2, 3, 4}), (word, {3, 4})]


def test_an_empty_kept_field_means_the_same_alone_and_beside_a_dearer_key() -> None:
    # A first empty Subject is what the summary keeps; the header would tell of the second.
    mail = Mail(fields={"x-y": ["c"]}, body="b")
    known = mail.known(Need.BODY)
    known.headers = {10: b"Subject: \r\nSubject: a\r\nX-Y: c\r\n"}
    assert verdict(query("SUBJECT a").key, known) is False
    assert verdict(query("SUBJECT a HEADER x-y c").key, known) is False
    assert verdict(query('SUBJECT ""').key, known) is True


# What an index of words bounds, whatever it knows, holds the truth between

EVERYBODY = frozenset(range(8))
WORDS = st.one_of(
    st.builds(Text, st.sampled_from(["a", "b", "Été", ""]), st.booleans()),
    st.builds(HasField, st.just("from"), st.sampled_from(["a", ""])),
    st.sampled_from([All(), Flagged(1, True)]),
)
WORD_KEYS = st.recursive(
    WORDS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(Or, inner, inner),
        st.lists(inner, min_size=1, max_size=3).map(tuple).map(And),
    ),
)
SOME = st.frozensets(st.sampled_from(sorted(EVERYBODY)))


@given(WORD_KEYS, st.data())
def test_the_truth_lies_between_the_bounds(key: Key, data: st.DataObject) -> None:
    truth: dict[object, frozenset[int]] = {}
    told: dict[Question, Verdict] = {}

    def index(question: Question, uids: Uids) -> Verdict:
        if question not in told:
            holding = truth.setdefault(question, data.draw(SOME))
            told[question] = Verdict(holding & data.draw(SOME), holding | data.draw(SOME))
        return Verdict(told[question].sure & uids, told[question].possible & uids)

    flagged = data.draw(SOME)
    flags = {uid: int(uid in flagged) for uid in EVERYBODY}
    found = judged(prepared(key, CONTEXT), EVERYBODY, Known(CONTEXT, flags=flags, index=index).judge)

    def true_of(key: Key) -> frozenset[int]:
        match key:
            case All() | Text("", _):
                return EVERYBODY
            case Text(needle, header):
                question = Question(fold(needle), header, True)
                return truth.setdefault(question, data.draw(SOME))
            case HasField(_, "a"):
                # In one field of the header, of which the index knows no more than that it is somewhere.
                holding = truth.setdefault(Question("a", True, False), data.draw(SOME))
                return truth.setdefault(key, holding & data.draw(SOME))
            case Flagged(_, _):
                return flagged
            case Not(inner):
                return EVERYBODY - true_of(inner)
            case Or(either, other):
                return true_of(either) | true_of(other)
            case And(both):
                return EVERYBODY.intersection(*map(true_of, both))
            case _:
                return truth.setdefault(key, data.draw(SOME))

    assert found.sure <= true_of(key) <= found.possible


def test_an_index_is_asked_what_it_may_know() -> None:
    key = prepared(
        And((Text("Été", header=True), Not(HasField("from", "É")), Text("", header=False), All())), CONTEXT
    )
    assert questions(key) == {Question("ete", True, True), Question("e", True, False)}
    # Whether flags, numbers and dates have a say.
    assert Need.FLAGS in needs(key)
    assert needs(Or(Text("a", header=False), Not(HasField("to", "b")))) == {Need.SUMMARY, Need.BODY}
    assert needs(Text("", header=True)) == {Need.FLAGS}
