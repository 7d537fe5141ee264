"""After an upgrade: mailboxes that a version without signatures made are signed once, as they are found."""

from __future__ import annotations

from mssante.keys.broker import KeyBroker
from mssante.store import MailStore


async def settle(store: MailStore, broker: KeyBroker) -> None:
    """Has the broker sign the mailboxes whose public key belongs to the secret half in the key store. The
    others stay unsigned: they take no letter in, and doctor names them. Does nothing when it was done before;
    may be stopped anywhere and done again. Raises Passing."""
    if not broker.unsettled:
        return
    found = [each.statement for each in await store.accounts.unproven() if each.statement is not None]
    await store.accounts.sign(await broker.sign_as_found(found))
    await broker.settle()
