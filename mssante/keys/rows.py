"""The key store's statements: synchronous, over one connection, for `Database.read` and `write`.

Invariant: a row of people or of grants counts only if its proof holds (keys.proof); it is written by a
ProvedChange and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, Row, RowMapping, bindparam, func, insert, select

from mssante.crypto.envelope import PublicKey, Suite
from mssante.keys import tables
from mssante.keys.change import ProvedChange
from mssante.keys.epochs import ClosedEpoch
from mssante.keys.proof import RowProof
from mssante.keys.ring import Grant, Role
from mssante.keys.tables import milliseconds, moment
from mssante.model import MailboxId, PersonId
from mssante.reasons import Passing, Reason


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


class NotOurRow(Passing):
    """A row of people or of grants that our broker did not write as it lies there."""

    def __init__(self, table: str, person: str) -> None:
        super().__init__(
            Reason.KEYS_UNAVAILABLE,
            f"the key store's row of {person} in {table} was not written by our key broker: mssante doctor",
        )
        self.table = table
        self.person = person


_m, _e, _p, _a = tables.mailbox.c, tables.epoch.c, tables.person.c, tables.access.c
_NEW_MAILBOX = insert(tables.mailbox)
_NEW_EPOCH = insert(tables.epoch)
_EPOCHS = select(tables.epoch).where(_e.mailbox_id == bindparam("mailbox"), _e.destroyed.is_(None))
_NEWEST = _EPOCHS.order_by(_e.epoch.desc()).limit(1)
_IS_QUEUE = select(_m.queue).where(_m.mailbox_id == bindparam("mailbox"))
_PEOPLE = select(tables.person).order_by(_p.person)
_PERSON = select(tables.person).where(_p.person == bindparam("name"))
_NAMED = select(tables.person).where(_p.person.in_(bindparam("names", expanding=True)))
_LAST_GRANT = select(func.coalesce(func.max(_a.id), 0))
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


def add_mailbox(change: ProvedChange, closed: ClosedEpoch, *, queue: bool, now: datetime) -> ClosedEpoch:
    """Adds a mailbox with its first epoch, unless it exists. Returns its newest epoch."""
    connection = change.connection
    existing = newest_epoch(connection, closed.public.mailbox)
    if existing is not None:
        return existing
    change.touch()
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
    return closed


def newest_epoch(connection: Connection, id_: MailboxId) -> ClosedEpoch | None:
    row = connection.execute(_NEWEST, {"mailbox": id_}).first()
    return _epoch(id_, row) if row else None


def closed_epochs(connection: Connection, id_: MailboxId) -> list[ClosedEpoch]:
    """Every epoch of a mailbox that can still be opened."""
    return [_epoch(id_, row) for row in connection.execute(_EPOCHS, {"mailbox": id_})]


def _epoch(id_: MailboxId, row: Row[tuple[object, ...]]) -> ClosedEpoch:
    return ClosedEpoch(
        PublicKey(id_, row.epoch, Suite(row.suite), bytes(row.public)),
        row.rk_id,
        bytes(row.wrapped_mek),
        bytes(row.wrapped_kem_secret),
    )


def is_queue(connection: Connection, id_: MailboxId) -> bool | None:
    """Whether a mailbox is the operator's own outbox; None if there is no such mailbox."""
    return connection.scalar(_IS_QUEUE, {"mailbox": id_})


# People


def add_person(change: ProvedChange, name: PersonId, password_hash: str, *, now: datetime) -> None:
    """Adds a person. Raises Conflict if the name is taken."""
    change.insert(
        "person",
        {
            "person": name,
            "password_hash": password_hash,
            "status": PersonStatus.ACTIVE.value,
            "created": milliseconds(now),
            "password_changed": milliseconds(now),
        },
    )


def set_password(change: ProvedChange, name: PersonId, password_hash: str, *, now: datetime) -> bool:
    """Sets a person's password. Returns whether there is such a person. Raises NotOurRow."""
    row = _person_row(change.connection, change.proof, name)
    if row is not None:
        change.update("person", row, password_hash=password_hash, password_changed=milliseconds(now))
    return row is not None


