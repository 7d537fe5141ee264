"""The key store's statements: synchronous, over one connection, for `Database.read` and `write`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from mssante.crypto.envelope import PublicKey, Suite
from mssante.keys.epochs import ClosedEpoch
from mssante.keys.ring import Grant, Role
from mssante.keys.tables import access, epoch, mailbox, milliseconds, moment, person
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


# Mailboxes and their epochs


def add_mailbox(connection: Connection, closed: ClosedEpoch, *, queue: bool, now: datetime) -> PublicKey:
    """The mailbox's public key: of the epoch given if it is new, else of its newest."""
    existing = newest_public_key(connection, closed.public.mailbox)
    if existing is not None:
        return existing
    connection.execute(
        sa.insert(mailbox).values(mailbox_id=closed.public.mailbox, queue=queue, created=milliseconds(now))
    )
    connection.execute(
        sa.insert(epoch).values(
            mailbox_id=closed.public.mailbox,
            epoch=closed.public.epoch,
            rk_id=closed.rk_id,
            wrapped_mek=closed.wrapped_mek,
            suite=int(closed.public.suite),
            public=closed.public.public,
            wrapped_kem_secret=closed.wrapped_kem_secret,
            created=milliseconds(now),
        )
    )
    return closed.public


def newest_public_key(connection: Connection, id_: MailboxId) -> PublicKey | None:
    row = connection.execute(
        sa.select(epoch.c.epoch, epoch.c.suite, epoch.c.public)
        .where(epoch.c.mailbox_id == id_, epoch.c.destroyed.is_(None))
        .order_by(epoch.c.epoch.desc())
        .limit(1)
    ).first()
    return PublicKey(id_, row.epoch, Suite(row.suite), bytes(row.public)) if row else None


def closed_epochs(connection: Connection, id_: MailboxId) -> list[ClosedEpoch]:
    """Every epoch of a mailbox that can still be opened."""
    rows = connection.execute(sa.select(epoch).where(epoch.c.mailbox_id == id_, epoch.c.destroyed.is_(None)))
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
    """None if there is no such mailbox."""
    return connection.scalar(sa.select(mailbox.c.queue).where(mailbox.c.mailbox_id == id_))


# People


def add_person(connection: Connection, name: PersonId, password_hash: str, *, now: datetime) -> None:
    """Raises Conflict if the name is taken."""
    connection.execute(
        sa.insert(person).values(
            person=name,
            password_hash=password_hash,
            status=PersonStatus.ACTIVE.value,
            created=milliseconds(now),
            password_changed=milliseconds(now),
        )
    )


def set_password(connection: Connection, name: PersonId, password_hash: str, *, now: datetime) -> bool:
    """Whether there is such a person."""
    done = connection.execute(
        sa.update(person)
        .where(person.c.person == name)
        .values(password_hash=password_hash, password_changed=milliseconds(now))
    )
    return done.rowcount == 1


def set_status(connection: Connection, name: PersonId, status: PersonStatus) -> bool:
    """Whether there is such a person."""
    done = connection.execute(sa.update(person).where(person.c.person == name).values(status=status.value))
    return done.rowcount == 1


def person_named(connection: Connection, name: PersonId) -> Person | None:
    row = connection.execute(sa.select(person).where(person.c.person == name)).first()
    return _person(row) if row else None


def people(connection: Connection) -> list[Person]:
    return [_person(row) for row in connection.execute(sa.select(person).order_by(person.c.person))]


def passwords_in_force(connection: Connection, names: Iterable[PersonId]) -> dict[PersonId, str]:
    """The stored hash of each of these people who is active."""
    rows = connection.execute(
        sa.select(person.c.person, person.c.password_hash).where(
            person.c.person.in_(list(names)), person.c.status == PersonStatus.ACTIVE.value
        )
    )
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
    """Ends the grant there was, and adds this one. Raises Conflict if person or mailbox is unknown."""
    end_grant(connection, grant.person, grant.mailbox, now=now)
    connection.execute(
        sa.insert(access).values(
            person=grant.person,
            mailbox_id=grant.mailbox,
            role=grant.role.value,
            since=milliseconds(grant.since),
            until=milliseconds(grant.until) if grant.until else None,
        )
    )


def end_grant(connection: Connection, name: PersonId, id_: MailboxId, *, now: datetime) -> bool:
    """Whether there was one."""
    done = connection.execute(
        sa.update(access)
        .where(access.c.person == name, access.c.mailbox_id == id_, access.c.revoked.is_(None))
        .values(revoked=milliseconds(now))
    )
    return done.rowcount > 0


def grants(
    connection: Connection, *, name: PersonId | None = None, id_: MailboxId | None = None
) -> list[Grant]:
    """Grants not revoked, of a person, on a mailbox, or both; past and future ones included."""
    query = sa.select(access).where(access.c.revoked.is_(None)).order_by(access.c.id)
    if name is not None:
        query = query.where(access.c.person == name)
    if id_ is not None:
        query = query.where(access.c.mailbox_id == id_)
    return [
        Grant(
            person=PersonId(row.person),
            mailbox=MailboxId(bytes(row.mailbox_id)),
            role=Role(row.role),
            since=moment(row.since),
            until=moment(row.until) if row.until is not None else None,
        )
        for row in connection.execute(query)
    ]
