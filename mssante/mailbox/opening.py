"""From a login to an open mailbox.

Invariants: a mailbox is opened by a grant in force and by nothing else; one session opens one mailbox;
a refusal is the same whether the person, the password, the mailbox or the grant is wrong. There is one
exception: someone who gave the right password, but whose grants have all expired, is told that.
"""

from __future__ import annotations

from mssante.keys.broker import KeyBroker
from mssante.keys.ring import Ring, Role
from mssante.model import Address, MailboxId, MailboxKind, Malformed, PersonId, Secret, user_parts
from mssante.reasons import Reason, Refused
from mssante.store import MailStore
from mssante.store.records import MailboxRow


class OpenMailbox:
    """A mailbox and the ring that opens it, for one session of one person."""

    __slots__ = ("person", "ring", "row", "store")

    def __init__(self, *, store: MailStore, row: MailboxRow, ring: Ring, person: PersonId) -> None:
        self.store = store
        self.row = row
        self.ring = ring
        self.person = person

    @property
    def id(self) -> MailboxId:
        return self.row.id

    @property
    def read_only(self) -> bool:
        """Whether the grant allows reading only, and no change."""
        return self.ring.role is Role.READ

    def require_writable(self) -> None:
        """Raises Refused(NOT_PERMITTED) for a grant that only reads."""
        if self.read_only:
            raise Refused(Reason.NOT_PERMITTED, "a grant to read")

    def close(self) -> None:
        """Forgets the keys."""
        self.ring.close()


async def sign_in(
    *, store: MailStore, broker: KeyBroker, user: str, password: Secret, remote: str
) -> OpenMailbox:
    """Checks the password, given from the address `remote`, and opens the mailbox that the user name means.
    That is the one named after the `/`; without a `/`, the one whose address is the login; else the person's
    own mailbox (PER), or the first one granted.

    Raises Refused(AUTHENTICATION_FAILED), Refused(ACCESS_EXPIRED), Passing."""
    person, wanted = user_parts(user)
    login = await broker.authenticate(person, password, remote=remote)
    await _require_access(broker, person)
    rows = [await store.accounts.by_id(grant.mailbox) for grant in await broker.grants_in_force(person)]
    row = _chosen(rows, person, wanted)
    try:
        ring = await broker.open(login, row.id)
    except Refused:
        raise Refused(Reason.AUTHENTICATION_FAILED, "no grant in force") from None
    return OpenMailbox(store=store, row=row, ring=ring, person=person)


async def _require_access(broker: KeyBroker, person: PersonId) -> None:
    """Raises Refused(ACCESS_EXPIRED) when all the person's grants have run out."""
    grants = await broker.grants_of(person)
    if grants and all(grant.until is not None and grant.until <= broker.now for grant in grants):
        raise Refused(Reason.ACCESS_EXPIRED)


def _chosen(rows: list[MailboxRow], person: PersonId, wanted: str | None) -> MailboxRow:
    def key_of(text: str) -> str | None:
        try:
            return Address.parse(text).key
        except Malformed:
            return None

    key = key_of(wanted if wanted is not None else person)
    for row in rows:
        if key is not None and row.address is not None and row.address.key == key:
            return row
    if wanted is not None or not rows:
        raise Refused(Reason.AUTHENTICATION_FAILED, "no such mailbox for this person")
    own = [row for row in rows if row.kind is MailboxKind.PER]
    return (own or rows)[0]