def set_status(change: ProvedChange, name: PersonId, status: PersonStatus) -> bool:
    """Sets a person's status. Returns whether there is such a person. Raises NotOurRow."""
    row = _person_row(change.connection, change.proof, name)
    if row is not None:
        change.update("person", row, status=status.value)
    return row is not None


def person_named(connection: Connection, proof: RowProof, name: PersonId) -> Person | None:
    """Raises NotOurRow."""
    row = _person_row(connection, proof, name)
    return _person(row) if row is not None else None


def people(connection: Connection, proof: RowProof) -> list[Person]:
    """The people whose rows hold."""
    rows = connection.execute(_PEOPLE).mappings()
    return [_person(row) for row in rows if proof.holds("person", row)]


def passwords_in_force(
    connection: Connection, proof: RowProof, names: Iterable[PersonId]
) -> dict[PersonId, str]:
    """The stored password hash of each of these people who is active and whose row holds."""
    found = connection.execute(_NAMED, {"names": list(names)}).mappings().all()
    people_found = [_person(row) for row in found if proof.holds("person", row)]
    return {each.person: each.password_hash for each in people_found if each.status is PersonStatus.ACTIVE}


def _person_row(connection: Connection, proof: RowProof, name: PersonId) -> RowMapping | None:
    row = connection.execute(_PERSON, {"name": name}).mappings().first()
    if row is not None and not proof.holds("person", row):
        raise NotOurRow("person", name)
    return row


def _person(row: RowMapping) -> Person:
    return Person(
        PersonId(row["person"]),
        PersonStatus(row["status"]),
        row["password_hash"],
        moment(row["created"]),
        moment(row["password_changed"]),
    )


# Grants


def set_grant(change: ProvedChange, grant: Grant, *, now: datetime) -> None:
    """Ends the grant that exists, and adds this one. Raises Conflict if the person or mailbox is unknown,
    NotOurRow."""
    end_grant(change, grant.person, grant.mailbox, now=now)
    change.insert(
        "access",
        {
            "id": change.connection.execute(_LAST_GRANT).scalar_one() + 1,
            "person": grant.person,
            "mailbox_id": grant.mailbox,
            "role": grant.role.value,
            "since": milliseconds(grant.since),
            "until": milliseconds(grant.until) if grant.until else None,
        },
    )


def end_grant(change: ProvedChange, name: PersonId, id_: MailboxId, *, now: datetime) -> bool:
    """Ends a person's grant on a mailbox. Returns whether there was one. Raises NotOurRow."""
    found = change.connection.execute(_GRANTS_OF[True, True], {"name": name, "mailbox": id_}).mappings().all()
    for row in found:
        if not change.proof.holds("access", row):
            raise NotOurRow("access", name)
        change.update("access", row, revoked=milliseconds(now))
    return bool(found)


def grants(
    connection: Connection,
    proof: RowProof,
    *,
    name: PersonId | None = None,
    id_: MailboxId | None = None,
    strange: list[NotOurRow] | None = None,
) -> list[Grant]:
    """The grants that were not revoked and whose rows hold, of a person, on a mailbox, or both; past and
    future ones too. Rows that do not hold are added to `strange`."""
    asked = {"name": name, "mailbox": id_}
    found = []
    for row in connection.execute(_GRANTS_OF[name is not None, id_ is not None], asked).mappings():
        if proof.holds("access", row):
            found.append(_grant(row))
        elif strange is not None:
            strange.append(NotOurRow("access", row["person"]))
    return found


def _grant(row: RowMapping) -> Grant:
    return Grant(
        person=PersonId(row["person"]),
        mailbox=MailboxId(bytes(row["mailbox_id"])),
        role=Role(row["role"]),
        since=moment(row["since"]),
        until=moment(row["until"]) if row["until"] is not None else None,
    )
