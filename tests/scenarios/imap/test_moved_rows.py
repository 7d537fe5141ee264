"""Ciphertext put elsewhere in the database (K1, K2) does not open, an alarm names it, the rest is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from mssante.observe.events import CorruptionFound, Crashed
from tests.support.imap.client import Answer
from tests.support.imap.house import MARIE, ImapHouse, imap_house, letter

PAUL = "paul@operateur-a.test"
LISTED, WHOLE = "(UID ENVELOPE BODY.PEEK[HEADER])", "(BODY.PEEK[])"
BODIES = {number: letter(number, body=f"corps {number}\r\n" * 9000) for number in (1, 2, 3)}  # two chunks

# Message 2 of Marie's is :it; :near is her message 3, :far is Paul's. Sizes are equal, so only keys can tell.
SWAPS = {
    "content, same mailbox": "UPDATE chunk SET ct = (SELECT c.ct FROM chunk AS c JOIN message AS m"
    " ON m.blob_id = c.blob_id WHERE m.number = :near AND c.n = chunk.n) WHERE blob_id = :blob",
    "content, other mailbox": "UPDATE chunk SET ct = (SELECT c.ct FROM chunk AS c JOIN message AS m"
    " ON m.blob_id = c.blob_id WHERE m.number = :far AND c.n = chunk.n) WHERE blob_id = :blob",
    "key, same mailbox": "UPDATE dek SET ct = (SELECT ct FROM dek AS d WHERE d.message_number = :near)"
    " WHERE message_number = :it",
    "key, other mailbox": "UPDATE dek SET ct = (SELECT ct FROM dek AS d WHERE d.message_number = :far)"
    " WHERE message_number = :it",
    "key, other epoch": "UPDATE dek SET epoch = 2 WHERE message_number = :it",
    "key, other suite": "UPDATE dek SET suite = 1 WHERE message_number = :it",
    "key, no suite we know": "UPDATE dek SET suite = 77 WHERE message_number = :it",
    "key, no form we know": "UPDATE dek SET form = 'open' WHERE message_number = :it",
    "key, other form": "UPDATE dek SET form = CASE form WHEN 'sealed' THEN 'wrapped' ELSE 'sealed' END"
    " WHERE message_number = :it",
    "summary, same mailbox": "UPDATE message SET summary_ct ="
    " (SELECT summary_ct FROM message AS m WHERE m.number = :near) WHERE number = :it",
    "summary, other mailbox": "UPDATE message SET summary_ct ="
    " (SELECT summary_ct FROM message AS m WHERE m.number = :far) WHERE number = :it",
    "summary with its epoch, same mailbox": "UPDATE message SET (summary_ct, listing_epoch) ="
    " (SELECT summary_ct, listing_epoch FROM message AS m WHERE m.number = :near) WHERE number = :it",
    "summary with its epoch, other mailbox": "UPDATE message SET (summary_ct, listing_epoch) ="
    " (SELECT summary_ct, listing_epoch FROM message AS m WHERE m.number = :far) WHERE number = :it",
    "summary, other epoch": "UPDATE message SET listing_epoch = coalesce(listing_epoch, 1) + 1"
    " WHERE number = :it",
    "summary, said to be as delivered": "UPDATE message SET listing_epoch ="
    " CASE WHEN listing_epoch IS NULL THEN 1 END WHERE number = :it",
    "header, same mailbox": "UPDATE header SET ct ="
    " (SELECT ct FROM header AS h WHERE h.message_number = :near) WHERE message_number = :it",
    "header, other mailbox": "UPDATE header SET ct ="
    " (SELECT ct FROM header AS h WHERE h.message_number = :far) WHERE message_number = :it",
    "header for summary": "UPDATE message SET summary_ct ="
    " (SELECT ct FROM header WHERE message_number = :it) WHERE number = :it",
    "summary for header": "UPDATE header SET ct ="
    " (SELECT summary_ct FROM message WHERE number = :it) WHERE message_number = :it",
    "whole message of another mailbox": "UPDATE placement SET message_number = :far"
    " WHERE message_number = :it",
    "all of another message but its place": "UPDATE message SET id = :blob WHERE number = :it",
    "chunks in another order": "UPDATE chunk SET n = 1 - n + 2 * (n >= 2) WHERE blob_id = :blob",
    "last chunk gone": "DELETE FROM chunk WHERE blob_id = :blob AND n = 1",
}
OF_A_COPY = ("header, same mailbox", "header, other mailbox", "summary for header")
UNORDERED = "chunks in another order"


async def spoil(house: ImapHouse, statement: str, paul: int) -> None:
    """Runs the statement on message 2; unique places are kept by going through free ones."""

    def change(connection: Connection) -> None:
        run = connection.execute
        blob = run(text("SELECT blob_id FROM message WHERE number = 2")).scalar_one()
        if statement == SWAPS[UNORDERED]:
            for before, after in ((0, 9), (1, 0), (9, 1)):
                run(
                    text("UPDATE chunk SET n = :after WHERE blob_id = :blob AND n = :before"),
                    {"blob": blob, "before": before, "after": after},
                )
            return
        asked = {"it": 2, "near": 3, "far": paul, "blob": blob}
        run(text(statement), {name: value for name, value in asked.items() if f":{name}" in statement})

    await house.database.write(change)


async def read_all(house: ImapHouse) -> tuple[Answer, Answer]:
    """As a client lists a folder, then as it reads what lies there."""
    client = await house.selected()
    answers = await client.ask(f"FETCH 1:3 {LISTED}"), await client.ask(f"FETCH 1:3 {WHOLE}")
    assert (await client.ok("NOOP")).status == "OK"  # the session lives on
    client.close()
    return answers


@pytest.mark.parametrize("wrapped", [False, True], ids=["sealed", "wrapped"])
@pytest.mark.parametrize("swap", SWAPS)
async def test_what_was_put_elsewhere_does_not_open(tmp_path: Path, swap: str, wrapped: bool) -> None:
    async with imap_house(tmp_path, verified=False) as house:
        marie, paul = await house.mailbox(MARIE), await house.mailbox(PAUL)
        await house.deliver(marie, *BODIES.values())
        await house.deliver(paul, BODIES[2])
        if wrapped:  # after first use keys lie under the mailbox's own
            assert {answer.status for answer in await read_all(house)} == {"OK"}
            client = await house.selected(user=PAUL)
            await client.ok("FETCH 1 ENVELOPE")
            client.close()
        house.events.clear()
        await spoil(house, SWAPS[swap], paul=4)
        listed, whole = await read_all(house)
        told = [answer for answer in (listed, whole) if answer.status != "OK"]
        # The copy of a header can be done without: the content has it.
        expected = set() if swap in OF_A_COPY else {("NO", "CORRUPTION")}
        assert {(answer.status, answer.code) for answer in told} == expected
        for answer, item in ((listed, "BODY[HEADER]"), (whole, "BODY[]")):
            # What is told of any message is its own, word for word; the others are all there.
            found = {number: items[item] for number, items in answer.fetched().items()}
            assert found.keys() >= {1, 3}
            assert all(BODIES[number].startswith(octets) for number, octets in found.items())
        assert {event.mailbox for event in house.told(CorruptionFound)} == {marie.hex()}
        assert len({event.message for event in house.told(CorruptionFound)}) == 1
        assert not house.told(Crashed)
        others = await house.selected(user=PAUL)
        kept = await others.ok("FETCH 1 BODY.PEEK[]")
        assert kept.fetched()[1]["BODY[]"] == BODIES[2]
        others.close()
