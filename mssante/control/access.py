"""access.*: which mailboxes a person may open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mssante.control.operations import OperationRequest, Parts, address_of, mailbox_at
from mssante.keys.ring import Role
from mssante.model import Address, PersonId


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessGranted:
    person: PersonId
    address: Address
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRevoked:
    person: PersonId
    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantAccess(OperationRequest[AccessGranted]):
    """`until` None: for ever."""

    person: PersonId
    address: Address
    role: Role = Role.FULL
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeAccess(OperationRequest[AccessRevoked]):
    person: PersonId
    address: Address


async def grant(parts: Parts, request: GrantAccess) -> AccessGranted:
    """Lets a person open a mailbox, for ever or until a date."""
    row = await mailbox_at(parts, request.address)
    await parts.broker.grant(request.person, row.id, request.role, until=request.until)
    return AccessGranted(person=request.person, address=address_of(row), role=request.role)


async def revoke(parts: Parts, request: RevokeAccess) -> AccessRevoked:
    """Takes the access away at once: open sessions of this mailbox end."""
    row = await mailbox_at(parts, request.address)
    await parts.broker.revoke(request.person, row.id)
    return AccessRevoked(person=request.person, address=address_of(row))
