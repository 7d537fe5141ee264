"""How a letter leaves the queue: what a courier is given, what a courier is, and the one for our mailboxes.

Invariants: a consignment goes to one domain, and its content can be read again from the start; a courier
returns an outcome for every recipient it was given, and raises only for a fault of ours. For mailboxes of
ours, each recipient is a separate delivery, so that one full mailbox does not stop the others. That delivery
is named after the queued message and the address, so that repeating it after a crash changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mssante.delivery.reception import Reception, Trace
from mssante.delivery.retry import Fate, Outcome
from mssante.delivery.routing import Routing
from mssante.model import Address, Domain, MessageSource
from mssante.reasons import Declined


@dataclass(frozen=True, slots=True, kw_only=True)
class Consignment:
    """One message for the recipients of one domain. `size` in octets; `eight_bit` when an octet is above 127;
    `content` starts a fresh pass over it, in canonical CRLF."""

    queued: str  # our hexadecimal id, for events
    sender: Address | None = field(repr=False)
    recipients: tuple[Address, ...] = field(repr=False)
    domain: Domain
    size: int
    eight_bit: bool
    content: Callable[[], AsyncIterator[bytes]] = field(repr=False)

    def all(self, outcome: Outcome) -> dict[Address, Outcome]:
        """The same outcome for every recipient."""
        return dict.fromkeys(self.recipients, outcome)


class Courier(Protocol):
    """Delivers a message: LocalCourier (here) to our mailboxes, SmtpCourier (smtp/client) elsewhere."""

    async def deliver(self, consignment: Consignment) -> Mapping[Address, Outcome]: ...


class LocalCourier:
    """A Courier for the mailboxes of our own domains, those of `routing`."""

    def __init__(self, reception: Reception, routing: Routing) -> None:
        self._reception = reception
        self._routing = routing

    async def deliver(self, consignment: Consignment) -> Mapping[Address, Outcome]:
        outcomes = {}
        for address in consignment.recipients:
            try:
                await self._deposit(consignment, address)
            except Declined as declined:
                outcomes[address] = Outcome.of(declined)
            else:
                outcomes[address] = Outcome(Fate.DELIVERED, None, "250 2.0.0")
        return outcomes

    async def _deposit(self, consignment: Consignment, address: Address) -> None:
        recipient = await self._routing.local(address, size=consignment.size)
        intake = await self._reception.deposit(
            sender=consignment.sender,
            recipients=[recipient],
            trace=Trace(source=MessageSource.QUEUE, detail={"queued": consignment.queued}),
            once=f"local\0{consignment.queued}\0{address.key}".encode("ascii"),
        )
        try:
            async for block in consignment.content():
                await intake.write(block)
        except BaseException:
            await intake.abort()
            raise
        await intake.commit()
