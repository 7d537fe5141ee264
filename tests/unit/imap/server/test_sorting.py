"""SORT and THREAD over a sealed mailbox."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from mssante.flags import FlagNames
from mssante.imap.grammar.search import All, HasField, Key
from mssante.imap.grammar.sorting import Algorithm, Criterion, SortKey
from mssante.imap.rules.matching import Context
from mssante.imap.server.searching import Searcher
from mssante.imap.server.sorting import Sorter, run_steps
from mssante.mailbox import turns
from mssante.mailbox.index.workers import SearchThreads
from mssante.mailbox.reading import Reader
from mssante.mime import listed
from mssante.mime.summary import Summary
from mssante.reasons import Passing, Reason, Refused
from tests.support.owner import Desk, Owner

_LETTERS = [
    b"From: Zoe <zoe@b.test>\r\nTo: Anne <x@a.test>\r\nSubject: Re: dossier\r\nMessage-ID: <2@b>\r\n"
    b"In-Reply-To: <1@b>\r\nDate: Tue, 3 Feb 2026 08:00:00 +0000\r\n\r\nlong enough to be the longest",
    b"From: =?utf-8?q?=C3=89mile?= <anne@b.test>\r\nTo: w@a.test\r\nCc: b@a.test\r\nSubject: dossier\r\n"
    b"Message-ID: <1@b>\r\nDate: Mon, 2 Feb 2026 23:30:00 -0500\r\n\r\n1",
    b"Subject: bilan\r\nMessage-ID: <3@b>\r\n\r\n",
    b"From: equipe: a@b.test;\r\nTo: =?utf-8?q?b=C3=A9b=C3=A9?= <v@a.test>\r\nCc: a@a.test\r\n"
    b"Subject: [x] \r\nReferences: <1@b>\r\n <2@b>\r\nDate: Mon, 2 Feb 2026 12:00:00 +0000\r\n\r\n12",
]


async def received(owner: Owner) -> None:
    """In January 2026, and those with a date in February, unless the clock says otherwise."""
    for content in _LETTERS:
        await owner.append(content)


def sorter(owner: Owner, reader: Reader | None = None) -> Sorter:
    reader = reader or owner.reader
    searcher = Searcher(reader, SearchThreads())
    return Sorter(reader, searcher, asyncio.Semaphore(1))


def context(owner: Owner) -> Context:
    return Context(names=FlagNames(), last_sequence=9, last_uid=9, now=owner.clock.now())


async def in_order(owner: Owner, *keys: str, key: Key | None = None) -> list[int]:
    criteria = [Criterion(SortKey(name.removeprefix("-")), name.startswith("-")) for name in keys]
    selected = await owner.selected()
    return await sorter(owner).sort(selected, criteria, key or All(), context(owner))


async def in_threads(owner: Owner, algorithm: Algorithm, reader: Reader | None = None) -> bytes:
    forest, uids = await sorter(owner, reader).threads(
        await owner.selected(), algorithm, All(), context(owner)
    )
    return await run_steps(forest.render(uids))


@pytest.mark.parametrize(
    ("keys", "uids"),
    [
        (["ARRIVAL"], [1, 2, 3, 4]),
        (["-ARRIVAL"], [1, 2, 3, 4]),  # all at the same instant: the mailbox's order stays
        (["SIZE"], [3, 2, 4, 1]),
        (["SUBJECT"], [3, 1, 2, 4]),  # bilan, dossier, [x]
        (["SUBJECT", "DATE"], [3, 2, 1, 4]),
        (["-SUBJECT"], [4, 1, 2, 3]),
        (["FROM"], [3, 2, 4, 1]),  # "", anne, equipe, zoe
        (["DISPLAYFROM"], [3, 4, 2, 1]),  # "", equipe, E with an accent behind, Zoe
        (["TO"], [3, 4, 2, 1]),  # "", v, w, x
        (["DISPLAYTO"], [3, 1, 4, 2]),  # "", Anne, bébé, w@a.test
        (["CC"], [1, 3, 4, 2]),
        (["-CC", "SIZE"], [2, 4, 3, 1]),
    ],
)
async def test_sorting(owner: Owner, keys: list[str], uids: list[int]) -> None:
    await received(owner)
    assert await in_order(owner, *keys) == uids


async def test_dates_are_compared_in_utc_and_a_missing_one_is_the_internal_date(owner: Owner) -> None:
    owner.clock.advance(datetime(2026, 2, 2, 18, tzinfo=UTC) - owner.clock.now())
    await received(owner)
    assert await in_order(owner, "DATE") == [4, 3, 2, 1]


async def test_only_what_is_found_is_sorted(owner: Owner) -> None:
    await received(owner)
    assert await in_order(owner, "-SIZE", key=HasField("subject", "dossier")) == [1, 2]
    assert await in_order(owner, "SIZE", key=HasField("subject", "nowhere")) == []


async def test_threads(owner: Owner) -> None:
    await received(owner)
    assert await in_threads(owner, Algorithm.REFERENCES) == b"(3)(2 1 4)"
    assert await in_threads(owner, Algorithm.ORDEREDSUBJECT) in (
        b"(4)(2 1)(3)",
        b"(3)(4)(2 1)",
        b"(4)(3)(2 1)",
    )


async def test_references_that_no_summary_holds_are_read_from_the_header(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed, "LISTED_OCTETS_MAX", 0)
    await received(owner)
    assert await in_threads(owner, Algorithm.REFERENCES) == b"(3)(2 1 4)"


async def test_a_message_that_does_not_open_has_no_fields(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    await received(owner)
    selected = await owner.selected()
    opened = Summary.from_bytes

    def damaged(octets: bytes) -> Summary:
        found = opened(octets)
        if found.texts.subject == "dossier":
            raise Refused(Reason.CORRUPTION)
        return found

    monkeypatch.setattr(Summary, "from_bytes", damaged)
    everything = sorter(owner)
    found = await everything.sort(selected, [Criterion(SortKey.SUBJECT)], All(), context(owner))
    assert found == [2, 3, 1, 4]
    assert await in_threads(owner, Algorithm.REFERENCES) == b"(2)(3)(1 4)"


async def test_no_content_is_opened(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    await received(owner)

    async def opened(*_: object, **__: object) -> bytes:
        raise AssertionError("a content was opened")

    monkeypatch.setattr(Reader, "octets", opened)
    monkeypatch.setattr(Reader, "content", opened)
    assert len(await in_order(owner, *[key.value for key in SortKey])) == 4
    assert await in_threads(owner, Algorithm.REFERENCES)


async def test_waiting_for_a_turn_has_an_end(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "IMAP_HEAVY_WAIT_SECONDS_MAX", 0.01)
    turn = asyncio.Semaphore(1)
    searcher = Searcher(owner.reader, SearchThreads())
    waiting = Sorter(owner.reader, searcher, turn)
    async with turn:
        with pytest.raises(Passing) as refused:
            await waiting.sort(await owner.selected(), [Criterion(SortKey.SIZE)], All(), context(owner))
        assert refused.value.reason is Reason.LIMIT_REACHED


async def test_others_have_the_loop_meanwhile(desk: Desk, owner: Owner) -> None:
    await received(owner)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    await in_threads(owner, Algorithm.REFERENCES)
    other.cancel()
    assert turns > 5
