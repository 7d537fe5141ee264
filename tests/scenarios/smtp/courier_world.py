"""A development PKI, the space that lists it, and a courier of operator A that judges by them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mssante.delivery.couriers import Consignment
from mssante.demo.certs.make import UNLISTED, build
from mssante.model import Address, Direction, Domain
from mssante.observe.event import Event
from mssante.smtp.client.courier import SmtpCourier
from mssante.smtp.client.resolver import Door, StaticRoutes
from mssante.smtp.client.wire import Patience
from mssante.trust.policy import VerifiedPeer
from mssante.trust.tls import TlsCredentials, peer_client_context
from tests.support.operators.trust_world import TrustWorld

SENDER = Address.parse("dr.a@operateur-a.test")
LETTER = b"From: dr.a@operateur-a.test\r\nSubject: XDM/1.0/DDM+CR\r\n\r\n.\r\nBonjour\r\n..\r\n"


@dataclass
class World(TrustWorld):
    events: list[Event] = field(default_factory=list)

    def judged(self, chain: Sequence[bytes]) -> VerifiedPeer:
        """The verdict on a remote."""
        return self.verify(chain=chain, direction=Direction.OUT)

    def server(self, name: str) -> ssl.SSLContext:
        """A remote showing that certificate, and asking for ours."""
        leaf = self.leaf(name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(leaf.chain_file, leaf.key_file)
        context.load_verify_locations(self.pki.anchors)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def courier(self, domain: Domain, port: int, patience: Patience | None = None) -> SmtpCourier:
        a = self.leaf("operator-a")
        return SmtpCourier(
            hostname="mss.operateur-a.test",
            resolver=StaticRoutes({domain: Door("127.0.0.1", port)}),
            context=peer_client_context(
                TlsCredentials(chain_file=a.chain_file, key_file=a.key_file), self.anchors
            ),
            verify=self.judged,
            patience=patience or Patience(connection=2, greeting=2, handshake=3, command=3, data=3, block=3),
        )


def made(directory: Path) -> World:
    return World.of(build(directory, now=datetime.now(UTC), operators=("a", "b")))


def consignment(
    domain: Domain,
    content: bytes = LETTER,
    *,
    locals_: Sequence[str] = ("dr.b",),
    eight_bit: bool | None = None,
) -> Consignment:
    async def blocks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 65536):
            yield content[start : start + 65536]

    return Consignment(
        queued="00" * 16,
        sender=SENDER,
        recipients=tuple(Address(local, domain) for local in locals_),
        domain=domain,
        size=len(content),
        eight_bit=not content.isascii() if eight_bit is None else eight_bit,
        content=blocks,
    )


__all__ = ["LETTER", "SENDER", "UNLISTED", "World", "consignment", "made"]
