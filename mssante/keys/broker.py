"""The key broker: it decides who may open which mailbox, and only it holds the secrets of mailboxes.

A person signs in with a password and gets a SignIn; with it the person opens a mailbox for which there is a
grant, and gets a Ring, which opens the keys of that mailbox's messages. Invariants: a ring is given only for
evidence that the broker checked itself; when a grant, a password or a person's access ends, every ring and
sign-in made from it has ended before the call returns; a right that ends while it is being checked is not
given.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from mssante.clock import Clock
from mssante.crypto import AuditPublicKey, AuditSecretKey
from mssante.crypto.keys import NotAuthentic
from mssante.crypto.passwords import WrongPassword
from mssante.crypto.statement import MailboxIdentity, MailboxStatement, SignedStatement, StatementVerifier
from mssante.database import Conflict, Database
from mssante.keys import rows
from mssante.keys.change import ProvedChange
from mssante.keys.custody import Custody, FloorKeeper, StoreAccepted
from mssante.keys.epochs import ClosedEpoch, draw_epoch, open_epoch
from mssante.keys.integrity import StoreCheck
from mssante.keys.known_pairs import KnownPairs
from mssante.keys.password_checks import PasswordChecks
from mssante.keys.proof import RowProof
from mssante.keys.ring import Grant, Ring, Role, SignIn
from mssante.keys.root_key import RootKey
from mssante.keys.rows import NotOurRow, Person, PersonStatus
from mssante.model import MailboxId, MailboxKind, PersonId, Secret
from mssante.reasons import Passing, Reason, Refused

_FIRST_EPOCH = 1


class KeyBroker:
    """Made by `start` over the key store's database. The caller closes that database after `close`."""

    def __init__(self, custody: Custody, known: KnownPairs, *, clock: Clock) -> None:
        self._custody = custody
        self._clock = clock
        self._audit = AuditSecretKey(custody.services.audit)
        self._checks = PasswordChecks(clock)
        self._known = known
        self._endings = 0  # how often a right has ended; if it changed during a check, we check again
        self._logins: weakref.WeakSet[SignIn] = weakref.WeakSet()
        self._rings: weakref.WeakSet[Ring] = weakref.WeakSet()

    @classmethod
    async def start(cls, database: Database, *, root: RootKey, clock: Clock, floor: FloorKeeper) -> KeyBroker:
        """Raises WrongRootKey, Passing. A key store that is not as we left it is in `trouble`: the broker
        starts, so that doctor can look, but opens nothing."""
        custody = await Custody.start(database, root=root, clock=clock, floor=floor)
        known = KnownPairs(database, key=custody.services.known_pairs, clock=clock)
        return cls(custody, known, clock=clock)

    def close(self) -> None:
        """Ends every ring and login."""
        self._end_people_s()
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
        return self._custody.services.dedup

    # The key store as a whole

    @property
    def trouble(self) -> str:
        """Why the key store is not believed, and what to do; "" when it is."""
        return self._custody.trouble

    @property
    def verifier(self) -> StatementVerifier:
        """Verifies what the broker signed of mailboxes. It is no secret."""
        return StatementVerifier(self._custody.signer.public)

    async def check(self) -> StoreCheck:
        """Looks at every row of people and of grants. Raises Passing."""
        return await self._custody.look()

    async def accept(self, *, dry_run: bool) -> StoreAccepted:
        """Takes the key store as it lies there, because an operator says so, and ends every session. Raises
        Refused(NOT_PERMITTED) where there is nothing to accept, Passing."""
        accepted = await self._custody.accept(dry_run=dry_run)
        if not dry_run:
            self._end_people_s()
        return accepted

    @property
    def unsettled(self) -> bool:
        """Whether mailboxes and waiting letters of before the proofs are still to be taken as they are."""
        return self._custody.unsettled

    async def sign_as_found(self, found: Sequence[MailboxStatement]) -> list[SignedStatement]:
        """Signs what an older version's mail database says of mailboxes, where the public key is the one that
        belongs to the secret half in the key store. The others are left out. Only while `unsettled`."""
        assert self.unsettled
        return await self._custody.read(lambda c, proof, strange: [*self._signed_as_found(c, found)])

    async def settle(self) -> None:
        """Ends `unsettled`. Raises Passing."""
        await self._custody.settle()

    def _signed_as_found(
        self, connection: Connection, found: Sequence[MailboxStatement]
    ) -> Iterator[SignedStatement]:
        for statement in found:
            closed = rows.newest_epoch(connection, statement.key.mailbox)
            queue = rows.is_queue(connection, statement.key.mailbox)
            if closed is None or closed.public != statement.key:
                continue
            if queue is (statement.identity.kind is MailboxKind.QUEUE) and self._is_ours(closed):
                yield self._custody.signer.sign(statement)

    def _is_ours(self, closed: ClosedEpoch) -> bool:
        """Whether an epoch opens, and its public half belongs to its secret half."""
        try:
            open_epoch(self._custody.root, closed).require_public_half()
        except NotAuthentic:
            return False
        return True

    @property
    def audit_public_key(self) -> AuditPublicKey:
        """What seals the journal: all that a process needs that receives mail."""
        return self._audit.public

    def audit_key(self) -> AuditSecretKey:
        """What opens the journal, for the operator's own commands."""
        return self._audit

    # Mailboxes

    async def create_mailbox(self, identity: MailboxIdentity) -> SignedStatement:
        """Makes the keys of a mailbox, and returns the public half that delivery seals to, signed together
        with the mailbox's address and kind. Called again, it signs the key that exists. No person may open
        the operator's own outbox. Raises Passing(KEYS_UNAVAILABLE) if the key that exists is not ours."""
        closed = draw_epoch(self._custody.root, identity.mailbox, _FIRST_EPOCH)
        queue = identity.kind is MailboxKind.QUEUE
        job = partial(rows.add_mailbox, closed=closed, queue=queue, now=self._clock.now())
        try:
            kept = await self._custody.change(job)
        except Conflict:  # another host made it between our SELECT and our INSERT
            kept = await self._custody.change(job)
        if not self._is_ours(kept):
            raise Passing(Reason.KEYS_UNAVAILABLE, "the mailbox's epoch does not open")
        return self._custody.signer.sign(MailboxStatement(identity, kept.public))

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
        await self._custody.change(job)

    async def change_password(self, person: PersonId, password: Secret) -> None:
        """Sets a new password and ends every session of the person. Raises Refused(NOT_PERMITTED) if the
        person is unknown, ValueError."""
        job = partial(
            rows.set_password,
            name=person,
            password_hash=await self._checks.hashed(password),
            now=self._clock.now(),
        )
        known = await self._custody.change(job)
        self._end_sessions(person)
        _require(known)

    async def suspend(self, person: PersonId) -> None:
        """Ends every session of a person, who cannot sign in again until `resume`. Raises
        Refused(NOT_PERMITTED) if the person is unknown."""
        known = await self._custody.change(
            partial(rows.set_status, name=person, status=PersonStatus.SUSPENDED)
        )
        self._end_sessions(person)
        _require(known)

    async def resume(self, person: PersonId) -> None:
        """Lets a suspended person sign in again. Raises Refused(NOT_PERMITTED) if the person is unknown."""
        _require(
            await self._custody.change(partial(rows.set_status, name=person, status=PersonStatus.ACTIVE))
        )

    async def people(self) -> list[Person]:
        """All people, in the order of their names."""
        return await self._custody.read(lambda c, proof, strange: rows.people(c, proof))

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

        def job(change: ProvedChange) -> None:
            _require(rows.is_queue(change.connection, mailbox) is False)
            _require(rows.person_named(change.connection, change.proof, person) is not None)
            rows.set_grant(change, given, now=now)

        await self._custody.change(job)
        self._end_rings(person, mailbox)
        return given

    async def revoke(self, person: PersonId, mailbox: MailboxId) -> None:
        """Ends a person's access to a mailbox, and its sessions at once. Raises Refused(NOT_PERMITTED) if
        there was no such access."""
        there_was = await self._custody.change(
            partial(rows.end_grant, name=person, id_=mailbox, now=self._clock.now())
        )
        self._end_rings(person, mailbox)
        _require(there_was)

    async def grants_of(self, person: PersonId) -> list[Grant]:
        """A person's grants that were not revoked. Some may be past or future: ask each if it is
        `in_force`."""
        return await self._grants(name=person)

    async def grants_in_force(self, person: PersonId) -> list[Grant]:
        """A person's grants that open a mailbox now."""
        now = self._clock.now()
        return [grant for grant in await self.grants_of(person) if grant.in_force(now)]

    async def people_of(self, mailbox: MailboxId) -> list[Grant]:
        """The grants on a mailbox that were not revoked. Some may be past or future, as in `grants_of`."""
        return await self._grants(id_=mailbox)

    async def _grants(self, *, name: PersonId | None = None, id_: MailboxId | None = None) -> list[Grant]:
        return await self._custody.read(
            lambda c, proof, strange: rows.grants(c, proof, name=name, id_=id_, strange=strange)
        )

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
        Passing when too many checks are waiting, or for a person whose row is not ours."""
        known = await self._known.has(person, remote) if remote else False
        while True:
            seen = self._endings
            found = await self._custody.read(lambda c, proof, strange: rows.person_named(c, proof, person))
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
            granted, closed = await self._custody.read(
                lambda c, proof, strange: (
                    rows.grants(c, proof, name=login.person, id_=mailbox, strange=strange),
                    rows.closed_epochs(c, mailbox),
                )
            )
            if not granted or not granted[0].in_force(self._clock.now()):
                raise Refused(Reason.NOT_PERMITTED)
            if seen == self._endings:
                return self._ring(mailbox, closed, login=login, grant=granted[0])

    async def open_queue(self, mailbox: MailboxId) -> Ring:
        """Opens the operator's own outbox, also while the key store is in trouble: what waits to be sent goes
        on. Raises Refused(NOT_PERMITTED) for any other mailbox."""
        queue, closed = await self._custody.read_keys(
            lambda c: (rows.is_queue(c, mailbox), rows.closed_epochs(c, mailbox))
        )
        _require(queue is True)
        return self._ring(mailbox, closed, login=None, grant=None)

    async def recheck(self) -> None:
        """Ends the sign-ins and rings whose right another process has ended, and all of them when the key
        store is not the one we left. To be called every few seconds. Raises Passing."""
        if not self._custody.trouble:
            await self._end_what_others_ended()
            await self._custody.watch()
        if self._custody.trouble:
            self._end_people_s()

    async def _end_what_others_ended(self) -> None:
        logins, rings = list(self._logins), [ring for ring in self._rings if ring.grant]
        names = {login.person for login in logins}

        def in_force(
            connection: Connection, proof: RowProof, strange: list[NotOurRow]
        ) -> tuple[dict[PersonId, str], set[Grant]]:
            given: set[Grant] = set()
            for name in names:
                given.update(rows.grants(connection, proof, name=name, strange=strange))
            return rows.passwords_in_force(connection, proof, names), given

        evidence, granted = await self._custody.read(in_force)
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
            epochs = {each.public.epoch: open_epoch(self._custody.root, each) for each in closed}
        except NotAuthentic:
            epochs = {}
        if not epochs:
            raise Passing(Reason.KEYS_UNAVAILABLE, "the mailbox's epochs do not open")
        ring = Ring(mailbox, epochs, clock=self._clock, login=login, grant=grant)
        self._rings.add(ring)
        return ring

    def _end_people_s(self) -> None:
        """Ends every login and every ring but the outbox's, which rests on no row of people or of grants."""
        self._endings += 1
        for login in list(self._logins):
            login.alive = False
        for ring in [ring for ring in self._rings if ring.grant]:
            ring.close()

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
