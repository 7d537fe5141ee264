"""The one way in: a message from a peer, from one of ours, or from our own queue, kept whole or not at all.

Invariants: `commit` returns only after the one transaction that keeps message, keys, places, queue and
journal; whatever else happens nothing is kept; plaintext is never held beyond what is being sealed; the
same message committed again is a duplicate, and changes nothing (dedup key, project format).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mssante import limits
from mssante.clock import Clock
from mssante.crypto import PublicKey
from mssante.crypto.keys import mac
from mssante.delivery.route import Route, destination_tag, seal_address
from mssante.keys.broker import KeyBroker
from mssante.mime import header
from mssante.mime.received import received, return_path
from mssante.mime.structure import Structure
from mssante.model import Address, MailboxId, MessageSource, PeerIdentity, PersonId, SpecialUse
from mssante.observe.events import MessageAccepted, report
from mssante.reasons import Passing, Reason, Refused
from mssante.sealing import Blob, Blobs, MessageSealer, Sealed, deposit
from mssante.store import MailStore
from mssante.store.records import Acceptance, Deposit, Outbound, QueueRecipientNew

_FEED_OCTETS = limits.CHUNK_OCTETS
# What can be wrong with one of several mailboxes while the others are fine.
_OF_ONE_MAILBOX = {Reason.MAILBOX_FULL, Reason.MAILBOX_CLOSED, Reason.MAILBOX_UNKNOWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """How a message came to us: for its Received field and for the journal. `detail` holds what proves the
    right to send it (list, revocation list), never anything of the content."""

    source: MessageSource
    helo: str = ""
    remote: str = ""
    tls_version: str | None = None
    peer: PeerIdentity | None = None
    person: PersonId | None = None
    detail: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipient:
    """A mailbox of ours and the address it was called by."""

    mailbox: MailboxId
    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The message is kept. `id` is ours, hexadecimal; `duplicate` says it was kept before (a retry)."""

    id: str
    duplicate: bool


