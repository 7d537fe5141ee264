"""Mailboxes and their public keys.

Invariants: every mailbox except the queue's has its six folders with a role from the first moment, so that
there is always a folder for a letter; a mailbox is never deleted, and its status says what may come in; a
mailbox that is read alone, and every public key, is as our broker signed it (store.proving). Only lists of
mailboxes are shown as they lie there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, RowMapping, bindparam, func, insert, select, update

from mssante.crypto import MailboxStatement, PublicKey, SignedStatement, StatementVerifier
from mssante.limits import MAILBOX_REMEMBERED_SECONDS, MAILBOXES_REMEMBERED_MAX, PUBLIC_KEY_REMEMBERED_SECONDS
from mssante.model import Address, MailboxId, MailboxKind, MailboxStatus, SpecialUse
from mssante.observe.event import report
from mssante.observe.events import MailboxNotProven
from mssante.reasons import Reason, Refused
from mssante.store import chain, proving, tables
from mssante.store.aged_cache import AgedCache
from mssante.store.ledger import Ledger
from mssante.store.proving import UnprovenMailbox
from mssante.store.records import SECONDS_PER_DAY, JournalKind, MailboxRow
from mssante.store.records.accounts import kib_of_places
from mssante.store.transactions import Transactions

T = TypeVar("T")

_COLUMNS = [
    column
    for column in tables.mailbox.c
    if column.name
    in ("id", "address", "kind", "status", "created_at", "quota_kib", "used_kib", "places", "modseq")
]
_WITH_KEY = proving.with_newest_key(*_COLUMNS)
_BY_ADDRESS = _WITH_KEY.where(tables.mailbox.c.address_key == bindparam("the_address"))
_BY_ID = _WITH_KEY.where(tables.mailbox.c.id == bindparam("mailbox"))
_ALL = select(*_COLUMNS).order_by(tables.mailbox.c.address_key, tables.mailbox.c.id)
_OF_KIND = tables.mailbox.c.kind == bindparam("the_kind")
_OF_STATUS = tables.mailbox.c.status == bindparam("the_status")
# The key says whether a kind is asked for, and whether a status is.
_ALL_OF = {
    (False, False): _ALL,
    (True, False): _ALL.where(_OF_KIND),
    (False, True): _ALL.where(_OF_STATUS),
    (True, True): _ALL.where(_OF_KIND, _OF_STATUS),
}
_NEW_MAILBOX = insert(tables.mailbox)
_NEW_FOLDERS = insert(tables.folder)
# A folder's number never comes back, so it serves as UIDVALIDITY: a folder made again under an old name
# is not mistaken for the old one (RFC 3501 §2.3.1.1).
UIDVALIDITY_FROM_ID = (
    update(tables.folder)
    .where(tables.folder.c.mailbox_id == bindparam("mailbox"), tables.folder.c.uidvalidity == 0)
    .values(uidvalidity=tables.folder.c.id)
)
_NEW_KEY = insert(tables.mailbox_key)
_SEALED_OCTETS = (
    select(func.coalesce(func.sum(func.length(tables.chunk.c.ct)), 0))
    .select_from(tables.message)
    .join(tables.chunk, tables.chunk.c.blob_id == tables.message.c.blob_id)
    .where(tables.message.c.mailbox_id == bindparam("mailbox"))
)
_STATUS = (
    update(tables.mailbox)
    .where(tables.mailbox.c.id == bindparam("mailbox"))
    .values(status=bindparam("new_status"))
)
_QUOTA = (
    update(tables.mailbox)
    .where(tables.mailbox.c.id == bindparam("mailbox"))
    .values(quota_kib=bindparam("new_quota"))
)


def add(ledger: Ledger, row: MailboxRow, signed: SignedStatement) -> None:
    """Adds a mailbox with its first public key and its folders. Raises database.Conflict if its id or
    its address is taken."""
    assert signed.statement.identity == row.identity
    ledger.connection.execute(
        _NEW_MAILBOX,
        {
            "id": row.id,
            "address_key": row.address.key if row.address else None,
            "address": str(row.address) if row.address else None,
            "kind": row.kind,
            "status": row.status,
            "created_at": row.created_at - row.created_at % SECONDS_PER_DAY,
            "quota_kib": row.quota_kib,
            "used_kib": 0,
            "places": 0,
            "modseq": 0,
            "journal_n": 0,
            "journal_at": 0,
            "journal_head": chain.START,
        },
    )
    mailbox = ledger.open_one(row.id)
    mailbox.record(JournalKind.CREATED)
    if row.kind is not MailboxKind.QUEUE:
        modseq = mailbox.step()
        ledger.connection.execute(
            _NEW_FOLDERS,
            [
                {
                    "mailbox_id": row.id,
                    "role": role,
                    "name_tag": None,
                    "name_ct": None,
                    "uidvalidity": 0,
                    "uidnext": 1,
                    "subscribed": True,
                    "modseq": modseq,
                }
                for role in SpecialUse
            ],
        )
        ledger.connection.execute(UIDVALIDITY_FROM_ID, {"mailbox": row.id})
    _add_key(ledger.connection, signed)


def add_key(ledger: Ledger, signed: SignedStatement) -> None:
    """Adds a new epoch's public key: deliveries use it at once. Raises Refused(MAILBOX_UNKNOWN)."""
    key = signed.statement.key
    mailbox = ledger.open_one(key.mailbox)
    mailbox.record(JournalKind.KEY, detail=json.dumps({"epoch": key.epoch}))
    _add_key(ledger.connection, signed)


