"""The key broker: it decides who may open which mailbox, and only it holds the secrets of mailboxes.

A person signs in with a password and gets a SignIn; with it the person opens a mailbox for which there is a
grant, and gets a Ring, which opens the keys of that mailbox's messages. Invariants: a ring is given only for
evidence that the broker checked itself; when a grant, a password or a person's access ends, every ring and
sign-in made from it has ended before the call returns; a right that ends while it is being checked is not
given.
"""

from __future__ import annotations

import weakref
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from mssante.clock import Clock
from mssante.crypto import AuditPublicKey, AuditSecretKey
from mssante.crypto.envelope import PublicKey
from mssante.crypto.keys import NotAuthentic
from mssante.crypto.passwords import WrongPassword
from mssante.database import Conflict, Database
from mssante.keys import rows, store
from mssante.keys.epochs import ClosedEpoch, draw_epoch, open_epoch
from mssante.keys.known_pairs import KnownPairs
from mssante.keys.password_checks import PasswordChecks
from mssante.keys.ring import Grant, Ring, Role, SignIn
from mssante.keys.root_key import RootKey
from mssante.keys.rows import Person, PersonStatus
from mssante.model import MailboxId, PersonId, Secret
from mssante.reasons import Passing, Reason, Refused

_FIRST_EPOCH = 1


