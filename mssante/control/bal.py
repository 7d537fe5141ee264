"""bal.*: the mailboxes of this operator."""

from __future__ import annotations

import secrets

from mssante.control.operations import Arguments, Parts, Result, mailbox_named
from mssante.model import Address, MailboxId, MailboxKind, MailboxStatus, Malformed
from mssante.reasons import Reason, Refused
from mssante.store import MailboxRow


async def create(parts: Parts, arguments: Arguments) -> Result:
    """Makes a mailbox of one of our domains, with its keys. Refused(NOT_PERMITTED) for another domain,
    or an address already taken: address and kind are immutable (facts §3)."""
    address = Address.parse(str(arguments["address"]))
    try:
        kind = MailboxKind(str(arguments["kind"]).upper())
    except ValueError:
        raise Malformed("the kind is one of PER, ORG, APP, CAB") from None
    if kind is MailboxKind.QUEUE:
        raise Refused(Reason.NOT_PERMITTED, "QUEUE is the operator's own outbox")
    if address.domain not in parts.config.operator.domains:
        ours = ", ".join(map(str, parts.config.operator.domains))
        raise Refused(Reason.NOT_PERMITTED, f"{address.domain} is not one of our domains ({ours})")
    if await parts.store.accounts.mailbox(address.key):
        raise Refused(Reason.NOT_PERMITTED, f"{address} exists already; its kind cannot change")
    row = new_row(parts, address, kind)
    public_key = await parts.broker.create_mailbox(row.id)
    await parts.store.accounts.add(row, public_key)
    return {"address": str(address), "kind": kind.value, "status": row.status.value}


def new_row(parts: Parts, address: Address, kind: MailboxKind) -> MailboxRow:
    """A mailbox as it is on its first day."""
    return MailboxRow(
        id=MailboxId(secrets.token_bytes(16)),
        address=address,
        kind=kind,
        status=MailboxStatus.ACTIVE,
        created_at=int(parts.clock.now().timestamp()),
        quota_kib=parts.config.messages.quota_mib * 1024,
    )


async def listing(parts: Parts, arguments: Arguments) -> Result:
    """Every mailbox, the operator's own outbox apart."""
    rows = await parts.store.accounts.all()
    shown = [_shown(row) for row in rows if row.kind is not MailboxKind.QUEUE]
    return {"mailboxes": sorted(shown, key=lambda item: str(item["address"]))}


async def show(parts: Parts, arguments: Arguments) -> Result:
    """One mailbox: its state, its size, its folders by role, and who may open it."""
    row = await mailbox_named(parts, arguments)
    grants = await parts.broker.people_of(row.id)
    folders = []
    for folder in await parts.store.folders.all(row.id):
        counts = await parts.store.folders.counts(folder.id)
        name = folder.role.value if folder.role else "(sealed name)"
        folders.append({"folder": name, "messages": counts.messages, "unseen": counts.unseen})
    people = [
        {"person": g.person, "role": g.role, "until": g.until.isoformat() if g.until else None}
        for g in grants
    ]
    sealed = await parts.store.accounts.sealed_bytes(row.id)
    return {**_shown(row), "sealed_bytes": sealed, "folders": folders, "people": people}


async def suspend(parts: Parts, arguments: Arguments) -> Result:
    """No mail comes in for now: peers are told to try later."""
    return await _turn(parts, arguments, MailboxStatus.SUSPENDED)


async def resume(parts: Parts, arguments: Arguments) -> Result:
    """A suspended mailbox takes mail again. A closed one stays closed."""
    return await _turn(parts, arguments, MailboxStatus.ACTIVE)


async def close(parts: Parts, arguments: Arguments) -> Result:
    """No mail comes in any more; what is there stays readable until it is shredded (a later issue)."""
    return await _turn(parts, arguments, MailboxStatus.CLOSED)


async def _turn(parts: Parts, arguments: Arguments, status: MailboxStatus) -> Result:
    row = await mailbox_named(parts, arguments)
    if row.status is MailboxStatus.CLOSED and status is not MailboxStatus.CLOSED:
        raise Refused(Reason.MAILBOX_CLOSED, f"{row.address} is closed, and stays so")
    await parts.store.accounts.set_status(row.id, status)
    return {"address": str(row.address), "status": status.value}


def _shown(row: MailboxRow) -> Result:
    return {
        "address": str(row.address),
        "kind": row.kind.value,
        "status": row.status.value,
        "used_kib": row.used_kib,
        "quota_kib": row.quota_kib,
    }
