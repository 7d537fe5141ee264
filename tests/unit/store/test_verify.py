"""The invariants: each one broken by hand is found, named and placed; the journal betrays an edit."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

from mssante.clock import ManualClock
from mssante.database import Database
from mssante.limits import ORPHAN_SECONDS
from mssante.model import BlobId, MailboxId, SpecialUse
from mssante.store import MailStore, RecipientState
from mssante.store.index import SealedSegment
from mssante.store.mail_store import MIGRATIONS
from mssante.store.records import BrokenInvariant, JournalMark
from mssante.store.verify import verify
from tests.unit.store.building import AUDIT, VERIFIER, House, acceptance, deposit, submission
from tests.unit.store.conftest import emptied


@pytest.fixture
async def broken(mail_url: str) -> AsyncIterator[House]:
    """As `house`, but nobody checks the invariants at the end."""
    database = await Database.open(mail_url, purpose="mail", migrations_package=MIGRATIONS)
    await database.write(emptied)
    clock = ManualClock()
    store = await MailStore.start(database, clock=clock, audit=AUDIT.public, verifier=VERIFIER)
    yield House(store, database, clock)
    await database.write(emptied)
    await store.close()
    await database.close()


async def inhabited(house: House) -> MailboxId:
    """A mailbox with some mail in two folders, and a queue with one message for two."""
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 3, chunks=2)
    await house.store.messages.copy(folder, [2], (await house.folder(mailbox, SpecialUse.SENT)).id)
    await house.store.messages.expunge(folder, [1], deleted_only=False)
    places = await house.store.index.places(folder)
    assert await house.store.index.put(mailbox, SealedSegment(1, 1, b"words"), list(places.numbers))
    await house.store.accept(submission(await house.queue(), bytes(32), bytes(range(32))))
    return mailbox


class _RolledBack(Exception):
    """Carries what was found out of a transaction that is not to be kept."""


async def damaged(house: House, statement: str) -> list[BrokenInvariant]:
    """What `verify` finds after `statement`, which no foreign key stops; then it is undone."""

    def damage(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        connection.exec_driver_sql(statement)
        raise _RolledBack(verify(connection, now=house.now))

    with pytest.raises(_RolledBack) as rolled_back:
        await house.database.write(damage)
    findings: list[BrokenInvariant] = rolled_back.value.args[0]
    return findings


async def test_nothing_is_found_where_nothing_is_broken(house: House) -> None:
    await inhabited(house)
    await house.store.messages.append_chunks(BlobId(os.urandom(16)), 0, [b"being received"])
    assert await house.store.verify(audit=AUDIT) == []


FIRST = "(SELECT min(number) FROM message)"
ANY_FOLDER = "(SELECT min(folder_id) FROM placement)"
VIOLATIONS = [
    (1, "in no folder", f"DELETE FROM placement WHERE message_number = {FIRST}"),
    (1, "placement without its message", f"DELETE FROM message WHERE number = {FIRST}"),
    (1, "an accepted message is gone", f"DELETE FROM message WHERE number = {FIRST}"),
    (
        1,
        "another mailbox's folder",
        "UPDATE message SET mailbox_id = (SELECT id FROM mailbox WHERE kind = 'QUEUE')",
    ),
    (2, "without its DEK", f"DELETE FROM dek WHERE message_number = {FIRST}"),
    (2, "without its header", f"DELETE FROM header WHERE message_number = {FIRST}"),
    (2, "without all its chunks", "DELETE FROM chunk WHERE n = 1"),
    (2, "without all its chunks", "UPDATE chunk SET n = 7 WHERE n = 1"),
    (
        2,
        "two messages with one content",
        f"UPDATE message SET blob_id = (SELECT blob_id FROM message WHERE number = {FIRST})",
    ),
    (3, "DEK without its message", f"DELETE FROM message WHERE number = {FIRST}"),
    (3, "chunks of no message", f"DELETE FROM message WHERE number = {FIRST}"),
    (3, "another mailbox's index", f"DELETE FROM message WHERE number = {FIRST}"),
    (
        3,
        "another mailbox's index",
        "UPDATE index_segment SET mailbox_id = (SELECT id FROM mailbox WHERE kind = 'QUEUE')",
    ),
    (4, "has not given out", f"UPDATE folder SET uidnext = 2 WHERE id = {ANY_FOLDER}"),
    (
        4,
        "both present and expunged",
        f"INSERT INTO expunged (folder_id, uid, modseq) VALUES ({ANY_FOLDER}, 2, 1)",
    ),
    (4, "newer than its folder", f"UPDATE folder SET modseq = 0 WHERE id = {ANY_FOLDER}"),
    (4, "newer than its mailbox", "UPDATE mailbox SET modseq = 1"),
    (4, "do not add up", "UPDATE mailbox SET used_kib = used_kib + 1"),
    (5, "is not as written", "UPDATE journal SET detail = (SELECT ct FROM journal_key) WHERE n = 2"),
    (5, "is not as written", "UPDATE journal SET key_id = NULL WHERE n = 2"),
    (5, "is not as written", "UPDATE journal SET at = at + 1 WHERE n = 2"),
    (5, "is not as written", "UPDATE journal SET uid = 77 WHERE n = 3"),
    (5, "no journal line before 3", "DELETE FROM journal WHERE n = 2"),
    (5, "does not end at its head", "DELETE FROM journal WHERE n >= 4"),
    (5, "nobody accepted", "UPDATE journal SET message_id = NULL WHERE n = 3"),
    (6, "in no known state", "UPDATE queue_recipient SET state = 'lost'"),
    (6, "in no known state", "UPDATE queue_recipient SET state = 'in_flight'"),
    (6, "was not kept", "UPDATE queue_recipient SET state = 'delivered'"),
    (6, "nobody left to reach", "UPDATE queue_recipient SET state = 'expired'"),
    (10, "time went back", "UPDATE journal SET at = at - 86400 WHERE n = 3"),
]


async def test_each_broken_invariant_is_found(house: House) -> None:
    await inhabited(house)
    for invariant, problem, statement in VIOLATIONS:
        findings = await damaged(house, statement)
        assert [f for f in findings if f.invariant == invariant and problem in f.problem], (problem, findings)


@pytest.mark.parametrize("detail", ['{"peer":"x"}', '{"peer":"x","list":1}', "{}", "[]", "x"])
async def test_a_message_without_a_trace_of_who_brought_it_is_found(broken: House, detail: str) -> None:
    await broken.store.accept(acceptance(deposit(await broken.mailbox()), detail=detail))
    (finding,) = await broken.store.verify(audit=AUDIT)
    assert (finding.invariant, finding.problem) == (
        7,
        "an accepted message without a trace of who brought it",
    )
    assert await broken.store.verify() == []  # without the audit key nobody can tell


async def test_an_abandoned_reception_is_found_after_an_hour(broken: House) -> None:
    blob = BlobId(os.urandom(16))
    await broken.store.messages.append_chunks(blob, 0, [b"early"])
    broken.clock.advance(timedelta(seconds=ORPHAN_SECONDS))
    (finding,) = await broken.store.verify(audit=AUDIT)
    assert (finding.invariant, finding.message) == (9, blob.hex())


async def test_a_database_put_back_in_time_is_named_by_the_marks_kept_elsewhere(broken: House) -> None:
    """K4: the old database is whole in itself; only what was marked later betrays it."""
    mailbox = await inhabited(broken)
    marks = await broken.store.journal.heads()
    assert await broken.store.verify(marks, audit=AUDIT) == []
    later = {**marks, mailbox: JournalMark(marks[mailbox].n + 1, os.urandom(32))}
    (finding,) = await broken.store.verify(later, audit=AUDIT)
    assert (finding.invariant, finding.mailbox) == (5, mailbox.hex())
    forged = {mailbox: JournalMark(marks[mailbox].n - 1, os.urandom(32))}
    (finding,) = await broken.store.verify(forged, audit=AUDIT)
    assert finding.mailbox == mailbox.hex()
    gone = MailboxId(os.urandom(16))
    (finding,) = await broken.store.verify({gone: JournalMark(1, bytes(32))}, audit=AUDIT)
    assert finding.mailbox == gone.hex()


async def test_the_journal_tells_what_happened_without_content_and_time_never_goes_back(house: House) -> None:
    mailbox = await house.mailbox()
    house.clock.advance(timedelta(days=-365))
    given = deposit(mailbox)
    await house.store.accept(acceptance(given, detail='{"person":"marie"}'))
    created, accepted = await house.store.journal.entries(mailbox)
    assert accepted.at == created.at == ManualClock().now().timestamp() // 86_400 * 86_400
    assert (accepted.n, accepted.message_id, accepted.uid) == (2, given.message_id, 1)
    (told,) = await house.store.journal.details(mailbox, AUDIT, after=1)
    assert told == (accepted, (house.now, '{"person":"marie"}'))
    assert await house.store.journal.entries(mailbox, after=1, most=1) == [accepted]
    assert await house.store.journal.entries(mailbox, after=2) == []


async def test_a_finished_queue_leaves_nothing_to_find(house: House) -> None:
    await house.store.accept(submission(await house.queue(), bytes(32)))
    (one,) = await house.store.queue.lease(limit=1)
    await house.store.queue.settle(one.id, attempts=1, state=RecipientState.BOUNCED, reply_ct=b"sealed reply")
    assert await house.store.verify(audit=AUDIT) == []
