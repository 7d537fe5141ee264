"""The queue: the recipients still to be reached, which worker is trying, and what became of each attempt.

Invariants: a recipient is in exactly one state; it is leased to one worker at a time, and another may take it
when the lease has run out or its holder is gone (store/leases.py; so a destination may get a message twice,
but never loses one); a final state never changes; a message is shredded in the transaction that makes its
last recipient final.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, Row, ScalarSelect, and_, bindparam, func, or_, select, update

from mssante import limits
from mssante.crypto import SealedKey
from mssante.model import BlobId, MailboxId, MessageId
from mssante.reasons import Passing, Reason
from mssante.store import leases, tables
from mssante.store.ledger import Ledger
from mssante.store.records import (
    DueRecipient,
    JournalKind,
    MessageNumber,
    QueuedMessage,
    QueuedRecipient,
    RecipientId,
    RecipientState,
    WaitingShare,
)
from mssante.store.shredding import shred_outbound
from mssante.store.transactions import Transactions

_q, _m, _d, _o = tables.queue_recipient.c, tables.message.c, tables.dek.c, tables.outbound.c
_READY = or_(
    and_(_q.state == RecipientState.PENDING.value, _q.next_at <= bindparam("now")),
    and_(leases.IN_FLIGHT, _q.leased_until <= bindparam("run_out")),
)
_PICK = (
    select(_q.id)
    .where(_READY)
    .order_by(_q.next_at, _q.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_PICK_ELSEWHERE = _PICK.where(_q.destination_tag.not_in(bindparam("busy", expanding=True)))
_PICK_AMONG = _PICK.where(_q.destination_tag.in_(bindparam("wanted", expanding=True)))
_THIS = _q.id == bindparam("recipient")
_LEASE = (
    update(tables.queue_recipient)
    .where(_THIS)
    .values(
        state=RecipientState.IN_FLIGHT.value,
        attempts=_q.attempts + 1,
        leased_until=bindparam("new_until"),
        leased_by=bindparam("holder"),
    )
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
_OWNER = (
    select(_m.mailbox_id)
    .join_from(tables.queue_recipient, tables.message, _m.number == _q.message_number)
    .where(_THIS)
)
_STATE = select(_q.message_number, _q.state, _q.attempts).where(_THIS)
_SETTLE = (
    update(tables.queue_recipient)
    .where(_THIS)
    .values(
        state=bindparam("new_state"),
        next_at=bindparam("new_next_at"),
        leased_until=None,
        leased_by=None,
        reply_ct=bindparam("new_reply_ct"),
    )
)
_MESSAGE_ID = select(_m.id).where(_m.number == bindparam("number"))
_OPEN_LEFT = select(func.count()).where(
    _q.message_number == bindparam("number"),
    _q.state.in_([RecipientState.PENDING.value, RecipientState.IN_FLIGHT.value]),
)


def _weight_of(tag: Column[bytes], name: str) -> ScalarSelect[int]:
    """KiB of the messages that wait and have this tag."""
    return (
        select(func.coalesce(func.sum(_m.size_kib), 0))
        .select_from(tables.outbound)
        .join(tables.message, _m.number == _o.message_number)
        .where(tag == bindparam(name))
        .scalar_subquery()
    )


def _number_of(tag: Column[bytes], name: str) -> ScalarSelect[int]:
    """Recipients still to be reached, of the messages that have this tag."""
    return (
        select(func.count())
        .select_from(tables.outbound)
        .join(tables.queue_recipient, _q.message_number == _o.message_number)
        .where(tag == bindparam(name), _q.state.in_(_OPEN_STATES))
        .scalar_subquery()
    )


_OPEN_STATES = [RecipientState.PENDING.value, RecipientState.IN_FLIGHT.value]
_WAITING_OF = select(
    _weight_of(_o.person_tag, "person"),
    _number_of(_o.person_tag, "person"),
    _weight_of(_o.sender_tag, "sender"),
    _number_of(_o.sender_tag, "sender"),
)
_QUEUED = (
    select(
        _m.number,
        _m.id.label("message_id"),
        _o.created_at,
        _m.size_kib,
        _q.id,
        _q.state,
        _q.attempts,
        _q.next_at,
    )
    .select_from(tables.queue_recipient)
    .join(tables.outbound, _o.message_number == _q.message_number)
    .join(tables.message, _m.number == _q.message_number)
    .order_by(_m.number, _q.id)
)


def lease_due(
    connection: Connection,
    *,
    now: int,
    limit: int,
    lease_seconds: int,
    holder: int,
    run_out: int,
    only: Collection[bytes] | None = None,
    exclude: Collection[bytes],
) -> list[DueRecipient]:
    """Leases at most `limit` recipients whose time has come, those that have waited longest first. Those of
    the destinations in `exclude`, or outside `only`, go on waiting. Leases that ended until `run_out` are
    over. Rows that another host is leasing right now are skipped."""
    pick, asked = _PICK, dict[str, Any](now=now, run_out=run_out, most=limit)
    if only is not None:
        pick, asked["wanted"] = _PICK_AMONG, [tag for tag in only if tag not in exclude]
        if not asked["wanted"]:
            return []
    elif exclude:
        pick, asked["busy"] = _PICK_ELSEWHERE, list(exclude)
    ids = list(connection.execute(pick, asked).scalars())
    if not ids:
        return []
    leased = {"new_until": now + lease_seconds, "holder": holder}
    connection.execute(_LEASE, [leased | {"recipient": one} for one in ids])
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
    """Writes down the result of attempt number `attempts`. Returns True if the message was shredded with it.

    PENDING puts the recipient back until `next_at`, unless its lease ran out and another worker has it. A
    final state is accepted from any worker, since a delivery is a fact; once there, it never changes."""
    assert state is not RecipientState.IN_FLIGHT
    assert reply_ct is not None or state not in (RecipientState.DELIVERED, RecipientState.BOUNCED)
    connection = ledger.connection
    owner: MailboxId | None = connection.execute(_OWNER, {"recipient": recipient}).scalar()
    if owner is None:
        return False
    mailbox = ledger.open_one(owner)
    row = connection.execute(_STATE, {"recipient": recipient}).first()
    if row is None or RecipientState(row.state).final:
        return False
    if not state.final and (row.state, row.attempts) != (RecipientState.IN_FLIGHT, attempts):
        return False
    settled = {"new_state": state.value, "new_next_at": next_at, "new_reply_ct": reply_ct}
    connection.execute(_SETTLE, {"recipient": recipient} | settled)
    if not state.final:
        return False
    message_id: MessageId = connection.execute(_MESSAGE_ID, {"number": row.message_number}).scalar_one()
    mailbox.record(
        JournalKind.OUTCOME,
        message_id=message_id,
        detail=json.dumps({"recipient": recipient, "state": state.value, "attempts": attempts}),
    )
    if connection.execute(_OPEN_LEFT, {"number": row.message_number}).scalar():
        return False
    mailbox.step()
    shred_outbound(ledger, mailbox, row.message_number)
    return True


def queued(connection: Connection) -> list[QueuedMessage]:
    """Every message that is still in the queue, oldest first, without addresses or content."""
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


def waiting_of(connection: Connection, *, person: bytes, sender: bytes | None) -> list[WaitingShare]:
    """What waits in the queue of one person and of one mailbox; without `sender`, nothing of the latter."""
    row = connection.execute(_WAITING_OF, {"person": person, "sender": sender}).one()
    return [WaitingShare(kib=row[0], recipients=row[1]), WaitingShare(kib=row[2], recipients=row[3])]


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
        asked_for=row.next_at == leases.ASKED_FOR,
        leased_until=row.leased_until,
    )


class QueueDoor:
    """`MailStore.queue`: the recipients still to be reached, each leased to one worker at a time.

    Each method is one transaction. Each raises Passing when the database does not answer or is too busy.
    Messages enter the queue by `MailStore.accept`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._presence = transactions.presence
        self._looked_at = float("-inf")

    @property
    def session(self) -> int | None:
        """The session that our leases are bound to; None while there is none. A lease of an earlier one is
        certain no more (see Presence)."""
        return self._presence.session

    async def lease(
        self,
        *,
        limit: int,
        only: Collection[bytes] | None = None,
        exclude: Collection[bytes] = (),
        lease_seconds: int = limits.QUEUE_LEASE_SECONDS,
    ) -> list[DueRecipient]:
        """Leases at most `limit` recipients whose time has come, those that have waited longest first. Those
        of the destinations in `exclude`, or outside `only` if it is given, go on waiting. Raises Passing also
        while we have no session."""
        if self.session is None:
            raise Passing(Reason.STORAGE_UNAVAILABLE, "no session")
        now, holder = self._transactions.now, self._presence.key
        # After an outage for all, whoever has a letter's outcome in its memory must be able to write it.
        run_out = now if self._presence.lasting else 0
        lease = partial(lease_due, now=now, limit=limit, lease_seconds=lease_seconds, only=only)
        return await self._transactions.write_quietly(
            lambda c: lease(c, holder=holder, run_out=run_out, exclude=exclude)
        )

    async def release_gone(self) -> None:
        """Ends the leases of other processes that are gone for certain. Looks every QUEUE_POLL_SECONDS only,
        however often it is called."""
        moment, mine = self._transactions.clock.monotonic(), self._presence.key
        if moment - self._looked_at < limits.QUEUE_POLL_SECONDS:
            return
        self._looked_at = moment
        missing = await self._transactions.read(lambda c: leases.missing(c, mine=mine))
        if gone := self._presence.gone(missing):
            await self._transactions.write_quietly(lambda c: leases.release_of(c, gone))

    async def release_forgotten(self, kept: Collection[RecipientId]) -> int:
        """Ends the leases of this process but for those of `kept`, which it has in its hands: after a lease
        whose answer was lost, or a session that was cut. Returns how many they were."""
        mine = self._presence.key
        return await self._transactions.write_quietly(
            lambda c: leases.release_forgotten(c, mine=mine, kept=kept)
        )

    async def settle(
        self,
        recipient: RecipientId,
        *,
        attempts: int,
        state: RecipientState,
        next_at: int = 0,
        reply_ct: bytes | None = None,
    ) -> bool:
        """Writes down the result of attempt number `attempts`. Returns True if that was the message's last
        recipient, so that the message was shredded. PENDING puts the recipient back until `next_at`, unless
        its lease ran out and another worker has it. A final state is accepted from any worker, since a
        delivery is a fact; once there, it never changes. A result for an unknown recipient changes
        nothing."""
        forgotten = await self._transactions.write(
            lambda ledger: settle(
                ledger, recipient, attempts=attempts, state=state, next_at=next_at, reply_ct=reply_ct
            )
        )
        self._transactions.shredded = self._transactions.shredded or forgotten
        return forgotten

    async def messages(self) -> list[QueuedMessage]:
        """Every message that is still in the queue, oldest first, without addresses or content."""
        return await self._transactions.read(queued)

    async def waiting_of(self, *, person: bytes, sender: bytes | None) -> list[WaitingShare]:
        """What waits in the queue of one person, and of one mailbox of ours (by their tags)."""
        return await self._transactions.read(lambda c: waiting_of(c, person=person, sender=sender))

    async def retry(self, number: MessageNumber | None = None) -> int:
        """Makes the waiting recipients of one message, or of all, due now because somebody asked for it; also
        those in flight of a process that is gone. Returns how many there were."""
        mine = self._presence.key
        return await self._transactions.write(lambda ledger: leases.retry(ledger, number, mine=mine))

    async def hasten(self, destination_tag: bytes) -> None:
        """Makes all recipients that wait for one destination due now, because it answers again (C16)."""
        now = self._transactions.now
        await self._transactions.write_quietly(lambda c: leases.hasten(c, destination_tag, now))
