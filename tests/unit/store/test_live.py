"""mssante.store.live: one picture of a folder, whoever brings the news and in whatever order."""

from __future__ import annotations

import asyncio
from array import array
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.imap.rules.view import FolderNews as Heard
from mssante.imap.rules.view import FolderView
from mssante.model import ModSeq
from mssante.store import live
from mssante.store.folder_reading import FolderNumbers
from mssante.store.live import LiveFolder
from mssante.store.records import Changes, FlagsRow, FlagsRows


def rows(*found: tuple[int, int, int], own: int = 0, before: int = 0) -> FlagsRows:
    uids, flags, modseqs = (array("Q", [row[at] for row in found]) for at in range(3))
    return FlagsRows(uids, flags, modseqs, own=own, before=before)


@dataclass
class Model:
    """A folder as the database has it."""

    there: dict[int, tuple[int, int]] = field(default_factory=dict)  # flags and modseq by UID
    gone: dict[int, int] = field(default_factory=dict)
    modseq: int = 1
    uidnext: int = 1

    def act(self, kind: str, number: int) -> None:
        self.modseq += 1
        if kind == "arrive":
            for _ in range(1 + number % 2):
                self.there[self.uidnext] = (number % 4, self.modseq)
                self.uidnext += 1
        for uid in [uid for uid in self.there if kind != "arrive" and uid % 3 == number % 3]:
            if kind == "flag":
                self.there[uid] = (number % 4, self.modseq)
            else:
                del self.there[uid]
                self.gone[uid] = self.modseq

    def store(self, number: int) -> FlagsRows:
        before = self.modseq
        self.act("flag", number)
        found = [(uid, *row) for uid, row in sorted(self.there.items()) if uid % 3 == number % 3]
        return rows(*found, own=self.modseq, before=before)

    def changes(self, since: int) -> Changes:
        found = [(uid, *row) for uid, row in sorted(self.there.items()) if row[1] > since]
        gone = array("Q", sorted(uid for uid, modseq in self.gone.items() if modseq > since))
        return Changes(rows(*found), gone, ModSeq(self.modseq))

    def numbers(self) -> FolderNumbers:
        found = rows(*((uid, *row) for uid, row in sorted(self.there.items())))
        return FolderNumbers(found.uids, found.flags, found.modseqs, ModSeq(self.modseq))


class Session:
    """Reads the database at one moment, and brings what it read at another, with others in between."""

    def __init__(self, folder: LiveFolder) -> None:
        self.view = FolderView(folder.uids)
        self.modseq: int = folder.modseq
        self.read: Changes | None = None
        self.busy = False

    async def bring(self, folder: LiveFolder) -> None:
        read, self.read = self.read, None
        if read is None or read.modseq == self.modseq:
            return
        self.busy = True
        await folder.take(read)
        known = [row.uid for row in read.present if row.uid <= self.view.last]
        self.view.note(Heard(flagged=known, expunged=read.expunged))
        self.view.note(Heard(arrived=[row.uid for row in read.present if row.uid > self.view.last]))
        self.modseq = read.modseq
        self.busy = False

    async def store(self, folder: LiveFolder, answer: FlagsRows) -> None:
        await folder.learn(answer)
        if answer.before <= self.modseq:
            self.modseq = answer.own


acts = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "flag", "expunge", "open", "read", "bring", "bring", "store", "tell"]),
        st.integers(0, 12),
    ),
    max_size=40,
)


def whole(folder: LiveFolder) -> dict[int, tuple[int, int]]:
    columns = zip(folder.uids, folder.flags, folder.modseqs, strict=True)
    return {uid: (flags, modseq) for uid, flags, modseq in columns}


@given(acts, st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_whoever_brings_the_news_the_folder_is_what_the_database_has(
    script: list[tuple[str, int]], start: int
) -> None:
    async def play() -> None:
        model = Model()
        for number in range(start):
            model.act("arrive", number)
        folder = LiveFolder(model.numbers())
        sessions = [Session(folder)]
        late: list[Any] = []
        for kind, number in script:
            session = sessions[number % len(sessions)]
            match kind:
                case "open":
                    await folder.take(model.changes(folder.modseq))
                    sessions.append(Session(folder))
                case "read" if not session.busy:
                    session.read = model.changes(session.modseq)
                case "bring":
                    late.append(asyncio.ensure_future(session.bring(folder)))
                    await asyncio.sleep(0)
                case "store" if session.read is None and not session.busy:
                    await session.store(folder, model.store(number))
                case "tell":
                    session.view.tell_numbers(expunges=True)
                case "arrive" | "flag" | "expunge":
                    model.act(kind, number)
        await asyncio.gather(*late)
        for session in sessions:
            await session.bring(folder)
            assert not session.busy
            session.read = model.changes(session.modseq)
            await session.bring(folder)
            session.view.tell_numbers(expunges=True)
            assert list(session.view.uids) == sorted(model.there)
        assert whole(folder) == model.there
        assert list(folder.uids) == sorted(folder.uids)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "LIVE_ROWS_AT_ONCE", 1)
        asyncio.run(play())


def test_what_is_older_replaces_nothing() -> None:
    folder = LiveFolder(FolderNumbers(array("Q", [1, 2]), array("Q", [0, 0]), array("Q", [5, 5]), ModSeq(5)))
    asyncio.run(folder.learn(rows((1, 8, 7), own=7, before=6)))
    assert folder.modseq == 5  # somebody's change between is not known yet
    asyncio.run(folder.learn(rows((1, 4, 6), (2, 4, 6), own=6, before=5)))
    assert folder.row(1) == FlagsRow._make((1, 8, 7))
    assert folder.row(2) == FlagsRow._make((2, 4, 6))
    assert folder.modseq == 6
    assert folder.flags_seen == 12
    assert folder.row(3) is None


def test_what_was_taken_already_is_not_taken_again() -> None:
    folder = LiveFolder(FolderNumbers(array("Q", [1]), array("Q", [0]), array("Q", [5]), ModSeq(9)))
    asyncio.run(folder.take(Changes(rows((1, 1, 5), (2, 0, 8)), (), ModSeq(8))))  # 2 came and went
    assert whole(folder) == {1: (0, 5)}


@pytest.mark.parametrize("stretch", [range(1, 100_001), range(1, 100_001, 2)])
def test_many_at_once_are_taken_in_small_steps(stretch: range, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop is given to others in between."""
    breaths = 0

    async def breathe(seconds: float) -> None:
        nonlocal breaths
        breaths += 1

    numbers = array("Q", range(1, 100_001))
    folder = LiveFolder(
        FolderNumbers(numbers, array("Q", [0]) * 100_000, array("Q", [1]) * 100_000, ModSeq(1))
    )
    monkeypatch.setattr(asyncio, "sleep", breathe)
    found = FlagsRows(array("Q", stretch), array("Q", [1]) * len(stretch), array("Q", [2]) * len(stretch))
    asyncio.run(folder.take(Changes(found, (), ModSeq(2))))
    assert sum(folder.flags) == len(stretch)
    assert breaths >= len(stretch) // 2000 - 1
