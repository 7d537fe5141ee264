"""person.*: who may log in."""

from __future__ import annotations

from dataclasses import dataclass

from mssante.control.json_values import malformed
from mssante.control.operations import OperationRequest, Parts
from mssante.database import Conflict
from mssante.limits import PASSWORD_OCTETS_MAX, PASSWORD_OCTETS_MIN
from mssante.model import PersonId, Secret
from mssante.reasons import Reason, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonCreated:
    person: PersonId


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChanged:
    person: PersonId


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePerson(OperationRequest[PersonCreated]):
    person: PersonId
    password: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePassword(OperationRequest[PasswordChanged]):
    person: PersonId
    password: Secret


async def create(parts: Parts, request: CreatePerson) -> PersonCreated:
    """A person who may log in. Refused if the login is taken, or the password too short or too long."""
    _require_good(request.password)
    try:
        await parts.broker.create_person(request.person, request.password)
    except Conflict:
        raise Refused(
            Reason.NOT_PERMITTED, f"{request.person} exists already; 'person password' changes it"
        ) from None
    return PersonCreated(person=request.person)


async def change_password(parts: Parts, request: ChangePassword) -> PasswordChanged:
    """A new password. The mailboxes' keys do not depend on it: no letter is lost."""
    _require_good(request.password)
    await parts.broker.change_password(request.person, request.password)
    return PasswordChanged(person=request.person)


def _require_good(password: Secret) -> None:
    if not PASSWORD_OCTETS_MIN <= len(password.value.encode()) <= PASSWORD_OCTETS_MAX:
        takes = f"{PASSWORD_OCTETS_MIN} to {PASSWORD_OCTETS_MAX} octets"
        raise malformed("password", "too short or too long", takes=takes)
