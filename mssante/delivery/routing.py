"""Who may write to whom, and where a letter goes.

Invariants: we relay for nobody: a peer writes to mailboxes of ours, our people write to the trust space; a
sender's address is proved, by the peer's certificate or by an access in force; a doubt of ours passes, it
never refuses. The directory may close an address; its silence refuses nothing (liste rouge, facts §3).
"""

from __future__ import annotations

from collections.abc import Callable

from mssante.annuaire.directory import Directory
from mssante.delivery.reception import Recipient
from mssante.keys.broker import KeyBroker
from mssante.keys.ring import Role
from mssante.limits import KIB
from mssante.mime import addresses, header
from mssante.mime.structure import Structure
from mssante.model import Address, Domain, MailboxStatus, Malformed, PersonId
from mssante.reasons import Declined, Passing, Reason, Refused
from mssante.store import MailStore
from mssante.store.records import MailboxRow
from mssante.trust.policy import VerifiedPeer
from mssante.trust.space import TrustSpace

Space = Callable[[], TrustSpace]  # the snapshot in force; raises Passing(TRUST_SPACE_STALE)


class Routing:
    """`domains` are those we are the operator of."""

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
        """Facts §1: the peer is one of those listed for the sender's domain; any listed peer for the null
        sender. Refused(DOMAIN_NOT_LISTED, DOMAIN_OF_ANOTHER_OPERATOR)."""
        peer.speaks_for(sender.domain if sender else None)

    async def local(self, address: Address, *, size: int = 0) -> Recipient:
        """The mailbox of ours at `address`, with room for `size` octets. Refused(RELAY_DENIED) for a domain
        that is not ours, Refused(MAILBOX_UNKNOWN, _CLOSED, _FULL), Passing(MAILBOX_SUSPENDED)."""
        if address.domain not in self.domains:
            raise Refused(Reason.RELAY_DENIED)
        row = await self._store.accounts.cached_mailbox(address.key)
        try:
            return _open_to(row, address, size)
        except Declined:
            if row is None:
                raise
        # What stood against it lately may not stand any more; the contrary is found when the letter is kept.
        return _open_to(await self._store.accounts.mailbox(address.key), address, size)

    # What a person of ours may do

    async def mailboxes_of(self, person: PersonId) -> frozenset[str]:
        """The keys of the addresses `person` may write from now. A mailbox that may only be read, or that
        takes no mail any more, is not one of them. Passing."""
        keys = set()
        for grant in await self._broker.grants_in_force(person):
            if grant.role is Role.FULL:
                row = await self._store.accounts.by_id(grant.mailbox)
                if row.address is not None and row.status is MailboxStatus.ACTIVE:
                    keys.add(row.address.key)
        return frozenset(keys)

    async def person_sends_from(self, person: PersonId, sender: Address | None) -> None:
        """Refused(SENDER_NOT_YOURS). The null sender is for receipts (RFC 8098 §3): the header says who."""
        if sender is not None and sender.key not in await self.mailboxes_of(person):
            raise Refused(Reason.SENDER_NOT_YOURS)

    async def person_sends_to(self, address: Address, *, size: int = 0) -> None:
        """As `local` for a mailbox of ours. Elsewhere the domain must be listed: Refused(DOMAIN_NOT_LISTED),
        or Passing(TRUST_SPACE_STALE); and the directory must not know the mailbox as closed."""
        if address.domain in self.domains:
            await self.local(address, size=size)
            return
        if not self._space().names_for(address.domain):
            raise Refused(Reason.DOMAIN_NOT_LISTED)
        try:
            entry = await self._directory.mailbox(address)
        except Passing:
            return  # C11: a directory that is down stops nobody; the receiving operator knows
        if entry is not None and entry.status is MailboxStatus.CLOSED:
            raise Refused(Reason.MAILBOX_CLOSED)


def require_author(structure: Structure, *, mine: frozenset[str]) -> None:
    """The letter says it is from mailboxes in `mine` and nobody else: its one From, and Sender if it has one.
    Refused(HEADER_FROM_MALFORMED) when that cannot be read beyond doubt, Refused(SENDER_NOT_YOURS)."""
    if structure.header_is_cut:
        raise Refused(Reason.HEADER_FROM_MALFORMED, "a header too long to be read whole")
    authors = header.values(structure.header, b"from")
    senders = header.values(structure.header, b"sender")
    if len(authors) != 1 or len(senders) > 1:  # RFC 5322 §3.6: a second one is for deceiving
        raise Refused(Reason.HEADER_FROM_MALFORMED)
    for value in (*authors, *senders):
        named = [
            entry for entry in addresses.parse(value) if entry.host is not None or entry.mailbox is not None
        ]
        if not named:
            raise Refused(Reason.HEADER_FROM_MALFORMED)
        for entry in named:
            if _address(entry).key not in mine:
                raise Refused(Reason.SENDER_NOT_YOURS)


def _address(entry: addresses.AddressEntry) -> Address:
    try:
        return Address.parse(((entry.mailbox or b"") + b"@" + (entry.host or b"")).decode("ascii"))
    except (Malformed, UnicodeDecodeError):  # a group's name is no author either
        raise Refused(Reason.HEADER_FROM_MALFORMED) from None


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
    if row.quota_kib is not None and row.used_kib + -(-max(size, 1) // KIB) > row.quota_kib:
        raise Refused(Reason.MAILBOX_FULL)