def _add_key(connection: Connection, signed: SignedStatement) -> None:
    key = signed.statement.key
    connection.execute(
        _NEW_KEY,
        {
            "mailbox_id": key.mailbox,
            "epoch": key.epoch,
            "suite": int(key.suite),
            "public": key.public,
            "signature": signed.signature,
        },
    )


def set_status(ledger: Ledger, mailbox: MailboxId, status: MailboxStatus) -> None:
    """Raises Refused(MAILBOX_UNKNOWN)."""
    opened = ledger.open_one(mailbox)
    opened.record(JournalKind.STATUS, detail=json.dumps({"status": status}))
    opened.step()
    ledger.connection.execute(_STATUS, {"mailbox": mailbox, "new_status": status})


def set_quota(ledger: Ledger, mailbox: MailboxId, quota_kib: int | None) -> None:
    """Raises Refused(MAILBOX_UNKNOWN)."""
    ledger.open_one(mailbox)
    ledger.connection.execute(_QUOTA, {"mailbox": mailbox, "new_quota": quota_kib})


def by_address(connection: Connection, address_key: str, verifier: StatementVerifier) -> MailboxRow | None:
    """The mailbox of an address (`Address.key`), if it is ours. Raises UnprovenMailbox."""
    row = connection.execute(_BY_ADDRESS, {"the_address": address_key}).mappings().first()
    if row is None:
        return None
    proving.proven(row, verifier)
    return _mailbox(row)


def by_id(connection: Connection, mailbox: MailboxId, verifier: StatementVerifier) -> MailboxRow:
    """Raises Refused(MAILBOX_UNKNOWN), UnprovenMailbox."""
    row = connection.execute(_BY_ID, {"mailbox": mailbox}).mappings().first()
    if row is None:
        raise Refused(Reason.MAILBOX_UNKNOWN)
    proving.proven(row, verifier)
    return _mailbox(row)


def all_of(
    connection: Connection, kind: MailboxKind | None = None, status: MailboxStatus | None = None
) -> list[MailboxRow]:
    """All mailboxes, of one kind or status if given, in the order of their addresses."""
    wanted = _ALL_OF[kind is not None, status is not None]
    rows = connection.execute(wanted, {"the_kind": kind, "the_status": status}).mappings()
    return [_mailbox(row) for row in rows]


def statement(connection: Connection, mailbox: MailboxId, verifier: StatementVerifier) -> MailboxStatement:
    """What our broker signed of a mailbox, with its newest public key. Raises Refused(MAILBOX_UNKNOWN),
    UnprovenMailbox."""
    row = connection.execute(_BY_ID, {"mailbox": mailbox}).mappings().first()
    if row is None:
        raise Refused(Reason.MAILBOX_UNKNOWN)
    return proving.proven(row, verifier)


def sealed_bytes(connection: Connection, mailbox: MailboxId) -> int:
    """Octets of ciphertext kept for a mailbox: its contents' chunks."""
    return int(connection.execute(_SEALED_OCTETS, {"mailbox": mailbox}).scalar_one())


def _mailbox(row: RowMapping) -> MailboxRow:
    return MailboxRow(
        id=row["id"],
        address=Address.parse(row["address"]) if row["address"] is not None else None,
        kind=MailboxKind(row["kind"]),
        status=MailboxStatus(row["status"]),
        created_at=row["created_at"],
        quota_kib=row["quota_kib"],
        used_kib=row["used_kib"] + kib_of_places(row["places"]),
        places=row["places"],
        modseq=row["modseq"],
    )


