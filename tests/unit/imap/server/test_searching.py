"""mssante.imap.server.searching: what is found is what a scan of everything would find."""

from __future__ import annotations

import base64
import quopri
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mssante.imap.grammar import search_syntax
from mssante.imap.grammar.lexer import Cursor
from mssante.imap.grammar.search import And, HasField, Key, Not, Or, Text
from mssante.imap.rules.matching import Context
from mssante.imap.server import searching
from mssante.imap.server.searching import Searcher
from mssante.limits import KIB, MIB
from mssante.mailbox.index.workers import SearchThreads
from mssante.mime.folding import fold
from mssante.model import Flag
from mssante.reasons import Passing, Reason
from tests.support.owner import Owner

WORDS = ["fièvre", "Dupont", "résultat", "urgent", "café", "zoé"]


def searcher(owner: Owner) -> Searcher:
    return Searcher(owner.reader, SearchThreads())


async def found(owner: Owner, key: Key | str, folder: str = "INBOX") -> list[int]:
    selected = await owner.selected(folder)
    if isinstance(key, str):
        key = search_syntax.parse(Cursor(b" CHARSET UTF-8 " + key.encode())).key
    context = Context(
        names=await owner.folders.flag_names(),
        last_sequence=len(selected.view),
        last_uid=selected.view.uids[-1] if len(selected.view) else 0,
        now=datetime(2026, 1, 2, tzinfo=UTC),
    )
    return await searcher(owner).search(selected, key, context)


def written(from_: str, subject: str, body: str, encoding: str, charset: str) -> bytes:
    octets = body.encode(charset)
    match encoding:
        case "base64":
            octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
        case "quoted-printable":
            octets = quopri.encodestring(octets).replace(b"\n", b"\r\n")
    word = base64.b64encode(subject.encode()).decode()
    head = f"From: {from_} <a@b.test>\r\nSubject: =?utf-8?B?{word}?=\r\n"
    kind = f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + kind.encode() + octets


letters = st.fixed_dictionaries(
    {
        "from_": st.sampled_from(["Dupont", "Zoe", "Martin"]),
        "subject": st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join),
        "body": st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join),
        "encoding": st.sampled_from(["8bit", "base64", "quoted-printable"]),
        "charset": st.sampled_from(["utf-8", "iso-8859-1", "windows-1252"]),
    }
)
needles = st.sampled_from([*WORDS, "FIÈVRE", "dup", "é", "caf", "sult", ""])
keys = st.recursive(
    st.one_of(
        st.builds(HasField, st.sampled_from(["from", "subject", "to", "x-none"]), needles),
        st.builds(Text, needles, st.booleans()),
    ),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(Or, inner, inner),
        st.lists(inner, min_size=2, max_size=3).map(tuple).map(And),
    ),
    max_leaves=5,
)  # fmt: skip


def matches(letter: dict[str, str], key: Key) -> bool:
    """The oracle: it has the texts, and knows nothing of summaries."""
    fields = {"from": f"{letter['from_']} <a@b.test>", "subject": letter["subject"]}
    match key:
        case HasField(name, needle):
            return name in fields and fold(needle) in fold(fields[name])
        case Text(needle, header):
            rest = f"From: {fields['from']} Subject: {fields['subject']} Content-Type: text/plain; charset="
            rest += f"{letter['charset']} Content-Transfer-Encoding: {letter['encoding']}"
            return (
                fold(needle) in fold(letter["body"]) or (header and fold(needle) in fold(rest)) or not needle
            )
        case Not(inner):
            return not matches(letter, inner)
        case Or(either, other):
            return matches(letter, either) or matches(letter, other)
        case And(both):
            return all(matches(letter, each) for each in both)
    raise AssertionError(key)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(post=st.lists(letters, min_size=1, max_size=4), key=keys)
async def test_what_is_found_is_what_the_texts_say(
    owner: Owner, post: list[dict[str, str]], key: Key
) -> None:
    name = f"f{id(post)}"
    await owner.folders.create(name)
    for letter in post:
        await owner.append(written(**letter), name)
    expected = [uid for uid, letter in enumerate(post, 1) if matches(letter, key)]
    assert await found(owner, key, name) == expected
    await owner.folders.delete(name)


async def test_large_contents_are_looked_through_too(owner: Owner) -> None:
    padding = b"x" * 900 + b"\r\n"
    for word in (b"aiguille", b"foin", b"aiguille"):
        await owner.append(b"Subject: s\r\n\r\n" + padding * 200 + word)
    await owner.append(b"Subject: s\r\n\r\naiguille")
    assert await found(owner, "BODY aiguille") == [1, 3, 4]
    assert await found(owner, "NOT BODY aiguille") == [2]