class Reception:
    """`hostname` is our name in trace fields; `queue` the mailbox of the outbox."""

    def __init__(
        self, *, store: MailStore, broker: KeyBroker, queue: MailboxId, clock: Clock, hostname: str
    ) -> None:
        self.store = store
        self.clock = clock
        self.hostname = hostname
        self.queue = queue
        self.secret = broker.dedup_key()

    async def deposit(
        self,
        *,
        sender: Address | None,
        recipients: Sequence[Recipient],
        trace: Trace,
        once: bytes | None = None,
    ) -> Intake:
        """A message for mailboxes of ours, into their INBOX. `once` names the delivery when its content does
        not (a retry of ours). Raises Passing."""
        distinct = {each.mailbox: each for each in recipients}
        keys = [await self.store.accounts.public_key(mailbox) for mailbox in distinct]
        plan = _Plan(
            trace=trace, sender=sender, addresses=tuple(r.address for r in distinct.values()), once=once
        )
        return Intake(self, plan, keys, return_path(sender))

    async def enqueue(
        self,
        *,
        sender: Address | None,
        recipients: Sequence[Address],
        trace: Trace,
        inspect: Callable[[Structure], None] = lambda _: None,
    ) -> Intake:
        """A message of one of ours, into the queue. `inspect` sees what it is made of before it is kept, and
        raises Refused to keep it out. Raises Passing."""
        distinct = {each.key: each for each in recipients}
        plan = _Plan(
            trace=trace, sender=sender, addresses=tuple(distinct.values()), queued=True, inspect=inspect
        )
        return Intake(self, plan, [await self.store.accounts.public_key(self.queue)], b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    trace: Trace
    sender: Address | None
    addresses: tuple[Address, ...]
    once: bytes | None = None
    queued: bool = False
    inspect: Callable[[Structure], None] = lambda _: None


class Intake:
    """One message flowing in: `write` its octets (canonical CRLF is the caller's duty), then `commit` or
    `abort`, once. `commit` keeps it wholly, or raises and leaves nothing; neither `write` nor `abort` follows
    it, and the caller runs it to its end whatever ends its conversation."""

    def __init__(self, reception: Reception, plan: _Plan, keys: Sequence[PublicKey], first: bytes) -> None:
        self._reception = reception
        self._plan = plan
        self._keys = keys
        self._now = reception.clock.now()
        self._sealer = MessageSealer(keys[0])
        self._blobs = Blobs(reception.store)
        self._blob = self._blobs.open(self._sealer.blob_id)
        self._digest = hashlib.sha256()
        self._eight_bit = False
        self._announced = reception.store.announce()
        flowed = self._sealer.feed(first + self._received())
        assert not flowed, "our trace fields are shorter than a chunk"

    @property
    def id(self) -> str:
        """Our hexadecimal name of the message, as in its Received field and in events."""
        return self._sealer.message_id.hex()

    async def write(self, octets: bytes) -> None:
        """Raises Passing when the database cannot take them."""
        self._digest.update(octets)
        self._eight_bit = self._eight_bit or not octets.isascii()
        for start in range(0, len(octets), _FEED_OCTETS):
            sealed = self._sealer.feed(octets[start : start + _FEED_OCTETS])
            if sealed:
                await self._blobs.add(self._blob, sealed)

    async def commit(self) -> Receipt:
        """Refused(LOOP_DETECTED), or what `inspect` says; Refused or Passing of the mailboxes; Passing of the
        database: then nothing is kept."""
        plan = self._plan
        try:
            acceptance = await self._acceptance()
        except BaseException:
            await self.abort()
            raise
        # From here on what flowed is not abandoned by us: the store does it when it declines, and when nobody
        # can tell what the database did, the message may be kept (the sweep takes what is not).
        try:
            accepted = await self._reception.store.accept(acceptance, self._announced)
        except Refused as refused:
            if refused.reason in _OF_ONE_MAILBOX and len(self._keys) > 1:
                # One of several mailboxes: the peer comes back, and hears at RCPT which one it is.
                raise Passing(refused.reason, refused.detail) from refused
            raise
        finally:
            self._announced.withdraw()
        report(
            MessageAccepted(
                message=self.id,
                source=plan.trace.source,
                dn=plan.trace.peer.dn if plan.trace.peer else "",
                bytes=self._sealer.size,
                recipients=len(plan.addresses),
                duplicate=accepted.duplicate,
            )
        )
        return Receipt(id=self.id, duplicate=accepted.duplicate)

    async def abort(self) -> None:
        """Leaves nothing. Never raises: what cannot be taken away now is unreadable, and swept later."""
        self._announced.withdraw()
        try:
            await self._blobs.abandon()
        except Passing:
            pass

    def _received(self) -> bytes:
        """RFC 5321 §4.4. Our own queue is no hop."""
        trace = self._plan.trace
        if trace.source is MessageSource.QUEUE:
            return b""
        return received(
            helo=trace.helo,
            remote_address=trace.remote,
            by=self._reception.hostname,
            protocol="ESMTPSA" if trace.source is MessageSource.SUBMISSION else "ESMTPS",  # RFC 3848
            id=self.id,
            at=self._now,
            tls_version=trace.tls_version,
            peer_name=trace.peer.dn if trace.peer else None,
        )

    async def _copied(self, key: PublicKey) -> tuple[Sealed, Blob]:
        """The same message for a further mailbox, under a DEK of its own; chunk by chunk."""
        copy = self._sealer.copy(key)
        blob = self._blobs.open(copy.sealed.blob_id)
        async for chunk in self._blobs.chunks(self._blob):
            await self._blobs.add(blob, copy.feed(chunk))
        await self._blobs.add(blob, [copy.finish()])
        await asyncio.sleep(0)  # a message for many takes its turn with the others
        return copy.sealed, blob

    async def _acceptance(self) -> Acceptance:
        plan = self._plan
        sealed, last = self._sealer.finish(internal_date=self._now)
        if self._sealer.structure.hops > limits.RECEIVED_HOPS_MAX:
            raise Refused(Reason.LOOP_DETECTED)
        plan.inspect(self._sealer.structure)
        await self._blobs.add(self._blob, [last])
        kept = [(sealed, self._blob)]
        for key in self._keys[1:]:
            kept.append(await self._copied(key))
        folder = None if plan.queued else SpecialUse.INBOX
        deposits = tuple(deposit(each, blob, folder) for each, blob in kept)
        return Acceptance(
            dedup_key=self._dedup_key(),
            deposits=() if plan.queued else deposits,
            outbound=self._outbound(deposits[0]) if plan.queued else None,
            journal_detail=self._journal_detail(),
        )

    def _outbound(self, deposit: Deposit) -> Outbound:
        dek, message = self._sealer.dek, self._sealer.message_id
        route = Route(sender=self._plan.sender, size=self._sealer.size, eight_bit=self._eight_bit)
        due = int(self._now.timestamp())
        return Outbound(
            deposit=deposit,
            envelope_ct=route.seal(dek, message),
            recipients=tuple(
                QueueRecipientNew(
                    destination_tag=destination_tag(self._reception.secret, address.domain),
                    address_ct=seal_address(dek, message, address),
                    next_at=due,
                )
                for address in self._plan.addresses
            ),
        )

    def _dedup_key(self) -> bytes | None:
        """None when a message cannot be told from another like it: a person may send the same words twice,
        and only a Message-ID says that it is one letter."""
        plan, secret = self._plan, self._reception.secret
        if plan.once is not None:
            return mac(secret, b"once\0" + plan.once)
        if plan.trace.person is not None and not header.values(self._sealer.structure.header, b"message-id"):
            return None
        who = plan.trace.peer.dn if plan.trace.peer else plan.trace.person or ""
        # For mailboxes of ours the store tells recipients apart: a peer's retry may name only some of them.
        addresses = sorted(address.key for address in plan.addresses) if plan.queued else []
        told = (plan.trace.source.value, who, str(plan.sender or ""), *addresses)
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in (text.encode() for text in told))
        return mac(secret, b"message\0" + framed + self._digest.digest())

    def _journal_detail(self) -> str:
        trace = self._plan.trace
        detail: dict[str, str | int] = dict(trace.detail)
        if trace.peer is not None:
            detail["peer"] = trace.peer.fingerprint
        elif trace.person is not None:
            detail["person"] = trace.person
        return json.dumps({"source": trace.source.value, **detail}, separators=(",", ":"), sort_keys=True)
