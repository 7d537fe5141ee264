"""person.* and access.*: who may log in, and which mailboxes they may open."""

from __future__ import annotations

import re

from mssante.control.operations import Arguments, Parts, Result, mailbox_named, moment
from mssante.database import Conflict
from mssante.keys.ring import Role
from mssante.limits import PASSWORD_OCTETS_MAX
from mssante.model import Malformed, PersonId, Secret
from mssante.reasons import Reason, Refused

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
PASSWORD_OCTETS_MIN = 12


def _person(arguments: Arguments) -> PersonId:
    name = str(arguments["person"])
    if not _NAME.fullmatch(name):
        raise Malformed("a person's login is 1 to 128 letters, digits and . _ @ + -")
    return PersonId(name)


def _password(arguments: Arguments) -> Secret:
    value = str(arguments["password"])
    if not PASSWORD_OCTETS_MIN <= len(value.encode()) <= PASSWORD_OCTETS_MAX:
        raise Malformed(f"a password has {PASSWORD_OCTETS_MIN} to {PASSWORD_OCTETS_MAX} octets")
    return Secret(value)


async def create(parts: Parts, arguments: Arguments) -> Result:
    """A person who may log in. Refused if the login is taken."""
    person = _person(arguments)
    try:
        await parts.broker.create_person(person, _password(arguments))
    except Conflict:
        raise Refused(
            Reason.NOT_PERMITTED, f"{person} exists already; 'person password' changes it"
        ) from None
    return {"person": person}


async def password(parts: Parts, arguments: Arguments) -> Result:
    """A new password. The mailboxes' keys do not depend on it: no letter is lost."""
    person = _person(arguments)
    await parts.broker.change_password(person, _password(arguments))
    return {"person": person}


async def grant(parts: Parts, arguments: Arguments) -> Result:
    """Lets a person open a mailbox, for ever or until a date."""
    row = await mailbox_named(parts, arguments)
    person, role, until = (
        _person(arguments),
        str(arguments.get("role", "full")),
        moment(arguments.get("until")),
    )
    if role not in set(Role):
        raise Malformed("the role is full or read")
    await parts.broker.grant(person, row.id, Role(role), until=until)
    return {"person": person, "address": str(row.address), "role": role}


async def revoke(parts: Parts, arguments: Arguments) -> Result:
    """Takes the access away at once: open sessions of this mailbox end."""
    row = await mailbox_named(parts, arguments)
    person = _person(arguments)
    await parts.broker.revoke(person, row.id)
    return {"person": person, "address": str(row.address)}
