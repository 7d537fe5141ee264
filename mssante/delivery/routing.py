"""Who may write to whom, and where a letter goes.

Invariants: we relay for nobody: a peer may write only to mailboxes of ours, and our users only to domains of
the trust space; the right to a sender's address is proved, by the peer's certificate or by an access that is
in force; when we are in doubt the answer is Passing and never a refusal. A letter is refused if the directory
says that the mailbox is closed, but not if the directory does not know it (liste rouge, facts §3).
"""

from __future__ import annotations

from collections.abc import Callable

from mssante.annuaire.directory import Directory
from mssante.delivery.reception import Recipient
from mssante.keys.broker import KeyBroker
from mssante.keys.ring import Role
from mssante.model import Address, Domain, MailboxStatus, PersonId
from mssante.reasons import Declined, Passing, Reason, Refused
from mssante.sealing import kept_kib
from mssante.store import MailStore
from mssante.store.records import MailboxRow
from mssante.trust.policy import VerifiedPeer
from mssante.trust.space import TrustSpace

Space = Callable[[], TrustSpace]  # gives the snapshot in force; raises Passing(TRUST_SPACE_STALE)


class Routing:
    """`domains` are those whose operator we are."""

    def __init__(
        self,
        *,
        domains: frozenset[Domain],
        store: MailStore,
        broker: KeyBroker,
        directory: Directory,
        space: Space,
    ) -> None:
        self.domains = domains
        self._store = store
        self._broker = broker
        self._directory = directory
        self._space = space

    # What a peer may do

    def peer_sends_from(self, peer: VerifiedPeer, sender: Address | None) -> None:
        """Returns when the peer is listed for the sender's domain (facts §1); any listed peer may use the
        null sender. Raises Refused(DOMAIN_NOT_LISTED, DOMAIN_OF_ANOTHER_OPERATOR)."""
        peer.speaks_for(sender.domain if sender else None)

    def knows(self, domain: Domain) -> bool:
        """Whether the domain is ours, or listed."""
        return domain in self.domains or bool(self._space().names_for(domain))

    async def local(self, address: Address, *, size: int = 0) -> Recipient:
        """The mailbox of ours at `address`, if it has room for `size` octets. Raises Refused(RELAY_DENIED)
        for a domain that is not ours, Refused(MAILBOX_UNKNOWN, _CLOSED, _FULL) or Passing(MAILBOX_SUSPENDED).
        """
        if address.domain not in self.domains:
            raise Refused(Reason.RELAY_DENIED)
        row = await self._store.accounts.cached_mailbox(address.key)
        try:
            return _open_to(row, address, size)
        except Declined:
            if row is None:
                raise
        # The cached row says no, but that may have changed, so we ask the database. A cached row that says
        # yes and is out of date does no harm: it is noticed when the letter is kept.
        return _open_to(await self._store.accounts.mailbox(address.key), address, size)

    # What a person of ours may do

    async def mailboxes_of(self, person: PersonId) -> frozenset[str]:
        """The keys of the addresses from which `person` may write now. A mailbox that the person may only
        read, or that is not active, is not one of them. Raises Passing."""
        keys = set()
        for grant in await self._broker.grants_in_force(person):
            if grant.role is Role.FULL:
                row = await self._store.accounts.by_id(grant.mailbox)
                if row.address is not None and row.status is MailboxStatus.ACTIVE:
                    keys.add(row.address.key)
        return frozenset(keys)

    async def person_sends_from(self, person: PersonId, sender: Address | None) -> None:
        """Raises Refused(SENDER_NOT_YOURS). The null sender is allowed, because receipts need it
        (RFC 8098 §3); the header then says who writes."""
        if sender is not None and sender.key not in await self.mailboxes_of(person):
            raise Refused(Reason.SENDER_NOT_YOURS)

    async def person_sends_to(self, address: Address, *, size: int = 0) -> None:
        """For a mailbox of ours, the same as `local`. Otherwise the domain must be listed, or this raises
        Refused(DOMAIN_NOT_LISTED) or Passing(TRUST_SPACE_STALE); and the directory must not say that the
        mailbox is closed."""
        if address.domain in self.domains:
            await self.local(address, size=size)
            return
        if not self._space().names_for(address.domain):
            raise Refused(Reason.DOMAIN_NOT_LISTED)
        try:
            entry = await self._directory.mailbox(address)
        except Passing:
            return  # C11: a directory that is down stops nobody, since the receiving operator checks again
        if entry is not None and entry.status is MailboxStatus.CLOSED:
            raise Refused(Reason.MAILBOX_CLOSED)


def _open_to(row: MailboxRow | None, address: Address, size: int) -> Recipient:
    if row is None:
        raise Refused(Reason.MAILBOX_UNKNOWN)
    match row.status:
        case MailboxStatus.CLOSED:
            raise Refused(Reason.MAILBOX_CLOSED)
        case MailboxStatus.SUSPENDED:
            raise Passing(Reason.MAILBOX_SUSPENDED)
        case MailboxStatus.ACTIVE:
            _require_room(row, size)
    return Recipient(row.id, address)


def _require_room(row: MailboxRow, size: int) -> None:
    if not row.has_room(kept_kib(size)):
        raise Refused(Reason.MAILBOX_FULL)
