"""bal.*: the mailboxes of this operator."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from mssante.control.operations import OperationRequest, Parts, address_of, mailbox_at
from mssante.keys.ring import Role
from mssante.model import Address, MailboxId, MailboxKind, MailboxStatus, PersonId
from mssante.reasons import Reason, Refused
from mssante.store import MailboxRow

# What is answered


@dataclass(frozen=True, slots=True, kw_only=True)
class BalStatus:
    address: Address
    status: MailboxStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class BalCreated:
    address: Address
    kind: MailboxKind
    status: MailboxStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class BalSummary:
    """A mailbox as it stands in a list. `quota_kib` None: no bound."""

    address: Address
    kind: MailboxKind
    status: MailboxStatus
    used_kib: int
    quota_kib: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalListing:
    mailboxes: tuple[BalSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BalFolder:
    """`folder` is its role: the names that people give are sealed."""

    folder: str
    messages: int
    unseen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BalAccess:
    """Who may open the mailbox; `until` None: for ever."""

    person: PersonId
    role: Role
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalDetails(BalSummary):
    sealed_bytes: int  # of ciphertext, as operators know the word
    folders: tuple[BalFolder, ...]
    people: tuple[BalAccess, ...]


# What is asked


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateBal(OperationRequest[BalCreated]):
    address: Address
    kind: MailboxKind


@dataclass(frozen=True, slots=True)
class ListBal(OperationRequest[BalListing]):
    pass


@dataclass(frozen=True, slots=True)
class ShowBal(OperationRequest[BalDetails]):
    address: Address


@dataclass(frozen=True, slots=True)
class SuspendBal(OperationRequest[BalStatus]):
    address: Address


@dataclass(frozen=True, slots=True)
class ResumeBal(OperationRequest[BalStatus]):
    address: Address


@dataclass(frozen=True, slots=True)
class CloseBal(OperationRequest[BalStatus]):
    address: Address


# What is done


async def create(parts: Parts, request: CreateBal) -> BalCreated:
    """Makes a mailbox in one of our domains, with its keys. Raises Refused(NOT_PERMITTED) for another domain
    or an address already taken: a mailbox's address and kind never change (facts §3)."""
    address, domains = request.address, parts.settings.domains
    if request.kind is MailboxKind.QUEUE:
        raise Refused(Reason.NOT_PERMITTED, "QUEUE is the operator's own outbox")
    if address.domain not in domains:
        ours = ", ".join(map(str, domains))
        raise Refused(Reason.NOT_PERMITTED, f"{address.domain} is not one of our domains ({ours})")
    if await parts.store.accounts.mailbox(address.key):
        raise Refused(Reason.NOT_PERMITTED, f"{address} exists already; its kind cannot change")
    row = _new_row(parts, address, request.kind)
    await parts.store.accounts.add(row, await parts.broker.create_mailbox(row.identity))
    return BalCreated(address=address, kind=row.kind, status=row.status)


def _new_row(parts: Parts, address: Address, kind: MailboxKind) -> MailboxRow:
    """A mailbox as it is on its first day."""
    return MailboxRow(
        id=MailboxId(secrets.token_bytes(16)),
        address=address,
        kind=kind,
        status=MailboxStatus.ACTIVE,
        created_at=int(parts.clock.now().timestamp()),
        quota_kib=parts.settings.quota_kib,
    )


async def listing(parts: Parts, request: ListBal) -> BalListing:
    """Every mailbox, except the operator's own outbox."""
    rows = [row for row in await parts.store.accounts.all() if row.kind is not MailboxKind.QUEUE]
    rows.sort(key=lambda row: str(row.address))
    return BalListing(
        mailboxes=tuple(
            BalSummary(
                address=address_of(row),
                kind=row.kind,
                status=row.status,
                used_kib=row.used_kib,
                quota_kib=row.quota_kib,
            )
            for row in rows
        )
    )


async def show(parts: Parts, request: ShowBal) -> BalDetails:
    """One mailbox: its state, its size, its folders by role, and who may open it."""
    row = await mailbox_at(parts, request.address)
    grants = await parts.broker.people_of(row.id)
    folders = []
    for folder in await parts.store.folders.all(row.id):
        counts = await parts.store.folders.counts(folder.id)
        name = folder.role.value if folder.role else "(sealed name)"
        folders.append(BalFolder(folder=name, messages=counts.messages, unseen=counts.unseen))
    return BalDetails(
        address=address_of(row),
        kind=row.kind,
        status=row.status,
        used_kib=row.used_kib,
        quota_kib=row.quota_kib,
        sealed_bytes=await parts.store.accounts.sealed_bytes(row.id),
        folders=tuple(folders),
        people=tuple(BalAccess(person=g.person, role=g.role, until=g.until) for g in grants),
    )


async def suspend(parts: Parts, request: SuspendBal) -> BalStatus:
    """No mail comes in for now: peers are told to try later."""
    return await _set_status(parts, request.address, MailboxStatus.SUSPENDED)


async def resume(parts: Parts, request: ResumeBal) -> BalStatus:
    """A suspended mailbox takes mail again. A closed one stays closed."""
    return await _set_status(parts, request.address, MailboxStatus.ACTIVE)


async def close(parts: Parts, request: CloseBal) -> BalStatus:
    """No mail comes in any more. What is there stays readable: nothing shreds a whole mailbox yet."""
    return await _set_status(parts, request.address, MailboxStatus.CLOSED)


async def _set_status(parts: Parts, address: Address, status: MailboxStatus) -> BalStatus:
    row = await mailbox_at(parts, address)
    if row.status is MailboxStatus.CLOSED and status is not MailboxStatus.CLOSED:
        raise Refused(Reason.MAILBOX_CLOSED, f"{row.address} is closed, and stays so")
    await parts.store.accounts.set_status(row.id, status)
    return BalStatus(address=address_of(row), status=status)
