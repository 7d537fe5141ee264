"""After an upgrade: what a version without signatures and proofs left is signed and proved once, as it is
found: mailboxes, and the letters that wait to be sent."""

from __future__ import annotations

from mssante.delivery.unproved import prove_waiting
from mssante.keys.broker import KeyBroker
from mssante.model import MailboxKind
from mssante.reasons import Refused
from mssante.store import MailStore
from mssante.store.proving import UnprovenMailbox


async def settle(store: MailStore, broker: KeyBroker) -> None:
    """Has the broker sign the mailboxes whose public key belongs to the secret half in the key store. The
    others stay unsigned: they take no letter in, and doctor names them. Then gives the letters of the queue a
    proof, so that they go out. Does nothing when it was done before; may be stopped anywhere and done again.
    Raises Passing."""
    if not broker.unsettled:
        return
    found = [each.statement for each in await store.accounts.unproven() if each.statement is not None]
    await store.accounts.sign(await broker.sign_as_found(found))
    for queue in await store.accounts.all(kind=MailboxKind.QUEUE):
        try:
            await prove_waiting(store, broker, (await store.accounts.by_id(queue.id)).id)
        except (UnprovenMailbox, Refused):
            continue  # it was not signed, or the key store knows no such queue: it is not ours
    await broker.settle()
