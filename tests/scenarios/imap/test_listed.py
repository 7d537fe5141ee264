"""Header fields that listings ask for: as from the header, without reading it."""

from __future__ import annotations

import pytest

from mssante.mime.header import chosen_fields
from mssante.observe.events import CorruptionFound
from tests.support.imap.house import MARIE, ImapHouse

THUNDERBIRD = (
    "From To Cc Bcc Resent-Message-ID Subject Date Message-ID Priority X-Priority References Newsgroups"
    " In-Reply-To Content-Type Reply-To"
)
FOLDED = b"Subject: un\r\n\tdeux\r\nFROM : A <a@b.test>\r\nX-Odd: 1\r\nsubject: trois\r\nReceived: x\r\n\r\nx"
MANY = b"To: %b\r\nSubject: beaucoup\r\n\r\nx" % b",\r\n ".join(b"p%d@b.test" % n for n in range(900))
BARE = b"\r\nonly a body"


def block(content: bytes) -> bytes:
    return content[: content.index(b"\r\n\r\n") + 4] if not content.startswith(b"\r\n") else b"\r\n"


async def told(house: ImapHouse, names: str, partial: str = "") -> list[bytes]:
    client = await house.selected()
    answer = await client.ok(f"UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS ({names})]{partial})")
    client.close()
    found = []
    for items in answer.fetched().values():
        (octets,) = (value for name, value in items.items() if name.startswith("BODY["))
        found.append(octets)
    return found


@pytest.mark.parametrize("names", [THUNDERBIRD, "subject", "X-PRIORITY", "subject received", '"x%d"'])
async def test_listed_fields_come_as_from_the_header(house: ImapHouse, names: str) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, FOLDED, MANY, BARE)
    chosen = frozenset(names.lower().replace('"', "").encode().split())
    expected = [chosen_fields(block(content), chosen) for content in (FOLDED, MANY, BARE)]
    first = await told(house, names)
    assert sorted(first) == sorted(expected)
    assert await told(house, names) == first  # keys lie otherwise after first use
    assert await told(house, names, "<2.7>") == [octets[2:9] for octets in first]


async def test_a_listing_reads_no_key_no_header_and_no_content(house: ImapHouse) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, FOLDED)
    before = await told(house, THUNDERBIRD)
    gone = [("header", "message_number = 1"), ("chunk", "n = 0"), ("dek", "message_number = 1")]
    for table, where in gone:
        await house.database.write(
            lambda c, table=table, where=where: c.exec_driver_sql(  # type: ignore[misc]  # bound now
                f"UPDATE {table} SET ct = zeroblob(40) WHERE {where}"
            ).close()
        )
    assert await told(house, THUNDERBIRD) == before
    client = await house.selected()
    await client.ok("FETCH 1 (ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE)")
    assert not house.told(CorruptionFound)
    assert (await client.ask("FETCH 1 BODY.PEEK[]")).code == "CORRUPTION"
    client.close()


async def test_a_field_that_is_not_kept_marks_nothing_and_reading_marks_seen(house: ImapHouse) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, FOLDED, MANY)
    client = await house.selected()
    found = (await client.ok("FETCH 1:2 BODY[HEADER.FIELDS (SUBJECT)]")).fetched()
    assert all("\\Seen" in items["FLAGS"] for items in found.values())
    client.close()
