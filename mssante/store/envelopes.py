"""Envelopes of queued messages, read and written again by the upgrade that gives each a proof.

Invariants: an envelope is replaced only while it is the one that was read; nothing else of the queue changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select, update

from mssante import limits
from mssante.crypto import SealedKey
from mssante.crypto.keys import octets_of
from mssante.model import BlobId, MailboxId, MessageId
from mssante.store import tables
from mssante.store.records import MessageNumber, QueuedEnvelope

_m, _d, _o = tables.message.c, tables.dek.c, tables.outbound.c
_OF_QUEUE = (
    select(_m.number, _m.id, _m.blob_id, _o.envelope_ct, _d.epoch, _d.suite, _d.form, _d.ct)
    .select_from(tables.outbound)
    .join(tables.message, _m.number == _o.message_number)
    .join(tables.dek, _d.message_number == _o.message_number)
    .where(_m.mailbox_id == bindparam("queue"), _o.message_number > bindparam("after"))
    .order_by(_o.message_number)
    .limit(bindparam("most"))
)
_REPLACE = (
    update(tables.outbound)
    .where(_o.message_number == bindparam("number"), _o.envelope_ct == bindparam("before"))
    .values(envelope_ct=bindparam("anew"))
)


def of_queue(connection: Connection, *, queue: MailboxId, after: MessageNumber) -> list[QueuedEnvelope]:
    """The next LETTERS_PROVED_AT_ONCE, in the order of their messages' numbers."""
    asked = {"queue": queue, "after": after, "most": limits.LETTERS_PROVED_AT_ONCE}
    return [
        QueuedEnvelope(
            number=MessageNumber(row.number),
            message_id=MessageId(octets_of(row.id)),
            blob_id=BlobId(octets_of(row.blob_id)),
            sealed_key=SealedKey.stored(row.epoch, row.suite, row.form, octets_of(row.ct)),
            envelope_ct=octets_of(row.envelope_ct),
        )
        for row in connection.execute(_OF_QUEUE, asked)
    ]


def replace(connection: Connection, *, sealed: Sequence[tuple[QueuedEnvelope, bytes]]) -> None:
    rows = [{"number": one.number, "before": one.envelope_ct, "anew": anew} for one, anew in sealed]
    connection.execute(_REPLACE, rows)
