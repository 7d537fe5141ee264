"""The queue: who is still to be reached, who is at it, and what became of it.

Invariants: a recipient is in exactly one state; it is leased to one worker at a time, and a lease that
ran out may be taken by another (so a destination may get a message twice, never not at all); a final
state never changes; a message is shredded in the transaction that makes its last recipient final.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, or_, select, text

from mssante.crypto import SealedKey
from mssante.model import BlobId, MailboxId, MessageId
from mssante.store import tables
from mssante.store.ledger import Ledger
from mssante.store.records import (
    DueRecipient,
    JournalKind,
    MessageNumber,
    QueuedMessage,
    QueuedRecipient,
    RecipientId,
    RecipientState,
)
from mssante.store.shredding import shred_outbound

_q, _m, _d, _o = tables.queue_recipient.c, tables.message.c, tables.dek.c, tables.outbound.c
_READY = or_(
    and_(_q.state == RecipientState.PENDING.value, _q.next_at <= bindparam("now")),
    and_(_q.state == RecipientState.IN_FLIGHT.value, _q.leased_until <= bindparam("now")),
)
_PICK = (
    select(_q.id)
    .where(_READY)
    .order_by(_q.next_at, _q.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_ELSEWHERE = _q.destination_tag.not_in(bindparam("busy", expanding=True))
_LEASE = text(
    "UPDATE queue_recipient SET state = 'in_flight', attempts = attempts + 1, leased_until = :until"
    " WHERE id = :id"
)
_LEASED = (
    select(
        _q.id,
        _q.destination_tag,
        _q.address_ct,
        _q.attempts,
        _q.next_at,
        _q.leased_until,
        _m.mailbox_id,
        _m.number,
        _m.id.label("message_id"),
        _m.blob_id,
        _m.chunks,
        _m.size_kib,
        _o.created_at,
        _o.envelope_ct,
        _d.epoch,
        _d.suite,
        _d.form,
        _d.ct,
    )
    .select_from(tables.queue_recipient)
    .join(tables.outbound, _o.message_number == _q.message_number)
    .join(tables.message, _m.number == _q.message_number)
    .join(tables.dek, _d.message_number == _q.message_number)
    .where(_q.id.in_(bindparam("ids", expanding=True)))
    .order_by(_q.next_at, _q.id)
)
_OWNER = text(
    "SELECT m.mailbox_id FROM queue_recipient AS q JOIN message AS m ON m.number = q.message_number"
    " WHERE q.id = :id"
)
_NOW = text("SELECT message_number, state, attempts FROM queue_recipient WHERE id = :id")
_SETTLE = text(
    "UPDATE queue_recipient SET state = :state, next_at = :next_at, leased_until = NULL, reply_ct = :reply"
    " WHERE id = :id"
)
_OPEN_LEFT = text(
    "SELECT count(*) FROM queue_recipient"
    " WHERE message_number = :number AND state IN ('pending', 'in_flight')"
)
_QUEUED = text(
    "SELECT m.number, m.id AS message_id, o.created_at, m.size_kib, q.id, q.state, q.attempts, q.next_at"
    " FROM queue_recipient AS q JOIN outbound AS o ON o.message_number = q.message_number"
    " JOIN message AS m ON m.number = q.message_number ORDER BY m.number, q.id"
)
_ASKED_FOR = 0  # as next_at: somebody said "now"
_RETRY = (
    f"UPDATE queue_recipient SET next_at = {_ASKED_FOR} WHERE state = 'pending' AND next_at > :now"
    " AND message_number IN (SELECT number FROM message WHERE mailbox_id = :mailbox)"
)
_HASTEN = text(
    "UPDATE queue_recipient SET next_at = :now"
    " WHERE state = 'pending' AND next_at > :now AND destination_tag = :tag"
)
_QUEUE_MAILBOXES = text("SELECT id FROM mailbox WHERE kind = 'QUEUE' ORDER BY id")
_RELEASE = text("UPDATE queue_recipient SET state = 'pending', leased_until = NULL WHERE state = 'in_flight'")


def lease_due(
    connection: Connection, *, now: int, limit: int, lease_seconds: int, exclude: Collection[bytes]
) -> list[DueRecipient]:
    """Leases at most `limit` recipients whose time has come, the longest waiting first; those of the
    destinations in `exclude` wait. Rows another host is leasing are passed over, not waited for."""
    pick, asked = _PICK, dict[str, Any](now=now, most=limit)
    if exclude:
        pick, asked["busy"] = _PICK.where(_ELSEWHERE), list(exclude)
    ids = list(connection.execute(pick, asked).scalars())
    if not ids:
        return []
    connection.execute(_LEASE, [{"id": one, "until": now + lease_seconds} for one in ids])
    return [_due(row) for row in connection.execute(_LEASED, {"ids": ids})]


def settle(
    ledger: Ledger,
    recipient: RecipientId,
    *,
    attempts: int,
    state: RecipientState,
    next_at: int,
    reply_ct: bytes | None,
) -> bool:
    """Notes what became of attempt number `attempts`; True when the message was forgotten with it.

    PENDING puts the recipient back until `next_at`, unless its lease ran out and another has it. A final
    state stands whoever brings it first (a delivery is a fact); what comes later changes nothing."""
    assert state is not RecipientState.IN_FLIGHT
    assert reply_ct is not None or state not in (RecipientState.DELIVERED, RecipientState.BOUNCED)
    connection = ledger.connection
    owner: MailboxId | None = connection.execute(_OWNER, {"id": recipient}).scalar()
    if owner is None:
        return False
    mailbox = ledger.open_one(owner)
    row = connection.execute(_NOW, {"id": recipient}).first()
    if row is None or RecipientState(row.state).final:
        return False
    if not state.final and (row.state, row.attempts) != (RecipientState.IN_FLIGHT, attempts):
        return False
    connection.execute(
        _SETTLE, {"id": recipient, "state": state.value, "next_at": next_at, "reply": reply_ct}
    )
    if not state.final:
        return False
    message_id: MessageId = connection.execute(
        text("SELECT id FROM message WHERE number = :number"), {"number": row.message_number}
    ).scalar_one()
    mailbox.record(
        JournalKind.OUTCOME,
        message_id=message_id,
        detail=json.dumps({"recipient": recipient, "state": state.value, "attempts": attempts}),
    )
    if connection.execute(_OPEN_LEFT, {"number": row.message_number}).scalar():
        return False
    mailbox.step()
    shred_outbound(connection, mailbox, row.message_number)
    return True


def queued(connection: Connection) -> list[QueuedMessage]:
    """Every message still in the queue, oldest first, without address or content."""
    found: dict[int, tuple[Row[*tuple[Any, ...]], list[QueuedRecipient]]] = {}
    for row in connection.execute(_QUEUED):
        found.setdefault(row.number, (row, []))[1].append(
            QueuedRecipient(
                id=row.id, state=RecipientState(row.state), attempts=row.attempts, next_at=row.next_at
            )
        )
    return [
        QueuedMessage(
            number=MessageNumber(row.number),
            message_id=MessageId(row.message_id),
            created_at=row.created_at,
            size_kib=row.size_kib,
            recipients=tuple(recipients),
        )
        for row, recipients in found.values()
    ]


def retry(ledger: Ledger, number: MessageNumber | None) -> int:
    """Makes waiting recipients due now, asked for: of one message, or of all. How many."""
    moved = 0
    connection = ledger.connection
    for mailbox in ledger.open(connection.execute(_QUEUE_MAILBOXES).scalars()).values():
        one = "" if number is None else " AND message_number = :number"
        asked = {"now": ledger.now, "mailbox": mailbox.id, **({} if number is None else {"number": number})}
        changed = connection.execute(text(_RETRY + one), asked).rowcount
        if changed:
            mailbox.step()
            moved += changed
    return moved


def hasten(connection: Connection, destination_tag: bytes, now: int) -> None:
    """Makes all that wait for one destination due now: it answers again (C16)."""
    connection.execute(_HASTEN, {"now": now, "tag": destination_tag})


def release_all(connection: Connection) -> None:
    """At the start of the only process there is: nobody is at anything any more."""
    connection.execute(_RELEASE)


def _due(row: Row[*tuple[Any, ...]]) -> DueRecipient:
    return DueRecipient(
        id=RecipientId(row.id),
        mailbox=MailboxId(row.mailbox_id),
        number=MessageNumber(row.number),
        message_id=MessageId(row.message_id),
        blob_id=BlobId(row.blob_id),
        chunks=row.chunks,
        size_kib=row.size_kib,
        sealed_key=SealedKey.stored(row.epoch, row.suite, row.form, row.ct),
        created_at=row.created_at,
        envelope_ct=row.envelope_ct,
        destination_tag=row.destination_tag,
        address_ct=row.address_ct,
        attempts=row.attempts,
        asked_for=row.next_at == _ASKED_FOR,
        leased_until=row.leased_until,
    )
