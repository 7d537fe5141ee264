"""The key store's statements: synchronous, over one connection, for `Database.read` and `write`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from mssante.crypto.envelope import PublicKey, Suite
from mssante.keys import tables
from mssante.keys.epochs import ClosedEpoch
from mssante.keys.ring import Grant, Role
from mssante.keys.tables import milliseconds, moment
from mssante.model import MailboxId, PersonId


class PersonStatus(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Person:
    """A person or an application that signs in."""

    person: PersonId
    status: PersonStatus
    password_hash: str = field(repr=False)
    created: datetime
    password_changed: datetime


_m, _e, _p, _a = tables.mailbox.c, tables.epoch.c, tables.person.c, tables.access.c
_NEW_MAILBOX = insert(tables.mailbox)
_NEW_EPOCH = insert(tables.epoch)
_EPOCHS = select(tables.epoch).where(_e.mailbox_id == bindparam("mailbox"), _e.destroyed.is_(None))
_NEWEST = (
    select(_e.epoch, _e.suite, _e.public)
    .where(_e.mailbox_id == bindparam("mailbox"), _e.destroyed.is_(None))
    .order_by(_e.epoch.desc())
    .limit(1)
)
_IS_QUEUE = select(_m.queue).where(_m.mailbox_id == bindparam("mailbox"))
_NEW_PERSON = insert(tables.person)
_PEOPLE = select(tables.person).order_by(_p.person)
_PERSON = select(tables.person).where(_p.person == bindparam("name"))
_PASSWORD = (
    update(tables.person)
    .where(_p.person == bindparam("name"))
    .values(password_hash=bindparam("new_hash"), password_changed=bindparam("new_changed"))
)
_STATUS = update(tables.person).where(_p.person == bindparam("name")).values(status=bindparam("new_status"))
_IN_FORCE = select(_p.person, _p.password_hash).where(
    _p.person.in_(bindparam("names", expanding=True)), _p.status == PersonStatus.ACTIVE.value
)
_NEW_GRANT = insert(tables.access)
_END_GRANT = (
    update(tables.access)
    .where(_a.person == bindparam("name"), _a.mailbox_id == bindparam("mailbox"), _a.revoked.is_(None))
    .values(revoked=bindparam("new_revoked"))
)
_GRANTS = select(tables.access).where(_a.revoked.is_(None)).order_by(_a.id)
_OF_PERSON, _ON_MAILBOX = _a.person == bindparam("name"), _a.mailbox_id == bindparam("mailbox")
# The key says whether a person is asked for, and whether a mailbox is.
_GRANTS_OF = {
    (False, False): _GRANTS,
    (True, False): _GRANTS.where(_OF_PERSON),
    (False, True): _GRANTS.where(_ON_MAILBOX),
    (True, True): _GRANTS.where(_OF_PERSON, _ON_MAILBOX),
}


# Mailboxes and their epochs


def add_mailbox(connection: Connection, closed: ClosedEpoch, *, queue: bool, now: datetime) -> PublicKey:
    """Adds a mailbox with its first epoch, unless it exists. Returns the public key of its newest epoch."""
    existing = newest_public_key(connection, closed.public.mailbox)
    if existing is not None:
        return existing
    connection.execute(
        _NEW_MAILBOX,
        {"mailbox_id": closed.public.mailbox, "queue": queue, "created": milliseconds(now)},
    )
    connection.execute(
        _NEW_EPOCH,
        {
            "mailbox_id": closed.public.mailbox,
            "epoch": closed.public.epoch,
            "rk_id": closed.rk_id,
            "wrapped_mek": closed.wrapped_mek,
            "suite": int(closed.public.suite),
            "public": closed.public.public,
            "wrapped_kem_secret": closed.wrapped_kem_secret,
            "created": milliseconds(now),
        },
    )
    return closed.public


def newest_public_key(connection: Connection, id_: MailboxId) -> PublicKey | None:
    row = connection.execute(_NEWEST, {"mailbox": id_}).first()
    return PublicKey(id_, row.epoch, Suite(row.suite), bytes(row.public)) if row else None


def closed_epochs(connection: Connection, id_: MailboxId) -> list[ClosedEpoch]:
    """Every epoch of a mailbox that can still be opened."""
    rows = connection.execute(_EPOCHS, {"mailbox": id_})
    return [
        ClosedEpoch(
            PublicKey(id_, row.epoch, Suite(row.suite), bytes(row.public)),
            row.rk_id,
            bytes(row.wrapped_mek),
            bytes(row.wrapped_kem_secret),
        )
        for row in rows
    ]


def is_queue(connection: Connection, id_: MailboxId) -> bool | None:
    """Whether a mailbox is the operator's own outbox; None if there is no such mailbox."""
    return connection.scalar(_IS_QUEUE, {"mailbox": id_})