class KeyBroker:
    """Made by `start` over the key store's database. The caller closes that database after `close`."""

    def __init__(
        self,
        database: Database,
        *,
        root: RootKey,
        clock: Clock,
        dedup_key: bytes,
        known_key: bytes,
        audit_seed: bytes,
    ) -> None:
        self._database = database
        self._root = root
        self._clock = clock
        self._dedup_key = dedup_key
        self._audit = AuditSecretKey(audit_seed)
        self._checks = PasswordChecks(clock)
        self._known = KnownPairs(database, key=known_key, clock=clock)
        self._endings = 0  # how often a right has ended; if it changed during a check, we check again
        self._logins: weakref.WeakSet[SignIn] = weakref.WeakSet()
        self._rings: weakref.WeakSet[Ring] = weakref.WeakSet()

    @classmethod
    async def start(cls, database: Database, *, root: RootKey, clock: Clock) -> KeyBroker:
        """Raises WrongRootKey, Passing."""

        def prepare(connection: Connection) -> tuple[bytes, bytes, bytes]:
            store.prove_root_key(connection, root, now=clock.now())
            return (
                store.service_key_named(connection, root, "dedup"),
                store.service_key_named(connection, root, "known-pairs"),
                store.service_key_named(connection, root, "audit"),
            )

        dedup, known, audit = await database.write(prepare)
        return cls(database, root=root, clock=clock, dedup_key=dedup, known_key=known, audit_seed=audit)

    def close(self) -> None:
        """Ends every ring and login."""
        for login in list(self._logins):
            login.alive = False
        for ring in list(self._rings):
            ring.close()
        self._checks.close()

    @property
    def now(self) -> datetime:
        """The time by which grants are judged."""
        return self._clock.now()

    def dedup_key(self) -> bytes:
        """32 bytes: the key of the HMAC by which reception recognises what it already accepted. A hash
        without a key would let whoever reads the database confirm a guess."""
        return self._dedup_key

    @property
    def audit_public_key(self) -> AuditPublicKey:
        """What seals the journal: all that a process needs that receives mail."""
        return self._audit.public

    def audit_key(self) -> AuditSecretKey:
        """What opens the journal, for the operator's own commands."""
        return self._audit

    # Mailboxes

    async def create_mailbox(self, mailbox: MailboxId, *, queue: bool = False) -> PublicKey:
        """Makes the keys of a mailbox, and returns the public half that delivery seals to. Called again, it
        returns the key that exists. `queue` is for the operator's own outbox, which no person may open."""
        closed = draw_epoch(self._root, mailbox, _FIRST_EPOCH)
        job = partial(rows.add_mailbox, closed=closed, queue=queue, now=self._clock.now())
        try:
            return await self._database.write(job)
        except Conflict:  # another host made it between our SELECT and our INSERT
            return await self._database.write(job)

    async def public_key(self, mailbox: MailboxId) -> PublicKey:
        """The public key of a mailbox's newest epoch. Raises Refused(MAILBOX_UNKNOWN)."""
        key = await self._database.read(lambda connection: rows.newest_public_key(connection, mailbox))
        if key is None:
            raise Refused(Reason.MAILBOX_UNKNOWN)
        return key

    # People

    async def create_person(self, person: PersonId, password: Secret) -> None:
        """Adds a person. Raises Conflict if the name is taken, ValueError for an empty or too long password,
        Passing."""
        job = partial(
            rows.add_person,
            name=person,
            password_hash=await self._checks.hashed(password),
            now=self._clock.now(),
        )
        await self._database.write(job)

    async def change_password(self, person: PersonId, password: Secret) -> None:
        """Sets a new password and ends every session of the person. Raises Refused(NOT_PERMITTED) if the
        person is unknown, ValueError."""
        job = partial(
            rows.set_password,
            name=person,
            password_hash=await self._checks.hashed(password),
            now=self._clock.now(),
        )
        known = await self._database.write(job)
        self._end_sessions(person)
        _require(known)

    async def suspend(self, person: PersonId) -> None:
        """Ends every session of a person, who cannot sign in again until `resume`. Raises
        Refused(NOT_PERMITTED) if the person is unknown."""
        known = await self._database.write(
            partial(rows.set_status, name=person, status=PersonStatus.SUSPENDED)
        )
        self._end_sessions(person)
        _require(known)

    async def resume(self, person: PersonId) -> None:
        """Lets a suspended person sign in again. Raises Refused(NOT_PERMITTED) if the person is unknown."""
        _require(
            await self._database.write(partial(rows.set_status, name=person, status=PersonStatus.ACTIVE))
        )

    async def people(self) -> list[Person]:
        """All people, in the order of their names."""
        return await self._database.read(rows.people)

    # Grants

    async def grant(
        self,
        person: PersonId,
        mailbox: MailboxId,
        role: Role = Role.FULL,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Grant:
        """Gives a person access to a mailbox. It replaces the grant that the person had there, whose sessions
        end. `since` None means now. Raises Refused(NOT_PERMITTED) for an unknown person or mailbox, or the
        operator's outbox."""
        now = self._clock.now()
        given = Grant(person=person, mailbox=mailbox, role=role, since=since or now, until=until)

        def job(connection: Connection) -> None:
            _require(rows.is_queue(connection, mailbox) is False)
            _require(rows.person_named(connection, person) is not None)
            rows.set_grant(connection, given, now=now)

        await self._database.write(job)
        self._end_rings(person, mailbox)
        return given

    async def revoke(self, person: PersonId, mailbox: MailboxId) -> None:
        """Ends a person's access to a mailbox, and its sessions at once. Raises Refused(NOT_PERMITTED) if
        there was no such access."""
        there_was = await self._database.write(
            partial(rows.end_grant, name=person, id_=mailbox, now=self._clock.now())
        )
        self._end_rings(person, mailbox)
        _require(there_was)

    async def grants_of(self, person: PersonId) -> list[Grant]:
        """A person's grants that were not revoked. Some may be past or future: ask each if it is
        `in_force`."""
        return await self._database.read(partial(rows.grants, name=person))

    async def grants_in_force(self, person: PersonId) -> list[Grant]:
        """A person's grants that open a mailbox now."""
        now = self._clock.now()
        return [grant for grant in await self.grants_of(person) if grant.in_force(now)]

    async def people_of(self, mailbox: MailboxId) -> list[Grant]:
        """The grants on a mailbox that were not revoked. Some may be past or future, as in `grants_of`."""
        return await self._database.read(partial(rows.grants, id_=mailbox))

    # Evidence, and what is given for it

    async def knows(self, person: PersonId, remote: str) -> bool:
        """Whether the person has signed in from this address before. Raises Passing."""
        return await self._known.has(person, remote)

    @property
    def checks_pending(self) -> int:
        """How many password checks are under way or waiting."""
        return self._checks.pending

    async def authenticate(self, person: PersonId, password: Secret, *, remote: str = "") -> SignIn:
        """Checks a password given from the address `remote`, and keeps that it was right there. Raises
        Refused(AUTHENTICATION_FAILED), which is the same answer after the same time whatever the cause, and
        Passing when too many checks are waiting."""
        known = await self._known.has(person, remote) if remote else False
        while True:
            seen = self._endings
            found = await self._database.read(lambda connection: rows.person_named(connection, person))
            try:
                stored = found.password_hash if found else None
                await self._checks.verify(password, stored, remote=remote, known=known)
            except WrongPassword:
                raise Refused(Reason.AUTHENTICATION_FAILED) from None
            if found is None or found.status is not PersonStatus.ACTIVE:
                raise Refused(Reason.AUTHENTICATION_FAILED)
            if remote:
                await self._known.add(person, remote)
            if seen == self._endings:
                login = SignIn(person, evidence=found.password_hash)
                self._logins.add(login)
                return login

    async def open(self, login: SignIn, mailbox: MailboxId) -> Ring:
        """Opens a mailbox for a person who signed in. Raises Refused(NOT_PERMITTED) without a grant in force,
        Passing(KEYS_UNAVAILABLE) if the secrets in the key store do not open."""
        while True:
            seen = self._endings
            if login not in self._logins or not login.alive:
                raise Refused(Reason.NOT_PERMITTED)
            granted, closed = await self._database.read(
                lambda connection: (
                    rows.grants(connection, name=login.person, id_=mailbox),
                    rows.closed_epochs(connection, mailbox),
                )
            )
            if not granted or not granted[0].in_force(self._clock.now()):
                raise Refused(Reason.NOT_PERMITTED)
            if seen == self._endings:
                return self._ring(mailbox, closed, login=login, grant=granted[0])

    async def open_queue(self, mailbox: MailboxId) -> Ring:
        """Opens the operator's own outbox. Raises Refused(NOT_PERMITTED) for any other mailbox."""
        queue, closed = await self._database.read(
            lambda connection: (
                rows.is_queue(connection, mailbox),
                rows.closed_epochs(connection, mailbox),
            )
        )
        _require(queue is True)
        return self._ring(mailbox, closed, login=None, grant=None)

    async def recheck(self) -> None:
        """Ends the sign-ins and rings whose right another process has ended. To be called every few seconds
        where several hosts share one PostgreSQL. Raises Passing."""
        logins, rings = list(self._logins), [ring for ring in self._rings if ring.grant]
        names = {login.person for login in logins}
        evidence, granted = await self._database.read(
            lambda connection: (
                rows.passwords_in_force(connection, names),
                {grant for name in names for grant in rows.grants(connection, name=name)},
            )
        )
        for login in logins:
            if evidence.get(login.person) != login.evidence:
                login.alive = False
                self._logins.discard(login)
        for ring in rings:
            if ring.grant not in granted:
                ring.close()

    def _ring(
        self, mailbox: MailboxId, closed: list[ClosedEpoch], *, login: SignIn | None, grant: Grant | None
    ) -> Ring:
        try:
            epochs = {each.public.epoch: open_epoch(self._root, each) for each in closed}
        except NotAuthentic:
            epochs = {}
        if not epochs:
            raise Passing(Reason.KEYS_UNAVAILABLE, "the mailbox's epochs do not open")
        ring = Ring(mailbox, epochs, clock=self._clock, login=login, grant=grant)
        self._rings.add(ring)
        return ring

    def _end_sessions(self, person: PersonId) -> None:
        self._endings += 1
        for login in [login for login in self._logins if login.person == person]:
            login.alive = False
            self._logins.discard(login)
        for ring in [ring for ring in self._rings if ring.person == person]:
            ring.close()

    def _end_rings(self, person: PersonId, mailbox: MailboxId) -> None:
        self._endings += 1
        for ring in [ring for ring in self._rings if (ring.person, ring.mailbox) == (person, mailbox)]:
            ring.close()


def _require(condition: bool) -> None:
    if not condition:
        raise Refused(Reason.NOT_PERMITTED)
