"""Reading a mailbox only as our broker signed it: its address, its kind and its newest public key together.

The mail database may be written by somebody else. Invariants: a public key, and an address or kind on which a
right depends, leave the store only when the signature beside the key covers them; what does not verify raises
UnprovenMailbox, which is Passing: the letter waits at its sender until an operator has looked.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, func, select, update

from mssante.crypto import (
    MailboxIdentity,
    MailboxStatement,
    NotAuthentic,
    PublicKey,
    SignedStatement,
    StatementVerifier,
    Suite,
)
from mssante.crypto.keys import octets_of
from mssante.limits import MAILBOXES_PROVEN_AT_ONCE
from mssante.model import Address, MailboxId, MailboxKind
from mssante.reasons import Passing, Reason
from mssante.store import tables

_b, _k = tables.mailbox.c, tables.mailbox_key.c
_other = tables.mailbox_key.alias("other")
_NEWEST = (
    select(func.max(_other.c.epoch)).where(_other.c.mailbox_id == _b.id).correlate(tables.mailbox)
).scalar_subquery()
_KEY_COLUMNS = (_b.id, _b.address, _b.address_key, _b.kind, _k.epoch, _k.suite, _k.public, _k.signature)
_SIGN = (
    update(tables.mailbox_key)
    .where(_k.mailbox_id == bindparam("mailbox"), _k.epoch == bindparam("of_epoch"))
    .values(signature=bindparam("new_signature"))
)


class UnprovenMailbox(Passing):
    """What the database says of a mailbox is not what our broker signed. `statement` is what it says, where
    that can be said at all."""

    def __init__(
        self, mailbox: MailboxId, address: str | None, statement: MailboxStatement | None = None
    ) -> None:
        mailbox = MailboxId(octets_of(mailbox))
        named = f"{address} ({mailbox.hex()})" if address else mailbox.hex()
        super().__init__(
            Reason.KEYS_UNAVAILABLE,
            f"{named}: its address, kind or public key is not what our key broker signed",
        )
        self.mailbox = mailbox
        self.statement = statement


def with_newest_key(*columns: Any) -> Select[*tuple[Any, ...]]:
    """Mailboxes, `columns` of them and what `proven` needs; a mailbox without a key too."""
    wanted = {column.name: column for column in (*columns, *_KEY_COLUMNS)}
    joined = (_k.mailbox_id == _b.id) & (_k.epoch == _NEWEST)
    return select(*wanted.values()).join_from(tables.mailbox, tables.mailbox_key, joined, isouter=True)


def proven(row: RowMapping, verifier: StatementVerifier) -> MailboxStatement:
    """What a row of `with_newest_key` says. Raises UnprovenMailbox unless our broker signed it."""
    statement = None
    try:
        statement = _statement(row)
        verifier.verify(SignedStatement(statement, octets_of(row["signature"])))
    except (NotAuthentic, ValueError, TypeError):
        raise UnprovenMailbox(row["id"], row["address"], statement) from None
    return statement


def _statement(row: RowMapping) -> MailboxStatement:
    """Raises ValueError or TypeError for values that no statement of ours has."""
    address = None if row["address"] is None else Address.parse(row["address"])
    if row["epoch"] is None or not 0 < row["epoch"] < 2**32:
        raise ValueError("no key")
    if row["address_key"] != (address.key if address else None):
        raise ValueError("found under another address than its own")
    identity = MailboxIdentity(mailbox=row["id"], address=address, kind=MailboxKind(row["kind"]))
    key = PublicKey(row["id"], row["epoch"], Suite(row["suite"]), octets_of(row["public"]))
    return MailboxStatement(identity, key)


_EVERY = with_newest_key().order_by(_b.id).limit(MAILBOXES_PROVEN_AT_ONCE)
_AFTER = _EVERY.where(_b.id > bindparam("after"))


def unproven(
    connection: Connection, verifier: StatementVerifier, after: MailboxId | None
) -> tuple[list[UnprovenMailbox], MailboxId | None]:
    """The mailboxes that do not verify, among the next MAILBOXES_PROVEN_AT_ONCE in the order of their ids,
    and the last id looked at; None at the end."""
    some = _EVERY if after is None else _AFTER
    rows = connection.execute(some, {} if after is None else {"after": after}).mappings().all()
    found = []
    for row in rows:
        try:
            proven(row, verifier)
        except UnprovenMailbox as trouble:
            found.append(trouble)
    return found, rows[-1]["id"] if rows else None


def sign(connection: Connection, signed: list[SignedStatement]) -> None:
    """Writes signatures beside the keys they are of."""
    for each in signed:
        key = each.statement.key
        asked = {"mailbox": key.mailbox, "of_epoch": key.epoch, "new_signature": each.signature}
        connection.execute(_SIGN, asked)
