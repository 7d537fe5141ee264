"""The operator's own outbox: the mailbox of kind QUEUE, made once."""

from __future__ import annotations

import secrets

from mssante.clock import Clock
from mssante.keys.broker import KeyBroker
from mssante.model import MailboxId, MailboxKind
from mssante.store import MailStore
from mssante.store.proving import UnprovenMailbox
from mssante.store.records import MailboxRow


async def outbox(store: MailStore, broker: KeyBroker, clock: Clock) -> MailboxId:
    """The id of the queue's mailbox, made with its keys the first time. Raises UnprovenMailbox when the
    database has only such as our broker did not sign."""
    strange: UnprovenMailbox | None = None
    for row in await store.accounts.all(kind=MailboxKind.QUEUE):
        try:
            return (await store.accounts.by_id(row.id)).id
        except UnprovenMailbox as trouble:
            strange = trouble
    if strange is not None:
        raise strange
    row = MailboxRow(
        id=MailboxId(secrets.token_bytes(16)),
        address=None,
        kind=MailboxKind.QUEUE,
        created_at=int(clock.now().timestamp()),
        quota_kib=None,
    )
    await store.accounts.add(row, await broker.create_mailbox(row.identity))
    return row.id
