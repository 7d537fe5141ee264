"""What a courier is handed, and what a courier is.

Invariants: a consignment goes to one domain; its content can be read again from the start; a courier
answers for every recipient it was handed, and raises only for a fault of ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mssante.delivery.retry import Outcome
from mssante.model import Address, Domain


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
    """Takes a message to where it is kept: LocalCourier (here), SmtpCourier (another operator)."""

    async def deliver(self, consignment: Consignment) -> Mapping[Address, Outcome]: ...
