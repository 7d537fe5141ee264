"""Writes the rows of the messages just accepted: one statement for each table, however many messages.

Invariants: numbers are given out in the order of arrival and never used twice; a message is written with its
DEK, header, chunks and placement, all in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Integer, Text, bindparam, column, func, insert, select, table, update

from mssante.limits import QUEUED_AT_STEP_SECONDS
from mssante.store import dedup, tables
from mssante.store.records import SECONDS_PER_DAY, Deposit, Outbound, Placed, RecipientState
from mssante.store.statements import Bulk

_MESSAGES = Bulk(
    insert(tables.message),
    *("number", "id", "mailbox_id", "blob_id", "day", "size_kib", "chunks", "summary_ct", "listing_epoch"),
)
_DEKS = Bulk(insert(tables.dek), "message_number", "epoch", "suite", "form", "ct")
_HEADERS = Bulk(insert(tables.header), "message_number", "ct")
_CHUNKS = Bulk(insert(tables.chunk), "blob_id", "n", "ct")
_PLACEMENTS = Bulk(
    insert(tables.placement),
    *("folder_id", "uid", "message_number", "flags", "modseq", "saved_day", "size_kib"),
)
_FOLDERS_STEP = Bulk(
    update(tables.folder)
    .where(tables.folder.c.id == bindparam("the_id"))
    .values(uidnext=bindparam("new_uidnext"), modseq=bindparam("new_modseq")),
    *("the_id", "new_uidnext", "new_modseq"),
)
_OUTBOUNDS = Bulk(
    insert(tables.outbound), "message_number", "envelope_ct", "created_at", "person_tag", "sender_tag"
)
_RECIPIENTS = Bulk(
    insert(tables.queue_recipient),
    *("message_number", "destination_tag", "address_ct", "state", "attempts", "next_at"),
)
# SQLite has one writer, so the next numbers are ours. AUTOINCREMENT remembers the last one given out.
_given_out = table("sqlite_sequence", column("name", Text), column("seq", tables.Number))
_LAST_NUMBER = select(func.coalesce(func.max(_given_out.c.seq), 0)).where(_given_out.c.name == "message")
_NEXT_NUMBERS = select(func.nextval(func.pg_get_serial_sequence("message", "number"))).select_from(
    func.generate_series(1, bindparam("count", type_=Integer))
)


@dataclass(frozen=True, slots=True)
class Taken:
    """An accepted deposit: `placed` in a folder, or part of an `outbound` message for the queue. `dedup_key`
    makes a second one like it a retry."""

    deposit: Deposit
    placed: Placed | None
    outbound: Outbound | None
    dedup_key: bytes | None


def write(connection: Connection, taken: Sequence[Taken], now: int) -> None:
    """Writes everything that was accepted, and the keys that keep it from being accepted again."""
    if not taken:
        return
    day = now // SECONDS_PER_DAY
    numbered = list(zip(_numbers(connection, len(taken)), taken, strict=True))
    dedup.remember(connection, [(t.dedup_key, t.deposit.message_id) for t in taken if t.dedup_key], now)
    _write_messages(connection, [(number, each.deposit) for number, each in numbered])
    placements, folders = [], {}
    for number, each in numbered:
        if each.placed is not None:
            _, folder, uid, modseq = each.placed
            deposit = each.deposit
            placements.append((folder, uid, number, deposit.flags, modseq, day, deposit.size_kib))
            folders[folder] = (folder, uid + 1, modseq)  # the last one taken has the highest UID
    _PLACEMENTS.run(connection, placements)
    _FOLDERS_STEP.run(connection, list(folders.values()))
    _write_outbounds(connection, [(number, each.outbound) for number, each in numbered if each.outbound], now)


def _numbers(connection: Connection, count: int) -> Sequence[int]:
    if connection.dialect.name == "sqlite":
        last: int = connection.execute(_LAST_NUMBER).scalar_one()
        return range(last + 1, last + 1 + count)
    return connection.execute(_NEXT_NUMBERS, {"count": count}).scalars().all()


def _write_messages(connection: Connection, numbered: list[tuple[int, Deposit]]) -> None:
    messages, deks, headers, chunks = [], [], [], []
    for number, d in numbered:
        said = (d.day, d.size_kib, d.chunk_count)
        messages.append((number, d.message_id, d.mailbox, d.blob_id, *said, d.summary_ct, d.listing_epoch))
        key = d.sealed_key
        deks.append((number, key.epoch, int(key.suite), key.form.value, key.ciphertext))
        headers.append((number, d.header_ct))
        chunks += [(d.blob_id, n, ct) for n, ct in d.pending_chunks]
    _MESSAGES.run(connection, messages)
    _DEKS.run(connection, deks)
    _HEADERS.run(connection, headers)
    _CHUNKS.run(connection, chunks)


def _write_outbounds(connection: Connection, outbounds: list[tuple[int, Outbound]], now: int) -> None:
    # The queue's lists and alarms need no more than the hour; the envelope has the second, sealed.
    hour = now - now % QUEUED_AT_STEP_SECONDS
    _OUTBOUNDS.run(
        connection,
        [
            (number, outbound.envelope_ct, hour, outbound.person_tag, outbound.sender_tag)
            for number, outbound in outbounds
        ],
    )
    _RECIPIENTS.run(
        connection,
        [
            (number, r.destination_tag, r.address_ct, RecipientState.PENDING.value, 0, r.next_at)
            for number, outbound in outbounds
            for r in outbound.recipients
        ],
    )
