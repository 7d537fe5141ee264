"""A damaged message costs itself only (K1): NO [CORRUPTION] and an alarm, the others as if nothing was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection

from mssante.observe.events import CorruptionFound, Crashed
from tests.support.imap.house import ImapHouse, imap_house, letter

SMALL, LARGE = letter(1), letter(2, body=("x" * 900 + "\r\n") * 500)  # 7 chunks


@pytest.fixture
async def hurt(tmp_path: Path) -> AsyncIterator[ImapHouse]:
    """Three letters in INBOX; the second will be hurt, so the invariants do not hold at the end."""
    async with imap_house(tmp_path, verified=False) as house:
        mailbox = await house.mailbox()
        await house.deliver(mailbox, SMALL, LARGE, SMALL)
        yield house
        assert house.told(Crashed) == []


def flipped(table: str, column: str, where: str, at: int = 40) -> Callable[[Connection], None]:
    def flip(connection: Connection) -> None:
        for rowid, octets in connection.exec_driver_sql(
            f"SELECT rowid, {column} FROM {table} WHERE {where}"
        ).fetchall():
            broken = bytearray(octets)
            broken[at % len(broken)] ^= 1
            connection.exec_driver_sql(
                f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (bytes(broken), rowid)
            )

    return flip


def swapped(connection: Connection) -> None:
    """The content of message 1 under the row of message 2, and back."""
    one, two = (
        connection.exec_driver_sql("SELECT blob_id FROM message WHERE number = ?", (number,)).scalar_one()
        for number in (1, 2)
    )
    for old, new in ((one, b"-" * 16), (two, one), (b"-" * 16, two)):
        connection.exec_driver_sql("UPDATE chunk SET blob_id = ? WHERE blob_id = ?", (new, old))


SECOND = "number = 2"
OF_SECOND = "message_number = 2"
CHUNKS_OF_SECOND = "blob_id = (SELECT blob_id FROM message WHERE number = 2)"

METADATA = {
    "the summary": flipped("message", "summary_ct", SECOND),
    "the summary's version": flipped("message", "summary_ct", SECOND, at=0),
    "the sealed key": flipped("dek", "ct", OF_SECOND),
    "the message's id": flipped("message", "id", SECOND, at=3),
    "the blob's id": flipped("message", "blob_id", SECOND, at=3),
}


@pytest.mark.parametrize("what", METADATA)
async def test_metadata_that_does_not_open_hides_no_other_message(hurt: ImapHouse, what: str) -> None:
    await hurt.database.write(METADATA[what])
    client = await hurt.selected()
    for items in ("ENVELOPE", "RFC822.SIZE", "BODY.PEEK[]", "BODY[TEXT]", "(UID BODYSTRUCTURE)"):
        answer = await client.ask(f"FETCH 1:* {items}")
        assert (answer.status, answer.code) == ("NO", "CORRUPTION"), items
        assert set(answer.fetched()) == {1, 3}
    assert (await client.ok("FETCH 1,3 BODY.PEEK[]")).fetched()[3]["BODY[]"] == SMALL
    assert set((await client.ok("FETCH 1:* (UID FLAGS)")).fetched()) == {1, 2, 3}
    assert (await client.ok("SEARCH SUBJECT s")).numbers() == [1, 3]
    events = hurt.told(CorruptionFound)
    assert events
    assert len({event.message for event in events}) == 1
    # What does not open can still be put away, and taken away.
    await client.ok("COPY 2 Trash")
    await client.ok("STORE 2 +FLAGS (\\Deleted)")
    assert [line.number for line in (await client.ok("EXPUNGE")).named("EXPUNGE")] == [2]
    assert set((await client.ok("FETCH 1:* ENVELOPE")).fetched()) == {1, 2}


@pytest.mark.parametrize("chunk", [0, 3, 6])
async def test_a_damaged_content_is_told_before_an_octet_of_it_is_promised(
    hurt: ImapHouse, chunk: int
) -> None:
    await hurt.database.write(flipped("chunk", "ct", f"{CHUNKS_OF_SECOND} AND n = {chunk}"))
    client = await hurt.selected()
    answer = await client.ask("FETCH 1:* (UID BODY.PEEK[])")
    assert (answer.status, answer.code) == ("NO", "CORRUPTION")
    assert {n: item["BODY[]"] for n, item in answer.fetched().items()} == {1: SMALL, 3: SMALL}
    assert set((await client.ok("FETCH 1:* (ENVELOPE RFC822.SIZE)")).fetched()) == {1, 2, 3}
    header = (await client.ok("FETCH 2 BODY.PEEK[HEADER]")).fetched()[2]["BODY[HEADER]"]
    assert LARGE.startswith(header)
    whole = 65_536
    for n in range(7):
        answer = await client.ask(f"FETCH 2 BODY.PEEK[]<{n * whole}.{whole}>")
        assert answer.status == ("NO" if n == chunk else "OK")
        if n != chunk:
            assert answer.fetched()[2] == {f"BODY[]<{n * whole}>": LARGE[n * whole : (n + 1) * whole]}
    assert (await client.ok("SEARCH TEXT bonjour")).numbers() == [1, 3]
    assert hurt.told(CorruptionFound)


async def test_a_lost_chunk_and_swapped_contents_are_found(hurt: ImapHouse) -> None:
    await hurt.database.write(swapped)
    client = await hurt.selected()
    for number in (1, 2):
        assert (await client.ask(f"FETCH {number} BODY[]")).code == "CORRUPTION"
    assert (await client.ok("FETCH 3 BODY[]")).fetched()[3]["BODY[]"] == SMALL
    await hurt.database.write(swapped)
    assert (await client.ok("FETCH 2 BODY[]")).fetched()[2]["BODY[]"] == LARGE
    await hurt.database.write(
        lambda c: c.exec_driver_sql(f"DELETE FROM chunk WHERE {CHUNKS_OF_SECOND} AND n = 4").close()
    )
    assert (await client.ask("FETCH 2 BODY.PEEK[]")).code == "CORRUPTION"


async def test_a_damaged_header_copy_is_read_from_the_content(hurt: ImapHouse) -> None:
    """Only the copy that is kept apart is hurt. (Fields of the summary would not touch it.)"""
    await hurt.database.write(flipped("header", "ct", OF_SECOND))
    client = await hurt.selected()
    found = (await client.ok("FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT X-NONE)]")).fetched()
    assert [found[n]["BODY[HEADER.FIELDS (SUBJECT X-NONE)]"] for n in (1, 2, 3)] == [
        b"Subject: s1\r\n\r\n",
        b"Subject: s2\r\n\r\n",
        b"Subject: s1\r\n\r\n",
    ]
    assert (await client.ok("FETCH 2 BODY.PEEK[]")).fetched()[2]["BODY[]"] == LARGE
    assert hurt.told(CorruptionFound)


async def test_names_that_do_not_open_are_shown_as_numbers(hurt: ImapHouse) -> None:
    client = await hurt.login()
    await client.ok("CREATE Dossier")
    await client.ok("APPEND Dossier \n", SMALL)
    await client.ok("SELECT INBOX")
    await client.ok("STORE 1 +FLAGS (urgent)")
    await hurt.database.write(flipped("folder", "name_ct", "name_ct IS NOT NULL"))
    await hurt.database.write(flipped("keyword", "name_ct", "number = 0"))
    again = await hurt.login()
    names = [line.values[2].decode() for line in (await again.ok('LIST "" *')).named("LIST")]
    (odd,) = [name for name in names if name.startswith("unreadable-")]
    assert (await again.ok(f"SELECT {odd}")).one("EXISTS").number == 1
    assert (await again.ok("FETCH 1 BODY.PEEK[]")).fetched()[1]["BODY[]"] == SMALL
    await again.ok("SELECT INBOX")
    assert "unreadable-0" in (await again.ok("FETCH 1 FLAGS")).fetched()[1]["FLAGS"]
