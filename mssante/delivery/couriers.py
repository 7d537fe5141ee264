"""The roads a letter takes out of the queue: what a courier is handed, what a courier is, and the local one.

Invariants: a consignment goes to one domain, and its content can be read again from the start; a courier
answers for every recipient it was handed, and raises only for a fault of ours. To a mailbox of ours each
recipient is a delivery of its own, so that one full mailbox stops no other; it is named after the queued
message and the address, so that doing it again after a crash changes nothing.
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
    """Takes a message to where it is kept: LocalCourier (here), net.smtp_courier (another operator)."""

    async def deliver(self, consignment: Consignment) -> Mapping[Address, Outcome]: ...


class LocalCourier:
    """A Courier for the domains of `routing`."""

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
