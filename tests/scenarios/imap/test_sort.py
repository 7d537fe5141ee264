"""SORT and THREAD over real sockets, with imapclient and raw; what others do meanwhile."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import imapclient
import pytest

from mssante.observe.events import CorruptionFound
from tests.support.imap.client import Malformed, parsed
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse
from tests.unit.imap.rules.slow_threads import Letter, threads
from tests.unit.imap.rules.test_threads import forest

_START = datetime(2026, 2, 1, tzinfo=UTC)


def post(letter: Letter) -> bytes:
    """A message that says what `letter` is."""
    lines = [
        f"Subject: {letter.subject}",
        f"Date: {format_datetime(_START + timedelta(minutes=letter.sent))}",
    ]
    if letter.identifier is not None:
        lines.append(f"Message-ID: <{letter.identifier}>")
    if letter.references:
        lines.append("References: " + "\r\n ".join(f"<{each}>" for each in letter.references))
    return "\r\n".join([*lines, "", "texte"]).encode()


def some_mail(count: int, seed: int) -> list[Letter]:
    """Conversations as they are, and references as they should not be."""
    chance = Random(seed)
    names = [f"m{n}@b.test" for n in range(count + 5)]
    subjects = ["dossier", "Re: dossier", "bilan", "[liste] Bilan", "Fwd: bilan (fwd)", "", "Résultats"]
    return [
        Letter(
            number,
            chance.randrange(50),
            chance.choice(subjects),
            chance.choice([None, names[number], names[number], chance.choice(names)]),
            tuple(chance.choice(names) for _ in range(chance.choice([0, 0, 1, 2, 4]))),
        )
        for number in range(1, count + 1)
    ]


async def fill(house: ImapHouse, *contents: bytes) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, *contents)


@pytest.mark.parametrize("seed", range(3))
async def test_threads_are_those_of_the_rfc(house: ImapHouse, seed: int) -> None:
    letters = some_mail(120, seed)
    await fill(house, *map(post, letters))
    client = await house.selected()
    (line,) = (await client.ok("THREAD REFERENCES UTF-8 ALL")).named("THREAD")
    assert line.raw.decode() == f"* THREAD {threads(letters)}\r\n"
    assert forest(letters).roots


async def test_imapclient_sorts_and_threads(house: ImapHouse) -> None:
    await fill(
        house,
        post(Letter(1, 30, "Bilan", "a@b", ())),
        post(Letter(2, 20, "Re: Bilan", "b@b", ("a@b",))),
        post(Letter(3, 10, "Examen", "c@b", ())),
        post(Letter(4, 40, "=?utf-8?q?=C3=A9cho?=", "d@b", ("a@b", "b@b"))),
    )

    def work() -> None:
        with imapclient.IMAPClient("localhost", house.implicit.port, ssl_context=house.tls) as client:
            client.login(MARIE, PASSWORD)
            client.select_folder("INBOX")
            assert client.has_capability("SORT")
            assert client.has_capability("THREAD=REFERENCES")
            assert client.sort("SUBJECT") == [1, 2, 3, 4]  # an accent comes behind every letter
            assert client.sort(["REVERSE DATE"]) == [4, 1, 2, 3]
            assert client.sort("DATE", ["SUBJECT", "bilan"]) == [2, 1]
            assert client.thread("REFERENCES") == ((3,), (1, 2, 4))
            assert client.thread("ORDEREDSUBJECT") == ((3,), (2, 1), (4,))

    await asyncio.to_thread(work)


async def test_an_expunge_is_told_after_uid_sort_only(house: ImapHouse) -> None:
    await fill(house, *(post(Letter(n, n, f"s{n}", None, ())) for n in range(1, 5)))
    mine, other = await house.selected(), await house.selected()
    await other.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    for command in ("SORT (REVERSE DATE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL"):
        answer = await mine.ok(command)
        assert answer.named("EXPUNGE") == []
        # RFC 2180 §4.1: what is gone is not found, and the others keep their numbers.
        assert answer.lines[0].raw in (b"* SORT 4 3 1\r\n", b"* THREAD (1)(3)(4)\r\n")
    answer = await mine.ok("UID SORT (REVERSE DATE) UTF-8 ALL")
    assert [line.number for line in answer.named("EXPUNGE")] == [2]
    assert (await mine.ok("SORT (REVERSE DATE) UTF-8 ALL")).numbers("SORT") == [3, 2, 1]


async def test_a_uid_sort_by_numbers_lets_no_number_shift(house: ImapHouse) -> None:
    await fill(house, *(post(Letter(n, n, f"s{n}", None, ())) for n in range(1, 4)))
    mine, other = await house.selected(), await house.selected()
    await other.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    answer = await mine.ok("UID SORT (DATE) UTF-8 2:3")
    assert answer.numbers("SORT") == [2, 3]
    assert answer.named("EXPUNGE") == []


async def test_a_folder_opened_read_only_is_sorted_too(house: ImapHouse) -> None:
    await fill(house, post(Letter(1, 1, "b", None, ())), post(Letter(2, 2, "a", None, ())))
    client = await house.login()
    await client.ok("EXAMINE INBOX")
    assert (await client.ok("SORT (SUBJECT) UTF-8 ALL")).numbers("SORT") == [2, 1]
    await client.ok("SELECT Sent")
    assert (await client.ok("SORT (SUBJECT) UTF-8 ALL")).numbers("SORT") == []
    assert (await client.ok("THREAD REFERENCES UTF-8 ALL")).one("THREAD").values == []
    assert house.told(CorruptionFound) == []


def test_the_client_of_the_tests_reads_threads() -> None:
    assert parsed(b"* THREAD (1)(2 3 (4)(5))\r\n").values == [["1"], ["2", "3", ["4"], ["5"]]]
    with pytest.raises(Malformed):
        parsed(b"* SORT (1)(2)\r\n")
