"""Takes in every message, from a peer, from a user of ours or from our queue, and keeps all of it or nothing.

Invariants: `commit` returns only after the one transaction that stores the message with its keys, its places
in folders, its queue entries and the journal; in every other case nothing is kept; only the chunk being
sealed is ever held in clear; committing the same message again is recognised as a duplicate and changes
nothing (store.dedup), except that a peer's letter which its reader has expunged is kept again.
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
from mssante.delivery.authors import HeaderJudge, unmarked
from mssante.delivery.route import (
    Route,
    destination_tag,
    person_tag,
    route_proof,
    seal_address,
    sender_tag,
)
from mssante.keys.broker import KeyBroker
from mssante.mime import header
from mssante.mime.received import received, return_path
from mssante.mime.structure import Structure
from mssante.model import Address, MailboxId, MessageSource, PeerIdentity, PersonId, SpecialUse
from mssante.observe.event import report
from mssante.observe.events import MessageAccepted, MessageNoted
from mssante.observe.terms import Oddity
from mssante.reasons import Passing, Reason, Refused
from mssante.sealing import Blob, Blobs, MessageSealer, Sealed, deposit
from mssante.store import MailStore
from mssante.store.records import Acceptance, Deposit, Outbound, QueueRecipientNew
from mssante.trust.names import DistinguishedName

_FEED_OCTETS = limits.CHUNK_OCTETS
# Reasons that may hold for one mailbox while the other mailboxes of the message are fine.
_OF_ONE_MAILBOX = {Reason.MAILBOX_FULL, Reason.MAILBOX_CLOSED, Reason.MAILBOX_UNKNOWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """How a message came to us, for its Received field and for the journal. `detail` names the evidence on
    which it was allowed (which list, which revocation list) and never holds anything of the content."""

    source: MessageSource
    helo: str = ""
    remote: str = ""
    tls_version: str | None = None
    peer: PeerIdentity | None = None
    person: PersonId | None = None
    detail: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipient:
    """A mailbox of ours, and the address by which it was named."""

    mailbox: MailboxId
    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Says that the message is kept. `id` is our hexadecimal name of the letter that the first recipient has;
    `duplicate` says that all had it before, because this was a retry."""

    id: str
    duplicate: bool