async def test_a_field_is_there_even_when_it_is_empty(owner: Owner) -> None:
    await owner.append(b"Subject:\r\nCc: \r\n\r\nx")
    await owner.append(b"From: a@b.test\r\n\r\nx")
    assert await found(owner, 'HEADER Subject ""') == [1]
    assert await found(owner, 'HEADER Cc ""') == [1]
    assert await found(owner, 'NOT HEADER Cc ""') == [2]
    assert await found(owner, 'SUBJECT ""') == [1]


async def test_headers_of_parts_belong_to_the_body_and_attachments_do_not(owner: Owner) -> None:
    part = b"--b\r\nContent-Type: application/pdf; name=compte-rendu.pdf\r\n\r\nsecret du pdf\r\n--b--\r\n"
    await owner.append(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part)
    assert await found(owner, "BODY compte-rendu.pdf") == [1]
    assert await found(owner, 'BODY "secret du pdf"') == []


async def test_a_folder_is_searched_in_portions(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were searched at once, numbers and all."""
    monkeypatch.setattr(searching, "IMAP_SEARCHED_AT_ONCE", 3)
    flagged = Flag.FLAGGED.value
    for number in range(1, 9):
        await owner.append(
            b"Subject: s%d\r\n\r\nmot%d" % (number, number % 2), flags=flagged * (number % 3 == 0)
        )
    assert await found(owner, "ALL") == [1, 2, 3, 4, 5, 6, 7, 8]
    assert await found(owner, "BODY mot1") == [1, 3, 5, 7]
    assert await found(owner, "NOT BODY mot1 2:7") == [2, 4, 6]
    assert await found(owner, "OR SUBJECT s8 FLAGGED") == [3, 6, 8]
    assert await found(owner, "HEADER Subject s OR 4:5 BODY mot0") == [2, 4, 5, 6, 8]


async def test_whoever_has_gone_ends_the_search(owner: Owner) -> None:
    """Between two steps: what the search was asked for is not finished for nobody."""
    rests = 0
    for _ in range(3):
        await owner.append(b"Subject: s\r\n\r\n" + b"mot " * (20 * KIB))

    async def rest() -> None:
        nonlocal rests
        rests += 1
        if rests == 2:
            raise ConnectionResetError

    selected = await owner.selected()
    context = Context(await owner.folders.flag_names(), 3, 3, datetime(2026, 1, 2, tzinfo=UTC))
    with pytest.raises(ConnectionResetError):
        await Searcher(owner.reader, SearchThreads(), rest=rest).search(
            selected, Text("x", header=False), context
        )
    assert rests == 2


async def test_a_search_under_way_ends_when_its_threads_are_closed(owner: Owner) -> None:
    await owner.append(b"Subject: s\r\n\r\n" + b"mot " * MIB)
    selected, threads = await owner.selected(), SearchThreads()
    context = Context(await owner.folders.flag_names(), 1, 1, datetime(2026, 1, 2, tzinfo=UTC))
    threads.close()
    with pytest.raises(Passing) as passing:
        await Searcher(owner.reader, threads).search(selected, Text("x", header=False), context)
    assert passing.value.reason is Reason.SHUTTING_DOWN


async def test_a_word_is_found_wherever_a_large_text_is_cut(owner: Owner) -> None:
    long = "".join(f"mot{n:06} " for n in range(20_000))
    await owner.append(b"Subject: s\r\n\r\n" + long.encode())
    for needle in ("mot006553 mot006554", "mot006552 mot0065", "t013107 mot01310", "mot000000", "mot019999 "):
        assert await found(owner, Text(needle, header=False)) == [1], needle


async def test_what_a_field_holds_the_text_holds(owner: Owner) -> None:
    await owner.append(
        b'From: "L\xe9a" =?utf-8?q?Fic=74if?= <lea@b.test>\r\nX-Ins: 27903\r\n'
        b"Subject: =?utf-8?q?=C3=A9t=C3=A9?=\r\n\r\nx"
    )
    for key in ("FROM lea", "FROM Fictif", "SUBJECT ete", "HEADER x-ins 790", "FROM lea@b"):
        needle = key.rpartition(" ")[2]
        assert await found(owner, key) == [1], key
        assert await found(owner, f"TEXT {needle}") == [1], key
        assert await found(owner, f"BODY {needle}") == [], key


async def test_documents_attached_are_searched_as_they_read(owner: Owner) -> None:
    html = b"Content-Type: text/html\r\n\r\n<p>f<b>i&egrave;vre</b> <i>haute</i></p>"
    cda = b"Content-Type: application/xml\r\n\r\n<t code='I10'>Hypertension</t>"
    for content in (html, cda):
        await owner.append(content)
    assert await found(owner, 'BODY "fievre haute"') == [1]
    assert await found(owner, "BODY i10") == [2]
    assert await found(owner, "BODY hypertension") == [2]
