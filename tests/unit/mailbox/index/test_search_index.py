"""The search index: what is found with it is what is found without, whatever happened to it."""

from __future__ import annotations

import base64
import quopri
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from mssante.imap.grammar.search import And, HasField, Key, Not, Or, Text
from mssante.imap.rules.matching import Context
from mssante.imap.server import searching
from mssante.imap.server.searching import Searcher
from mssante.limits import KIB
from mssante.mailbox.index import search_index, texts
from mssante.mailbox.index.search_index import Index
from mssante.mailbox.index.workers import SearchThreads
from mssante.mailbox.reading import Message, Reader
from mssante.reasons import Passing, Reason
from tests.support.owner import Desk, Owner

SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = ["fièvre", "Dupont", "résultat", "œdème", "ŒDÈME", "café", "l’été", "12/03/1951", "a", "Zoé,", "naïf"]
NEEDLES = [
    *WORDS,
    "fievre",
    "dup",
    "oe",
    "é",
    "e",
    "t ",
    " r",
    "ultat\r\nfi",
    "e dup",
    "1951",
    "'ete",
    "subject",
]
NEEDLES += [
    "Dupont\u00a0café",
    "=?utf-8",
    "content-type",
    "pdf",
    "compte rendu",
    "zz",
    ",",
    "a a",
    "\t",
    "text/",
]


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is indexed, and the index asked, however little there is."""
    monkeypatch.setattr(search_index, "INDEX_OPENED_INSTEAD_MAX", 0)
    monkeypatch.setattr(searching, "INDEX_ASKED_MIN", 1)


class Counting(Reader):
    """Counts the messages it opens."""

    opened = 0

    async def small_contents(
        self, messages: Sequence[Message]
    ) -> AsyncIterator[list[tuple[Message, bytes | None]]]:
        self.opened += len(messages)
        async for group in super().small_contents(messages):
            yield group


class Seeker:
    """Searches a folder of `owner`, by the index and by looking through everything."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.reader = Counting(owner.mailbox)
        self.threads = SearchThreads()
        self.index = Index(owner.mailbox, self.reader, self.threads)

    async def _found(self, key: Key | str, folder: str, asked: Index | None) -> list[int]:
        selected = await self.owner.selected(folder)
        if isinstance(key, str):
            key = Text(key, header=True)
        context = Context(
            names=await self.owner.folders.flag_names(),
            last_sequence=len(selected.view),
            last_uid=selected.view.uids[-1] if len(selected.view) else 0,
            now=datetime(2026, 1, 2, tzinfo=UTC),
        )
        searcher = Searcher(self.reader, self.threads, asked)
        return await searcher.search(selected, key, context)

    async def looked_up(self, key: Key | str, folder: str = "INBOX") -> list[int]:
        return await self._found(key, folder, self.index)

    async def looked_through(self, key: Key | str, folder: str = "INBOX") -> list[int]:
        return await self._found(key, folder, None)

    async def opened_by(self, key: Key | str) -> tuple[list[int], int]:
        """What the index finds, and how many messages were opened for it."""
        self.reader.opened = 0
        return await self.looked_up(key), self.reader.opened

    async def segments(self) -> list[int]:
        heads = await self.owner.mailbox.store.index.heads(self.owner.mailbox.id)
        return sorted(head.messages for head in heads)

    async def lacking(self) -> int:
        return await self.owner.mailbox.store.index.lacking(self.owner.mailbox.id)

    async def fill(self) -> None:
        folders = await self.owner.mailbox.store.folders.all(self.owner.mailbox.id)
        await self.index.fill([folder.id for folder in folders], _at_once)


async def _at_once() -> None:
    pass


@pytest.fixture
def seeker(owner: Owner) -> Iterator[Seeker]:
    seeker = Seeker(owner)
    yield seeker
    seeker.threads.close()


lines = st.lists(st.sampled_from(WORDS), max_size=6).flatmap(
    lambda words: st.sampled_from([" ", "\r\n", "\u00a0", "  ", "-"]).map(lambda blank: blank.join(words))
)


