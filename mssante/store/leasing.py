"""Leasing recipients of the queue to workers.

Which are due is looked up on a snapshot, because a long queue for one busy destination takes long to look
through, and no letter should wait for that; the transaction then only takes those that were found.

Invariants: a recipient is leased to one worker at a time; another may take it when the lease has run
out or its holder is gone (store.leases).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, and_, bindparam, or_, select, update

from mssante.crypto import SealedKey
from mssante.model import BlobId, MailboxId, MessageId
from mssante.store import leases, tables
from mssante.store.records import DueRecipient, MessageNumber, RecipientId, RecipientState

_q, _m, _d, _o = tables.queue_recipient.c, tables.message.c, tables.dek.c, tables.outbound.c
_READY = or_(
    and_(_q.state == RecipientState.PENDING.value, _q.next_at <= bindparam("now")),
    and_(leases.IN_FLIGHT, _q.leased_until <= bindparam("run_out")),
)
ASKED_FOR = 0  # this value of next_at says that somebody asked for an attempt now
_IDS: BindParameter[int] = bindparam("ids", expanding=True)
_DUE = select(_q.id).where(_READY).order_by(_q.next_at, _q.id).limit(bindparam("most"))
_DUE_ELSEWHERE = _DUE.where(_q.destination_tag.not_in(bindparam("busy", expanding=True)))
_DUE_AMONG = _DUE.where(_q.destination_tag.in_(bindparam("wanted", expanding=True)))
_STILL_DUE = (
    select(_q.id).where(_q.id.in_(_IDS), _READY).order_by(_q.next_at, _q.id).with_for_update(skip_locked=True)
)
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
    .where(_q.id.in_(_IDS))
    .order_by(_q.next_at, _q.id)
)


def due(
    connection: Connection,
    *,
    now: int,
    run_out: int,
    limit: int,
    only: Collection[bytes] | None = None,
    exclude: Collection[bytes],
) -> list[int]:
    """At most `limit` recipients whose time has come, those that have waited longest first, without those of
    the destinations in `exclude`, or outside `only`. Leases that ended until `run_out` are over."""
    pick, asked = _DUE, dict[str, Any](now=now, run_out=run_out, most=limit)
    if only is not None:
        pick, asked["wanted"] = _DUE_AMONG, [tag for tag in only if tag not in exclude]
        if not asked["wanted"]:
            return []
    elif exclude:
        pick, asked["busy"] = _DUE_ELSEWHERE, list(exclude)
    return list(connection.execute(pick, asked).scalars())


def lease(
    connection: Connection,
    recipients: Sequence[int],
    *,
    now: int,
    run_out: int,
    lease_seconds: int,
    holder: int,
) -> list[DueRecipient]:
    """Leases those of `recipients` that are still due to `holder`. Rows that another host is leasing just now
    are skipped."""
    ids = list(connection.execute(_STILL_DUE, {"ids": recipients, "now": now, "run_out": run_out}).scalars())
    if not ids:
        return []
    leased = {"new_until": now + lease_seconds, "holder": holder}
    connection.execute(_LEASE, [leased | {"recipient": one} for one in ids])
    return [_due(row) for row in connection.execute(_LEASED, {"ids": ids})]


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
        asked_for=row.next_at == ASKED_FOR,
        leased_until=row.leased_until,
    )