class AccountsDoor:
    """`MailStore.accounts`: mailboxes, their status and quota, and the public keys that letters are sealed
    with.

    Each method is one transaction. Each raises Passing when the database does not answer or is too busy, and
    those that read one mailbox raise UnprovenMailbox, after an alarm, when our broker did not sign what the
    database says of it."""

    def __init__(self, transactions: Transactions, verifier: StatementVerifier) -> None:
        self._transactions = transactions
        self._verifier = verifier
        self._mailboxes = AgedCache[str, MailboxRow](
            transactions.clock, seconds=MAILBOX_REMEMBERED_SECONDS, most=MAILBOXES_REMEMBERED_MAX
        )
        self._statements = AgedCache[MailboxId, MailboxStatement](
            transactions.clock, seconds=PUBLIC_KEY_REMEMBERED_SECONDS, most=MAILBOXES_REMEMBERED_MAX
        )

    async def _read(self, fn: Callable[[Connection, StatementVerifier], T]) -> T:
        try:
            return await self._transactions.read(lambda connection: fn(connection, self._verifier))
        except UnprovenMailbox as trouble:
            report(MailboxNotProven(mailbox=trouble.mailbox.hex()))
            raise

    async def add(self, row: MailboxRow, signed: SignedStatement) -> None:
        """Adds a mailbox with its first public key, as the broker signed both, and, unless it is the queue's,
        its six folders. Raises database.Conflict if its id or its address is taken."""
        await self._transactions.write(lambda ledger: add(ledger, row, signed))

    async def add_key(self, signed: SignedStatement) -> None:
        """Adds a new epoch's public key: this process seals with it at once, others within a minute. Raises
        Refused(MAILBOX_UNKNOWN)."""
        await self._transactions.write(lambda ledger: add_key(ledger, signed))
        self._statements.forget()

    async def mailbox(self, address_key: str) -> MailboxRow | None:
        """The mailbox of an address (`Address.key`); None if it is not ours."""
        return await self._read(lambda c, verifier: by_address(c, address_key, verifier))

    async def cached_mailbox(self, address_key: str) -> MailboxRow | None:
        """As `mailbox`, but from a cache: `used_kib`, and what another host changed, may be ten seconds old.
        It saves one read for each recipient, where the transaction that accepts the letter checks again."""
        row = self._mailboxes.known(address_key)
        if row is None:
            row = await self.mailbox(address_key)
            if row is not None:
                self._mailboxes.remember(address_key, row)
        return row

    async def by_id(self, mailbox: MailboxId) -> MailboxRow:
        """A mailbox as it is now. Raises Refused(MAILBOX_UNKNOWN)."""
        return await self._read(lambda c, verifier: by_id(c, mailbox, verifier))

    async def all(
        self, kind: MailboxKind | None = None, status: MailboxStatus | None = None
    ) -> list[MailboxRow]:
        """Every mailbox, of one kind or one status if given, in the order of the addresses, as the database
        says. Do not rest a right on it."""
        return await self._transactions.read(lambda c: all_of(c, kind, status))

    async def set_status(self, mailbox: MailboxId, status: MailboxStatus) -> None:
        """Opens, suspends or closes a mailbox, and writes it in its journal. Raises
        Refused(MAILBOX_UNKNOWN)."""
        await self._transactions.write(lambda ledger: set_status(ledger, mailbox, status))
        self._mailboxes.forget()

    async def set_quota(self, mailbox: MailboxId, quota_kib: int | None) -> None:
        """Sets the quota; None for no quota. Messages that are there already stay, even if they exceed it.
        Raises Refused(MAILBOX_UNKNOWN)."""
        await self._transactions.write(lambda ledger: set_quota(ledger, mailbox, quota_kib))
        self._mailboxes.forget()

    async def public_key(self, mailbox: MailboxId, address: Address | None) -> PublicKey:
        """The newest epoch's public key of the mailbox that our broker signed for this address (None: for the
        outbox), at most a minute late if another host added it. Raises Refused(MAILBOX_UNKNOWN),
        UnprovenMailbox."""
        said = self._statements.known(mailbox)
        if said is None:
            said = await self._read(lambda c, verifier: statement(c, mailbox, verifier))
            self._statements.remember(mailbox, said)
        signed_for = said.identity.address
        if (signed_for.key if signed_for else None) != (address.key if address else None):
            # The database gave this mailbox for an address that is another's.
            report(MailboxNotProven(mailbox=mailbox.hex()))
            raise UnprovenMailbox(mailbox, str(address))
        return said.key

    async def unproven(self) -> list[UnprovenMailbox]:
        """The mailboxes that our broker did not sign as the database has them."""
        found: list[UnprovenMailbox] = []
        after: MailboxId | None = None
        while True:
            look = partial(proving.unproven, verifier=self._verifier, after=after)
            some, after = await self._transactions.read(look)
            found += some
            if after is None:
                return found

    async def sign(self, signed: list[SignedStatement]) -> None:
        """Keeps the broker's signatures beside the keys they are of."""
        await self._transactions.write_quietly(partial(proving.sign, signed=signed))
        self._statements.forget()

    async def sealed_bytes(self, mailbox: MailboxId) -> int:
        """Octets of ciphertext kept for the contents of a mailbox; 0 for an unknown mailbox."""
        return await self._transactions.read(lambda c: sealed_bytes(c, mailbox))
