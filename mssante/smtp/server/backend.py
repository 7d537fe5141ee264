"""What an SMTP server asks of the house: who may send what to whom, and where the content goes.

Invariants: a backend says no by raising Refused or Passing, never by a return value; it sees canonical
content only; whatever begins is committed or aborted, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mssante.keys.ring import SignIn
from mssante.model import Address, Envelope, PersonId, Secret
from mssante.smtp.grammar.commands import MailCommand, RcptCommand
from mssante.trust.policy import VerifiedPeer

if TYPE_CHECKING:  # the word alone: this side of the seam needs no store
    from mssante.delivery.reception import Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """Who speaks, as proved so far. On a relay `peer` is set before MAIL is asked, on submission `login`."""

    listener: str
    remote: str
    helo: str = ""
    tls_version: str | None = None
    peer: VerifiedPeer | None = None
    login: SignIn | None = None


class Intake(Protocol):
    """Where one message flows. `commit` keeps it wholly or raises and leaves nothing; it is never
    cancelled by a peer, and neither `write` nor `abort` follows it. `abort` leaves nothing; once. The
    intake reports what it keeps (MessageAccepted)."""

    async def write(self, content: bytes) -> None: ...

    async def commit(self) -> Receipt: ...

    async def abort(self) -> None: ...


class Backend(Protocol):
    """Reception of other operators' mail, or submission by our people. All may raise Refused or Passing."""

    async def mail(self, session: SessionInfo, sender: Address | None, parameters: MailCommand) -> None: ...

    async def recipient(self, session: SessionInfo, address: Address, parameters: RcptCommand) -> None: ...

    async def begin(self, session: SessionInfo, envelope: Envelope, declared_size: int | None) -> Intake: ...

    async def authenticate(self, session: SessionInfo, person: PersonId, password: Secret) -> SignIn: ...