# People


def add_person(connection: Connection, name: PersonId, password_hash: str, *, now: datetime) -> None:
    """Adds a person. Raises Conflict if the name is taken."""
    connection.execute(
        _NEW_PERSON,
        {
            "person": name,
            "password_hash": password_hash,
            "status": PersonStatus.ACTIVE.value,
            "created": milliseconds(now),
            "password_changed": milliseconds(now),
        },
    )


def set_password(connection: Connection, name: PersonId, password_hash: str, *, now: datetime) -> bool:
    """Sets a person's password. Returns whether there is such a person."""
    changed = {"new_hash": password_hash, "new_changed": milliseconds(now)}
    done = connection.execute(_PASSWORD, {"name": name} | changed)
    return done.rowcount == 1


def set_status(connection: Connection, name: PersonId, status: PersonStatus) -> bool:
    """Sets a person's status. Returns whether there is such a person."""
    done = connection.execute(_STATUS, {"name": name, "new_status": status.value})
    return done.rowcount == 1


def person_named(connection: Connection, name: PersonId) -> Person | None:
    row = connection.execute(_PERSON, {"name": name}).first()
    return _person(row) if row else None


def people(connection: Connection) -> list[Person]:
    return [_person(row) for row in connection.execute(_PEOPLE)]


def passwords_in_force(connection: Connection, names: Iterable[PersonId]) -> dict[PersonId, str]:
    """The stored password hash of each of these people who is active."""
    rows = connection.execute(_IN_FORCE, {"names": list(names)})
    return {PersonId(row.person): row.password_hash for row in rows}


def _person(row: Row[tuple[object, ...]]) -> Person:
    return Person(
        PersonId(row.person),
        PersonStatus(row.status),
        row.password_hash,
        moment(row.created),
        moment(row.password_changed),
    )


# Grants


def set_grant(connection: Connection, grant: Grant, *, now: datetime) -> None:
    """Ends the grant that exists, and adds this one. Raises Conflict if the person or mailbox is unknown."""
    end_grant(connection, grant.person, grant.mailbox, now=now)
    connection.execute(
        _NEW_GRANT,
        {
            "person": grant.person,
            "mailbox_id": grant.mailbox,
            "role": grant.role.value,
            "since": milliseconds(grant.since),
            "until": milliseconds(grant.until) if grant.until else None,
        },
    )


def end_grant(connection: Connection, name: PersonId, id_: MailboxId, *, now: datetime) -> bool:
    """Ends a person's grant on a mailbox. Returns whether there was one."""
    asked = {"name": name, "mailbox": id_, "new_revoked": milliseconds(now)}
    done = connection.execute(_END_GRANT, asked)
    return done.rowcount > 0


def grants(
    connection: Connection, *, name: PersonId | None = None, id_: MailboxId | None = None
) -> list[Grant]:
    """The grants that were not revoked, of a person, on a mailbox, or both; past and future ones too."""
    asked = {"name": name, "mailbox": id_}
    rows = connection.execute(_GRANTS_OF[name is not None, id_ is not None], asked)
    return [
        Grant(
            person=PersonId(row.person),
            mailbox=MailboxId(bytes(row.mailbox_id)),
            role=Role(row.role),
            since=moment(row.since),
            until=moment(row.until) if row.until is not None else None,
        )
        for row in rows
    ]