@st.composite
def letters(draw: st.DrawFn) -> bytes:
    """A message as the field writes it, well or badly."""
    charset = draw(st.sampled_from(["utf-8", "iso-8859-1", "windows-1252", "utf-16", "x-none", "us-ascii"]))
    codec = charset if charset.startswith(("iso", "win", "utf")) else "utf-8"
    octets = draw(lines).encode(codec, "replace") + draw(st.sampled_from([b"", b"\xe9\xff", b"=E9", b"\xc3"]))
    kind = draw(
        st.sampled_from(["text/plain", "text/html", "text/xml", "application/pdf; name=cr.pdf", "zz"])
    )
    encoding = draw(st.sampled_from(["8bit", "base64", "quoted-printable", "x-none"]))
    match encoding:
        case "base64":
            octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")[: draw(st.integers(0, 99))]
        case "quoted-printable":
            octets = quopri.encodestring(octets).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    octets = octets.replace(b"\0", b" ").replace(b"\r", b"").replace(b"\n", b"\r\n")
    part = f"Content-Type: {kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    subject = draw(lines).replace("\r\n", " ")
    shown = draw(
        st.sampled_from(
            [
                subject.encode(),
                subject.encode("cp1252"),
                b"=?utf-8?B?" + base64.b64encode(subject.encode()) + b"?=",
                b"=?iso-8859-1?Q?=E9t=E9?= =?x-none?Q?caf=E9?= =?utf-8?B?w6",
            ]
        )
    )
    head = (
        b"From: Dupont <a@b.test>\r\nSubject: "
        + shown
        + b"\r\n"
        + draw(st.sampled_from([b"", b"no field\r\n"]))
    )
    if draw(st.booleans()):
        name = draw(st.sampled_from([b"name*=utf-8''caf%C3%A9.pdf", b'name="=?utf-8?Q?caf=C3=A9?="', b""]))
        inner = b"\r\n--b\r\n" + part.encode() + octets
        outer = b"--b\r\nContent-Type: application/pdf;" + name + b"\r\n\r\nxx" + inner + b"\r\n--b--\r\n"
        return head + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + outer
    return head + part.encode() + octets


needles = st.sampled_from(NEEDLES) | st.text(st.sampled_from("aeéfirto n0'"), min_size=1, max_size=3)
keys = st.recursive(
    st.one_of(
        st.builds(Text, needles, st.booleans()),
        st.builds(HasField, st.sampled_from(["from", "subject", "to", "x-none", "content-type"]), needles),
    ),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(Or, inner, inner),
        st.lists(inner, min_size=2, max_size=3).map(tuple).map(And),
    ),
    max_leaves=4,
)  # fmt: skip


async def compare(seeker: Seeker, post: list[bytes], asked: list[Key]) -> None:
    name = f"f{id(post)}"
    await seeker.owner.folders.create(name)
    for letter in post:
        await seeker.owner.append(letter, name)
    for key in asked:
        assert await seeker.looked_up(key, name) == await seeker.looked_through(key, name), key
    await seeker.owner.folders.delete(name)


@settings(SETTINGS, max_examples=25)
@given(st.lists(letters(), min_size=1, max_size=6), st.lists(keys, min_size=8, max_size=8))
async def test_what_is_looked_up_is_what_is_looked_through(
    seeker: Seeker, post: list[bytes], asked: list[Key]
) -> None:
    await compare(seeker, post, asked)


@pytest.mark.campaign
@settings(SETTINGS, max_examples=1500)
@given(st.lists(letters(), min_size=1, max_size=12), st.lists(keys, min_size=20, max_size=20))
async def test_what_is_looked_up_is_what_is_looked_through_at_length(
    seeker: Seeker, post: list[bytes], asked: list[Key]
) -> None:
    await compare(seeker, post, asked)


async def letters_of(owner: Owner, count: int, folder: str = "INBOX") -> None:
    for n in range(count):
        await owner.append(f"Subject: lettre {n}\r\n\r\nbonjour mot{n:03} compte\r\nrendu".encode(), folder)


async def test_a_word_costs_no_opening_and_several_only_of_those_that_may_hold_them(seeker: Seeker) -> None:
    await letters_of(seeker.owner, 30)
    await seeker.fill()
    assert await seeker.opened_by("mot007") == ([8], 0)
    assert await seeker.opened_by("ot007") == ([8], 0)
    assert await seeker.opened_by("7") == ([8, 18, 28], 0)
    assert await seeker.opened_by(Not(Text("mot00", header=False))) == (list(range(11, 31)), 0)
    assert await seeker.opened_by("bonjour mot012") == ([13], 1)
    assert await seeker.opened_by("compte rendu") == (list(range(1, 31)), 30)
    assert await seeker.opened_by("rendu absent") == ([], 0)
    assert await seeker.opened_by(And((Text("mot012", header=True), Text("compte rendu", header=True)))) == (
        [13],
        1,
    )
    assert await seeker.opened_by(HasField("subject", "12")) == ([13], 0)


async def test_a_sender_is_found_as_shown_and_as_written(seeker: Seeker) -> None:
    await seeker.owner.append(b'From: "Jean \\"Jo\\" Dupont" <a@b.test>\r\n\r\nx')
    for needle in ('jo" dupont', 'jo"', "jo", "dupont", "a@b"):
        assert await seeker.looked_up(HasField("from", needle)) == [1], needle
        assert await seeker.looked_up(HasField("from", needle)) == await seeker.looked_through(needle), needle


