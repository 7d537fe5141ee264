"""A key broker and a mail store over two databases, as `serve` starts them."""

from __future__ import annotations

from contextlib import AsyncExitStack

from mssante.clock import Clock
from mssante.database import Database
from mssante.keys import KeyBroker, RootKey
from mssante.store import MailStore
from tests.support.key_floor import floor_in


async def started(
    stack: AsyncExitStack, mail: Database, keys: Database, *, root: RootKey, clock: Clock
) -> tuple[KeyBroker, MailStore]:
    """Closed with `stack`; the databases are the caller's."""
    broker = await KeyBroker.start(keys, root=root, clock=clock, floor=floor_in(mail))
    stack.callback(broker.close)
    store = await MailStore.start(mail, clock=clock, verifier=broker.verifier, audit=broker.audit_public_key)
    stack.push_async_callback(store.close)
    return broker, store