class Reception:
    """`hostname` is our name in trace fields; `queue` is the mailbox that holds what waits to be sent."""

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
        judge: HeaderJudge = unmarked,
    ) -> Intake:
        """Begins a message for the INBOX of mailboxes of ours. `once` names a delivery that we may repeat: a
        second one with the same name is a duplicate, whatever its content. `judge` is given the whole header
        and says what is kept of it. Raises Passing, STORAGE_FULL at the reserve of the disk."""
        await self.store.reserve.require()
        distinct = {each.mailbox: each for each in recipients}
        keys = {r.mailbox: await self.store.accounts.public_key(r.mailbox, r.address) for r in recipients}
        plan = _Plan(
            trace=trace,
            sender=sender,
            addresses=tuple(r.address for r in distinct.values()),
            once=once,
            judge=judge,
        )
        return Intake(self, plan, list(keys.values()), return_path(sender))

    async def enqueue(
        self,
        *,
        sender: Address | None,
        recipients: Sequence[Address],
        trace: Trace,
        inspect: Callable[[Structure], None] = lambda _: None,
    ) -> Intake:
        """Begins a message from a user of ours, for the queue. `inspect` is given its structure before it is
        kept, and may raise Refused to reject it. Raises Passing, as `deposit` does."""
        await self.store.reserve.require()
        distinct = {each.key: each for each in recipients}
        plan = _Plan(
            trace=trace, sender=sender, addresses=tuple(distinct.values()), queued=True, inspect=inspect
        )
        return Intake(self, plan, [await self.store.accounts.public_key(self.queue, None)], b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    trace: Trace
    sender: Address | None
    addresses: tuple[Address, ...]
    once: bytes | None = None
    queued: bool = False
    inspect: Callable[[Structure], None] = lambda _: None
    judge: HeaderJudge | None = None


class _Head:
    """The header of a message that comes in, held until its end has been seen, or until it is too long."""

    def __init__(self, judge: HeaderJudge) -> None:
        self._judge = judge
        self._held = bytearray(b"\r\n")  # as if a line had ended: a header may begin with its blank line
        self.ended = False
        self.unproved = False

    def feed(self, octets: bytes) -> bytes:
        """What may go on: nothing, or the header as judged and all that follows. Raises Refused."""
        start = max(0, len(self._held) - 3)
        self._held += octets
        end = self._held.find(b"\r\n\r\n", start)
        if end >= 0:
            return self._released(end + 4, whole=True)
        if len(self._held) > limits.MIME_HEADER_OCTETS_MAX:
            return self._released(len(self._held), whole=False)
        return b""

    def close(self) -> bytes:
        """What is left of a message that is a header only. Raises Refused."""
        return b"" if self.ended else self._released(len(self._held), whole=True)

    def _released(self, end: int, *, whole: bool) -> bytes:
        judged = self._judge(bytes(self._held[2:end]), whole)
        self.ended, self.unproved = True, bool(judged.unproved)
        rest = bytes(self._held[end:])
        self._held.clear()
        return judged.octets + rest


class Intake:
    """One message coming in. The caller calls `write` with its octets (they must have canonical CRLF line
    ends), then `commit` or `abort`, once; `complete` may come before `commit`. `commit` keeps the whole
    message, or raises and keeps nothing; call neither `write` nor `abort` after it. The caller must let
    `commit` run to its end, even if the conversation has ended."""

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
        self._head = _Head(plan.judge) if plan.judge is not None else None
        self._sealed: Sealed | None = None
        flowed = self._sealer.feed(first + self._received())
        assert not flowed, "our trace fields are shorter than a chunk"

    @property
    def id(self) -> str:
        """Our hexadecimal name of the message, which its Received field uses."""
        return self._sealer.message_id.hex()

    async def write(self, octets: bytes) -> None:
        """Takes the next octets. Raises Passing when the database cannot store them, and Refused when the
        header is one that is not kept."""
        self._digest.update(octets)
        self._eight_bit = self._eight_bit or not octets.isascii()
        if self._head is not None and not self._head.ended:
            octets = self._head.feed(octets)
        await self._seal(octets)

    async def _seal(self, octets: bytes) -> None:
        for start in range(0, len(octets), _FEED_OCTETS):
            sealed = await self._sealer.feed_in_turns(octets[start : start + _FEED_OCTETS])
            if sealed:
                await self._blobs.add(self._blob, sealed)

    async def complete(self) -> int:
        """All octets have come: seals the end, and returns how much memory the copies for further mailboxes
        will hold until they are kept. When it raises, nothing is kept: Refused(LOOP_DETECTED),
        Refused(MESSAGE_TOO_LARGE) when that is too much, what `inspect` raises, Passing."""
        try:
            if self._head is not None:
                await self._seal(self._head.close())
            sealed, last = await self._sealer.finish(internal_date=self._now)
            if self._sealer.structure.hops > limits.RECEIVED_HOPS_MAX:
                raise Refused(Reason.LOOP_DETECTED)
            self._plan.inspect(self._sealer.structure)
            copies = len(self._keys[1:]) * (len(sealed.summary_ct) + len(sealed.header_ct))
            if copies > limits.COPIES_OCTETS_MAX:
                raise Refused(Reason.MESSAGE_TOO_LARGE, "summaries and headers for all its mailboxes")
            await self._blobs.add(self._blob, last)
        except BaseException:
            await self.abort()
            raise
        self._sealed = sealed
        return copies

    async def commit(self) -> Receipt:
        """Keeps the message. When it raises, nothing is kept: as `complete`, which it calls unless that was
        done, Refused or Passing because of a mailbox, Passing because of the database."""
        plan = self._plan
        if self._sealed is None:
            await self.complete()
        try:
            acceptance = await self._acceptance()
        except BaseException:
            await self.abort()
            raise
        # From here on we do not remove what was written. The store removes it when it declines the message.
        # When the connection to the database breaks, the message may have been kept, so nobody removes
        # anything then; the sweep finds what was not kept.
        try:
            accepted = await self._reception.store.accept(acceptance, self._announced)
        except Refused as refused:
            if refused.reason in _OF_ONE_MAILBOX and len(self._keys) > 1:
                # Only one of several mailboxes is concerned. The peer tries again, and learns at RCPT which.
                raise Passing(refused.reason, refused.detail) from refused
            raise
        finally:
            self._announced.withdraw()
        kept = accepted.kept[0].hex()
        report(
            MessageAccepted(
                message=kept,
                source=plan.trace.source,
                dn=plan.trace.peer.dn if plan.trace.peer else "",
                bytes=self._sealer.size,
                recipients=len(plan.addresses),
                duplicate=accepted.duplicate,
            )
        )
        if self._head is not None and self._head.unproved:
            report(MessageNoted(message=kept, note=Oddity.AUTHOR_UNPROVED))
        return Receipt(id=kept, duplicate=accepted.duplicate)

    async def abort(self) -> None:
        """Removes what was written. Never raises: what cannot be removed is unreadable and swept later."""
        self._announced.withdraw()
        try:
            await self._blobs.abandon()
        except Passing:
            pass

    def _received(self) -> bytes:
        """The Received field (RFC 5321 §4.4). There is none for our own queue, which is not a hop."""
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
        """Copies the message for a further mailbox, chunk by chunk, under a data key (DEK) of its own."""
        copy = self._sealer.copy(key)
        blob = self._blobs.open(copy.sealed.blob_id)
        async for chunk in self._blobs.chunks(self._blob):
            await self._blobs.add(blob, copy.feed(chunk))
        await self._blobs.add(blob, copy.finish())
        await asyncio.sleep(0)  # let other messages proceed while this one is copied for many mailboxes
        return copy.sealed, blob

    async def _acceptance(self) -> Acceptance:
        plan = self._plan
        assert self._sealed is not None
        kept = [(self._sealed, self._blob)]
        for key in self._keys[1:]:
            kept.append(await self._copied(key))
        folder = None if plan.queued else SpecialUse.INBOX
        deposits = tuple(deposit(each, blob, folder) for each, blob in kept)
        return Acceptance(
            dedup_key=self._dedup_key(),
            deposits=() if plan.queued else deposits,
            outbound=self._outbound(deposits[0]) if plan.queued else None,
            journal_detail=self._journal_detail(),
            comes_again=plan.trace.source is MessageSource.PEER,
        )

    def _outbound(self, deposit: Deposit) -> Outbound:
        dek, message = self._sealer.dek, self._sealer.message_id
        now = int(self._now.timestamp())
        due = now - now % limits.QUEUE_TIME_STEP_SECONDS
        secret, person, sender = self._reception.secret, self._plan.trace.person, self._plan.sender
        route = Route(
            sender=sender,
            size=self._sealer.size,
            eight_bit=self._eight_bit,
            queued_at=now,
            proof=route_proof(secret, dek, message, self._sealer.blob_id),
        )
        return Outbound(
            deposit=deposit,
            person_tag=person_tag(secret, person) if person is not None else None,
            sender_tag=sender_tag(secret, sender) if sender is not None else None,
            envelope_ct=route.seal(dek, message),
            recipients=tuple(
                QueueRecipientNew(
                    destination_tag=destination_tag(secret, address.domain),
                    address_ct=seal_address(dek, message, address),
                    next_at=due,
                )
                for address in self._plan.addresses
            ),
        )

    def _dedup_key(self) -> bytes | None:
        """What makes two messages the same one. None when we cannot tell: then both are kept, because a
        letter too many is better than a letter lost."""
        plan, secret = self._plan, self._reception.secret
        if plan.once is not None:
            return mac(secret, b"once\0" + plan.once)
        if not self._tells_itself_apart():
            return None
        # For mailboxes of ours the store compares the recipients, because a peer's retry may name only some.
        addresses = sorted(address.key for address in plan.addresses) if plan.queued else []
        told = (plan.trace.source.value, self._who(), str(plan.sender or ""), *addresses)
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in (text.encode() for text in told))
        return mac(secret, b"message\0" + framed + self._digest.digest())

    def _tells_itself_apart(self) -> bool:
        """Whether the same octets can only be the same letter. A Message-ID says so. So does a Received field
        of who brings it: it is written anew, with the time, for each letter that arrives there, and a retry
        has the old one. A device that writes neither may send the same alarm twice and mean both."""
        structure = self._sealer.structure
        if any(value.strip() for value in header.values(structure.header, b"message-id")):
            return True
        return self._plan.trace.source is MessageSource.PEER and structure.hops > 1  # one of them is ours

    def _who(self) -> str:
        """Who repeats a letter: a person, or the operator of a domain, through whichever of its servers. The
        content is compared with the sender, so the domain is enough."""
        peer, sender = self._plan.trace.peer, self._plan.sender
        if peer is None:
            return self._plan.trace.person or ""
        return DistinguishedName.parse(peer.dn).prepared if sender is None else str(sender.domain)

    def _journal_detail(self) -> str:
        trace = self._plan.trace
        detail: dict[str, str | int] = dict(trace.detail)
        if trace.peer is not None:
            detail["peer"] = trace.peer.fingerprint
        elif trace.person is not None:
            detail["person"] = trace.person
        return json.dumps({"source": trace.source.value, **detail}, separators=(",", ":"), sort_keys=True)