async def test_a_search_indexes_what_it_opens(seeker: Seeker) -> None:
    await letters_of(seeker.owner, 30)
    assert await seeker.opened_by("mot007") == ([8], 30)
    assert await seeker.opened_by("mot008") == ([9], 0)


async def test_few_new_messages_are_opened_and_not_indexed_yet(
    seeker: Seeker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await letters_of(seeker.owner, 30)
    await seeker.fill()
    monkeypatch.setattr(search_index, "INDEX_OPENED_INSTEAD_MAX", 4)
    for _ in range(4):
        await seeker.owner.append(b"Subject: neuf\r\n\r\nmot007")
    assert await seeker.opened_by("mot007") == ([8, 31, 32, 33, 34], 4)
    assert not await seeker.index.lacks()
    await seeker.owner.append(b"Subject: neuf\r\n\r\nmot007")
    assert await seeker.index.lacks()
    assert await seeker.looked_up("mot007") == [8, 31, 32, 33, 34, 35]
    assert await seeker.lacking() == 0


async def test_small_segments_go_together(seeker: Seeker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_index, "MESSAGES_MAX", 10)
    for _ in range(3):
        await letters_of(seeker.owner, 4)
        await seeker.looked_up("bonjour")
    assert await seeker.segments() == [4, 4, 4]
    await seeker.fill()
    assert await seeker.segments() == [4, 8]
    await letters_of(seeker.owner, 25)
    await seeker.fill()
    assert sum(await seeker.segments()) == 37
    assert len(await seeker.segments()) <= 5
    assert len(await seeker.looked_up("bonjour")) == 37


async def test_messages_copied_and_moved_are_found_where_they_are(seeker: Seeker) -> None:
    owner = seeker.owner
    await letters_of(owner, 5)
    await seeker.fill()
    inbox, other = (await owner.selected()).id, await owner.folders.create("Autre")
    del other
    target = (await owner.selected("Autre")).id
    await owner.writer.copy(inbox, [2], target, move=False)
    await owner.writer.copy(inbox, [4], target, move=True)
    assert await seeker.opened_by("mot003") == ([], 0)
    assert await seeker.looked_up("mot003", "Autre") == [2]
    assert await seeker.looked_up("mot001", "Autre") == [1]
    assert await seeker.lacking() == 0


async def test_a_message_copied_within_its_folder_before_it_is_indexed_is_indexed_once(
    seeker: Seeker,
) -> None:
    owner = seeker.owner
    await letters_of(owner, 4)
    inbox = (await owner.selected()).id
    await owner.writer.copy(inbox, [2, 4], inbox, move=False)
    await owner.writer.copy(inbox, [4], inbox, move=False)
    await seeker.fill()
    assert (await seeker.segments(), await seeker.lacking()) == ([4], 0)
    assert await seeker.opened_by("mot003") == ([4, 6, 7], 0)


async def test_shredding_takes_the_words_away_and_the_others_are_indexed_again(seeker: Seeker) -> None:
    owner = seeker.owner
    await letters_of(owner, 6)
    await seeker.fill()
    folder = (await owner.selected()).id
    await owner.mailbox.store.messages.expunge(folder, [3], deleted_only=False)
    assert await seeker.segments() == []
    assert await seeker.looked_up("mot002") == []
    assert await seeker.looked_up("mot003") == [4]
    assert await seeker.segments() == [5]


async def test_a_damaged_segment_is_dropped_and_made_again(seeker: Seeker, desk: Desk) -> None:
    await letters_of(seeker.owner, 6)
    await seeker.fill()
    await desk.database.write(lambda c: c.execute(text("UPDATE index_segment SET ct = zeroblob(500)")))
    assert await seeker.looked_up("mot003") == [4]
    assert await seeker.segments() == [6]
    assert await seeker.opened_by("mot003") == ([4], 0)


async def test_another_version_of_the_texts_is_made_again(
    seeker: Seeker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await letters_of(seeker.owner, 6)
    await seeker.fill()
    monkeypatch.setattr(texts, "WORDS_VERSION", texts.WORDS_VERSION + 1)
    assert await seeker.opened_by("mot003") == ([4], 6)
    assert await seeker.opened_by("mot003") == ([4], 0)


async def test_a_segment_of_another_mailbox_or_place_is_no_answer(seeker: Seeker, desk: Desk) -> None:
    await letters_of(seeker.owner, 3)
    await seeker.fill()
    (before,) = await seeker.owner.mailbox.store.index.heads(seeker.owner.mailbox.id)
    moved = "UPDATE index_segment SET id = 5"

    def move(connection: Connection) -> None:
        connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        connection.execute(text(moved))
        connection.execute(text("UPDATE index_entry SET segment_id = 5"))

    await desk.database.write(move)
    assert await seeker.looked_up("mot001") == [2]
    (after,) = await seeker.owner.mailbox.store.index.heads(seeker.owner.mailbox.id)
    assert after.id not in (before.id, 5)


async def test_an_old_epochs_segments_are_sealed_anew(
    seeker: Seeker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await letters_of(seeker.owner, 6)
    await seeker.fill()
    ring = seeker.owner.mailbox.ring
    epochs = ring._epochs
    epochs[2] = type(epochs[1])(epochs[1]._public, b"2" * 32, b"")
    monkeypatch.setattr(ring, "_newest", 2)
    assert await seeker.opened_by("mot003") == ([4], 0)
    await seeker.fill()
    heads = await seeker.owner.mailbox.store.index.heads(seeker.owner.mailbox.id)
    assert [(head.epoch, head.messages) for head in heads] == [(2, 6)]
    monkeypatch.setitem(epochs, 1, epochs[2])  # the old one is gone
    assert await seeker.opened_by("mot003") == ([4], 0)


async def test_a_search_of_fields_does_not_make_the_index(seeker: Seeker) -> None:
    await letters_of(seeker.owner, 6)
    assert await seeker.opened_by(HasField("from", "nobody")) == ([], 0)
    assert await seeker.opened_by(HasField("x-ins", "nobody")) == ([], 0)
    assert await seeker.segments() == []


async def test_a_message_that_does_not_open_is_not_looked_at_at_every_pass(
    seeker: Seeker, desk: Desk
) -> None:
    await letters_of(seeker.owner, 6)
    await desk.database.write(lambda c: c.execute(text("UPDATE chunk SET ct = zeroblob(99) WHERE rowid = 2")))
    await desk.database.write(
        lambda c: c.execute(text("UPDATE message SET summary_ct = x'00' WHERE number = 5"))
    )
    await seeker.fill()
    assert await seeker.lacking() == 0
    assert await seeker.looked_up("bonjour") == await seeker.looked_through("bonjour") == [1, 3, 4, 6]


async def test_what_a_search_indexed_before_its_client_left_is_kept(
    seeker: Seeker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_index, "MESSAGES_MAX", 5)
    await letters_of(seeker.owner, 20)
    rests = 0

    async def rest() -> None:
        nonlocal rests
        rests += 1
        if rests == 3:
            raise ConnectionResetError

    selected = await seeker.owner.selected()
    context = Context(await seeker.owner.folders.flag_names(), 20, 20, datetime(2026, 1, 2, tzinfo=UTC))
    searcher = Searcher(seeker.reader, seeker.threads, seeker.index, rest)
    with pytest.raises(ConnectionResetError):
        await searcher.search(selected, Text("mot001", header=True), context)
    assert await seeker.segments() == [5, 5]
    seeker.reader.opened = 0
    assert await seeker.looked_up("mot001") == [2]
    assert seeker.reader.opened == 10  # the rest only


async def test_a_step_of_filling_is_bounded_by_what_is_read(
    seeker: Seeker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that nobody waits long for the mailbox's lock, and few words are in memory."""
    monkeypatch.setattr(search_index, "INDEX_STEP_OCTETS", 150 * KIB)
    for number in range(5):
        await seeker.owner.append(b"Subject: s%d\r\n\r\n" % number + b"mot \r\n" * (10 * KIB))
    await seeker.fill()
    assert await seeker.lacking() == 0
    assert await seeker.looked_up("mot") == [1, 2, 3, 4, 5]


async def test_of_a_large_mailbox_only_the_segments_asked_about_are_opened(
    seeker: Seeker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_index, "MESSAGES_MAX", 5)
    await letters_of(seeker.owner, 3)
    await seeker.fill()
    await seeker.owner.folders.create("autre")
    for number in range(9):
        await seeker.owner.append(b"Subject: s\r\n\r\nailleurs%d" % number, "autre")
    await seeker.index.fill([(await seeker.owner.folders.named("autre")).id], _at_once)
    numbers = await seeker.index._numbers((await seeker.owner.folders.named("INBOX")).id, [1, 2, 3])
    held = await seeker.owner.mailbox.store.index.holding(sorted(numbers.values()))
    assert (len(held), await seeker.segments()) == (1, [3, 4, 5])
    assert await seeker.looked_up("mot001") == await seeker.looked_through("mot001") == [2]
    assert await seeker.looked_up("ailleurs3", "autre") == [4]


async def test_a_store_that_takes_no_writes_is_searched_all_the_same(
    seeker: Seeker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object, **__: object) -> bool:
        raise Passing(Reason.STORAGE_UNAVAILABLE, "busy")

    await letters_of(seeker.owner, 6)
    monkeypatch.setattr(seeker.owner.mailbox.store.index, "put", busy)
    assert await seeker.looked_up("mot003") == [4]
    assert await seeker.segments() == []
