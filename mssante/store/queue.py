"""The queue: the recipients still to be reached, which worker is trying, and what became of each attempt.

Invariants: a recipient is in exactly one state; it is leased to one worker at a time, and another may take it
when the lease has run out or its holder is gone (store/leases.py; so a destination may get a message twice,
but never loses one); a final state never changes; a message is shredded in the transaction that makes its
last recipient final.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Sequence
from functools import cache, partial
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Row,
    ScalarSelect,
    Update,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)

from mssante import limits
from mssante.model import MailboxId, MailboxKind, MessageId
from mssante.reasons import Passing, Reason
from mssante.store import envelopes, leases, leasing, tables
from mssante.store.ledger import Ledger
from mssante.store.packed import Form, Runs, columns, unpacked
from mssante.store.records import (
    DueRecipient,
    JournalKind,
    MessageNumber,
    QueuedEnvelope,
    QueuedMessage,
    QueuedRecipient,
    RecipientId,
    RecipientState,
    WaitingShare,
)
from mssante.store.shredding import shred_outbound
from mssante.store.transactions import Transactions

_q, _m, _d, _o = tables.queue_recipient.c, tables.message.c, tables.dek.c, tables.outbound.c
_THIS = _q.id == bindparam("recipient")
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
_OPEN_STATES = [RecipientState.PENDING.value, RecipientState.IN_FLIGHT.value]
_OPEN_LEFT = select(func.count()).where(_q.message_number == bindparam("number"), _q.state.in_(_OPEN_STATES))


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
_WAITS = and_(_q.state == RecipientState.PENDING.value, _q.next_at > bindparam("now"))
_ABANDONED = and_(leases.IN_FLIGHT, _q.leased_by.in_(bindparam("missing", expanding=True)))
_STUCK = select(_q.id).where(or_(_WAITS, _ABANDONED))
_WAITING = columns(_STUCK, order="id")
_WAITING_OF_ONE = columns(_STUCK.where(_q.message_number == bindparam("number")), order="id")
_WAITING_FOR = columns(select(_q.id).where(_WAITS, _q.destination_tag == bindparam("tag")), order="id")
_QUEUE_MAILBOXES = (
    select(tables.mailbox.c.id)
    .where(tables.mailbox.c.kind == MailboxKind.QUEUE.value)
    .order_by(tables.mailbox.c.id)
)


@cache
def _brought_forward(form: Form) -> Update:
    waiting = update(tables.queue_recipient).where(or_(_WAITS, _ABANDONED), form.includes(_q.id))
    return waiting.values(next_at=bindparam("new_next_at"))


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


def waiting_for(connection: Connection, tag: bytes, now: int) -> Sequence[int]:
    """The recipients of one destination whose next attempt lies ahead, ascending."""
    return unpacked(connection.execute(_WAITING_FOR, {"now": now, "tag": tag}).one())[0]


def stuck(
    connection: Connection, now: int, missing: Collection[int], number: MessageNumber | None
) -> Sequence[int]:
    """The recipients whose next attempt lies ahead, and those in flight of a holder that is `missing`,
    ascending: of one message, or of all."""
    asked: dict[str, Any] = {"now": now, "missing": missing}
    if number is None:
        found = connection.execute(_WAITING, asked)
    else:
        found = connection.execute(_WAITING_OF_ONE, asked | {"number": number})
    return unpacked(found.one())[0]


def bring_forward(
    connection: Connection, recipients: Sequence[int], now: int, next_at: int, missing: Collection[int] = ()
) -> int:
    """Makes those of `recipients` that still wait due at `next_at`, also those in flight of a holder that is
    `missing`, as soon as it is sure that it is gone. Returns how many there were."""
    runs = Runs.of(recipients)
    asked = {"now": now, "new_next_at": next_at, "missing": missing, **runs.parameters}
    return connection.execute(_brought_forward(runs.form), asked).rowcount


def retry_slice(ledger: Ledger, recipients: Sequence[int], missing: Collection[int]) -> int:
    """Makes recipients due now because somebody asked for it, and wakes the workers. Returns how many there
    were."""
    mailboxes = ledger.open(ledger.connection.execute(_QUEUE_MAILBOXES).scalars())
    moved = bring_forward(ledger.connection, recipients, ledger.now, leasing.ASKED_FOR, missing)
    for mailbox in mailboxes.values() if moved else ():
        mailbox.step()
    return moved


class QueueDoor:
    """`MailStore.queue`: the recipients still to be reached, each leased to one worker at a time.

    What concerns many recipients is done in slices, some thousand in each transaction. Each method raises
    Passing when the database does not answer or is too busy. `MailStore.accept` puts messages into it."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._leasing = asyncio.Lock()
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
        now = self._transactions.now
        # After an outage for all, whoever has a letter's outcome in its memory must be able to write it.
        run_out = now if self._presence.lasting else 0
        find = partial(leasing.due, now=now, run_out=run_out, limit=limit, only=only, exclude=exclude)
        take = partial(
            leasing.lease,
            now=now,
            run_out=run_out,
            lease_seconds=lease_seconds,
            holder=self._presence.key,
        )
        async with self._leasing:  # or all would find the same ones due
            for _ in range(limits.DATABASE_COMMIT_TRIES):
                due = await self._transactions.read(find)
                if not due:
                    return []
                if leased := await self._transactions.write_quietly(partial(take, recipients=due)):
                    return leased
        return []  # other hosts were quicker each time: the next poll sees what they left

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

    async def envelopes(self, queue: MailboxId, after: MessageNumber) -> list[QueuedEnvelope]:
        """The next envelopes of a queue, those of the messages behind `after`; none at the end."""
        return await self._transactions.read(partial(envelopes.of_queue, queue=queue, after=after))

    async def replace_envelopes(self, sealed: Sequence[tuple[QueuedEnvelope, bytes]]) -> None:
        """Puts an envelope that was sealed anew in the place of each that is still there."""
        if sealed:
            change = partial(envelopes.replace, sealed=sealed)
            await self._transactions.write_quietly(change, rows=len(sealed))

    async def waiting_of(self, *, person: bytes, sender: bytes | None) -> list[WaitingShare]:
        """What waits in the queue of one person, and of one mailbox of ours (by their tags)."""
        return await self._transactions.read(lambda c: waiting_of(c, person=person, sender=sender))

    async def retry(self, number: MessageNumber | None = None) -> int:
        """Makes the waiting recipients of one message, or of all, due now because somebody asked for it, some
        thousand in each transaction; also those in flight of a process that is gone. Returns how many there
        were."""
        now, mine = self._transactions.now, self._presence.key

        def find(connection: Connection) -> tuple[list[int], Sequence[int]]:
            missing = leases.missing(connection, mine=mine)
            return missing, stuck(connection, now, missing, number)

        missing, found = await self._transactions.read(find)
        moved = 0
        for some in _portions(found):
            change = partial(retry_slice, recipients=some, missing=missing)
            moved += await self._transactions.write(change, rows=len(some))
        return moved

    async def hasten(self, destination_tag: bytes) -> None:
        """Makes all recipients that wait for one destination due now, because it answers again (C16), some
        thousand in each transaction."""
        now = self._transactions.now
        found = await self._transactions.read(lambda c: waiting_for(c, destination_tag, now))
        for some in _portions(found):
            due = partial(bring_forward, recipients=some, now=now, next_at=now)
            await self._transactions.write_quietly(due, rows=len(some))


def _portions(found: Sequence[int]) -> list[Sequence[int]]:
    """In portions for one transaction each."""
    most = limits.RECIPIENTS_HASTENED_AT_ONCE
    return [found[start : start + most] for start in range(0, len(found), most)]
