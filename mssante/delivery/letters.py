"""Opens a queued letter: its envelope, the recipients that are due, and its content.

Invariants: only the queue's own key ring can open it; content is read a mebibyte at a time and is never held
whole; a letter that cannot be opened raises Refused(CORRUPTION) and an alarm; one that our reception did not
queue says so (`proved`), and raises an alarm.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mssante import limits
from mssante.crypto import ChunkOpener, Dek, NotAuthentic
from mssante.delivery.couriers import Consignment
from mssante.delivery.route import Route, open_address, seal_reply
from mssante.keys.ring import Ring
from mssante.model import Address, Domain
from mssante.observe.event import report
from mssante.observe.events import CorruptionFound, LetterNotProven
from mssante.reasons import Passing, Reason, Refused
from mssante.sealing.chunks import opened_chunks
from mssante.store import MailStore
from mssante.store.records import DueRecipient


@dataclass(frozen=True, slots=True)
class Letter:
    """A queued message and those of its recipients, all of one domain, that are due."""

    due: Mapping[Address, DueRecipient] = field(repr=False)
    route: Route
    domain: Domain
    attempts: int  # the highest count among these recipients, this attempt included
    queued_at: datetime
    leased_until: datetime
    session: int | None  # of ours, in which the recipients were leased
    proved: bool  # that our reception queued it; it must go to nobody otherwise
    _dek: Dek
    _store: MailStore

    @property
    def id(self) -> str:
        """Our hexadecimal name of the message, for events."""
        return next(iter(self.due.values())).message_id.hex()

    def consignment(self) -> Consignment:
        return Consignment(
            queued=self.id,
            sender=self.route.sender,
            recipients=tuple(self.due),
            domain=self.domain,
            size=self.route.size,
            eight_bit=self.route.eight_bit,
            content=self._content_to_send,
        )

    async def content(self) -> AsyncIterator[bytes]:
        """The message's octets, in blocks. Raises Refused(CORRUPTION), Passing."""
        any_due = next(iter(self.due.values()))
        opener = ChunkOpener(self._dek, any_due.blob_id, content_octets=self.route.size)
        try:
            async for _, octets in opened_chunks(self._store, any_due.blob_id, opener, range(opener.count)):
                yield octets
        except NotAuthentic:
            raise corrupt(any_due) from None

    async def _content_to_send(self) -> AsyncIterator[bytes]:
        """As `content`. Before its end it looks whether the lease is still certain: if our session was cut
        meanwhile, another process may have the letter by now, so no final dot is sent."""
        async for block in self.content():
            yield block
        if self._store.queue.session != self.session:
            raise Passing(Reason.STORAGE_UNAVAILABLE, "the session was cut")

    async def header(self) -> bytes:
        """The message's header, cut at HEADER_KEPT_OCTETS_MAX. A notice quotes it."""
        head = b""
        async for block in self.content():
            head += block
            end = head.find(b"\r\n\r\n")
            if end >= 0:
                return head[: end + 2][: limits.HEADER_KEPT_OCTETS_MAX]
            if len(head) > limits.HEADER_KEPT_OCTETS_MAX:
                break
        return head[: limits.HEADER_KEPT_OCTETS_MAX]

    def sealed_reply(self, reply: str) -> bytes:
        """The remote's reply, sealed for the queue."""
        return seal_reply(self._dek, next(iter(self.due.values())).message_id, reply)


def open_letter(due: Sequence[DueRecipient], *, ring: Ring, store: MailStore, secret: bytes) -> Letter:
    """The letter of these recipients, all of one message and one destination. `secret` is that of the proofs
    (route.route_proof). Raises Refused(CORRUPTION)."""
    one = due[0]
    try:
        dek = ring.unwrap(one.message_id, one.blob_id, one.sealed_key)
        route = Route.open(dek, one.message_id, one.envelope_ct)
        addresses = {open_address(dek, each.message_id, each.address_ct): each for each in due}
    except NotAuthentic:
        raise corrupt(one) from None
    domains = {address.domain for address in addresses}
    if len(domains) != 1:
        raise corrupt(one)
    proved = route.proved(secret, dek, one.message_id, one.blob_id)
    if not proved:
        report(LetterNotProven(queued=one.message_id.hex()))
    return Letter(
        due=addresses,
        route=route,
        domain=domains.pop(),
        attempts=max(each.attempts for each in due),
        queued_at=datetime.fromtimestamp(one.created_at if route.queued_at is None else route.queued_at, UTC),
        leased_until=datetime.fromtimestamp(min(each.leased_until for each in due), UTC),
        session=store.queue.session,
        proved=proved,
        _dek=dek,
        _store=store,
    )


def corrupt(due: DueRecipient) -> Refused:
    """Raises the alarm, and returns the exception to raise."""
    report(CorruptionFound(mailbox=due.mailbox.hex(), message=due.message_id.hex(), blob=due.blob_id.hex()))
    return Refused(Reason.CORRUPTION)
