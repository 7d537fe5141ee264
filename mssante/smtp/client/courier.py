"""Carries a message to another operator, over mutual TLS only, and only to a server listed for the domain.

This file and wire.py are the only ones that import aiosmtplib.

Invariants: only EHLO, STARTTLS and QUIT are ever sent in clear; we believe only the extensions that the
remote offers inside TLS; MAIL is sent only after the server's certificate is verified and its name is listed
for the recipients' domain, and this is checked again for each message (T21); a problem with the remote's TLS
or certificate defers the message, it never bounces it and never makes us fall back to clear text; each
recipient has an outcome of its own.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from aiosmtplib.esmtp import parse_esmtp_extensions

from mssante.delivery.couriers import Consignment
from mssante.delivery.retry import Fate, Outcome
from mssante.limits import (
    CONNECTION_OUT_IDLE_SECONDS,
    CONNECTIONS_OUT_IDLE_MAX,
    MESSAGES_OUT_PER_CONNECTION,
    RECIPIENTS_OUT_AT_ONCE,
)
from mssante.model import Address, Direction, Domain, PeerIdentity
from mssante.observe.event import report
from mssante.observe.events import PeerAccepted, PeerRefused
from mssante.reasons import Declined, Passing, Reason
from mssante.smtp.client.resolver import Door, Resolver
from mssante.smtp.client.transaction import transact
from mssante.smtp.client.wire import ClientWire, Patience, Reply
from mssante.trust.certificate import identity_of
from mssante.trust.policy import VerifiedPeer
from mssante.trust.tls import peer_chain

Verify = Callable[[Sequence[bytes]], VerifiedPeer]  # takes DER certificates, leaf first; raises Declined

_PATIENCE = Patience()
_NOBODY = PeerIdentity(dn="", serial="", fingerprint="")


@dataclass(slots=True)
class _Connection:
    """A connection to a remote that has proved who it is. It is ready for MAIL."""

    wire: ClientWire
    evidence: tuple[bytes, ...]
    dn: str
    remote: str
    extensions: Mapping[str, str]
    messages: int = 0
    closing: asyncio.TimerHandle | None = None


class SmtpCourier:
    """A Courier over SMTP. `verify` judges a server's certificates at the time it is called; `hostname` is
    our name in EHLO."""

    def __init__(
        self,
        *,
        hostname: str,
        resolver: Resolver,
        context: ssl.SSLContext,
        verify: Verify,
        patience: Patience = _PATIENCE,
    ) -> None:
        self._hostname = hostname
        self._resolver = resolver
        self._context = context
        self._verify = verify
        self._patience = patience
        self._idle: dict[Domain, list[_Connection]] = {}

    async def deliver(self, consignment: Consignment) -> Mapping[Address, Outcome]:
        """Makes one attempt. Never raises because of what a remote does: that becomes an outcome."""
        outcomes: dict[Address, Outcome] = {}
        for start in range(0, len(consignment.recipients), RECIPIENTS_OUT_AT_ONCE):
            batch = consignment.recipients[start : start + RECIPIENTS_OUT_AT_ONCE]
            outcomes.update(await self._deliver_batch(consignment, batch))
        return outcomes

    async def aclose(self) -> None:
        """Closes the connections that were kept for further messages."""
        for connections in self._idle.values():
            for connection in connections:
                _goodbye(connection)
        self._idle.clear()

    async def _deliver_batch(
        self, consignment: Consignment, batch: tuple[Address, ...]
    ) -> Mapping[Address, Outcome]:
        try:
            connection = await self._kept(consignment.domain) or await self._connect(consignment.domain)
        except Declined as declined:
            outcome = Outcome(Fate.DEFERRED, declined.reason, reached=False)
            return dict.fromkeys(batch, outcome)
        outcomes: dict[Address, Outcome] = {}
        try:
            clean = await transact(
                connection.wire, connection.extensions, consignment, batch, outcomes, dn=connection.dn
            )
        except BaseException as error:
            connection.wire.close()  # the end of data was not sent, so the remote does not have the message
            if not isinstance(error, Declined):
                raise
            rest = Outcome.of(error)
            return {address: outcomes.get(address, rest) for address in batch}
        self._keep(consignment.domain, connection) if clean else _goodbye(connection)
        return outcomes

    # A connection

    async def _connect(self, domain: Domain) -> _Connection:
        """Connects to the first host that answers and proves that it serves the domain. If none does, raises
        Declined with what went wrong at the last one."""
        trouble: Declined = Passing(Reason.REMOTE_UNREACHABLE, "no door")
        for door in await self._resolver.doors(domain):
            try:
                return await self._knock(door, domain)
            except Declined as declined:
                trouble = declined
        raise trouble

    async def _knock(self, door: Door, domain: Domain) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._patience.connection):
                _, wire = await loop.create_connection(
                    lambda: ClientWire(self._patience), door.host, door.port
                )
        except (OSError, TimeoutError, UnicodeError) as error:  # UnicodeError: not a valid host name
            raise Passing(Reason.REMOTE_UNREACHABLE, type(error).__name__) from error
        judging = False  # `_verified` reports its own refusals, so they are not reported again below
        try:
            _require_code(await wire.greeting(), 220)
            in_clear = await self._ehlo(wire)
            if "starttls" not in in_clear:  # T4: someone may have removed it; we never send in clear
                raise Passing(Reason.TLS_FAILED, "STARTTLS is not offered")
            await wire.upgrade(self._context, hostname=door.host)
            judging = True
            peer = await self._prove(wire, domain, f"{door.host}:{door.port}")
            judging = False
            wire.proved()
            return _Connection(
                wire=wire,
                evidence=peer.evidence,
                dn=peer.identity.dn,
                remote=f"{door.host}:{door.port}",
                extensions=await self._ehlo(wire),  # RFC 3207 §4.2: what was learnt in clear is forgotten
            )
        except Declined as declined:
            if not judging and declined.reason not in {Reason.REMOTE_UNREACHABLE, Reason.REMOTE_DEFERRED}:
                _report_refused(declined.reason, _NOBODY, f"{door.host}:{door.port}", domain)
            wire.close()
            raise
        except BaseException:
            wire.close()
            raise

    async def _ehlo(self, wire: ClientWire) -> Mapping[str, str]:
        reply = await wire.command(f"EHLO {self._hostname}".encode("ascii"))
        _require_code(reply, 250)
        return parse_esmtp_extensions(reply.message)[0]

    async def _prove(self, wire: ClientWire, domain: Domain, remote: str) -> VerifiedPeer:
        """The server's identity, once it is verified and listed for `domain`. Raises Declined."""
        tls = cast(ssl.SSLObject, wire.fact("ssl_object"))
        peer = await self._verified(tuple(peer_chain(tls)), domain, remote)
        report(
            PeerAccepted(
                direction=Direction.OUT,
                dn=peer.identity.dn,
                serial=peer.identity.serial,
                fingerprint=peer.identity.fingerprint,
                tls_version=tls.version() or "",
            )
        )
        return peer

    async def _verified(self, evidence: tuple[bytes, ...], domain: Domain, remote: str) -> VerifiedPeer:
        try:
            peer = await asyncio.to_thread(self._verify, evidence)  # about a millisecond
            peer.speaks_for(domain)
        except Declined as declined:
            who = identity_of(evidence[0]) if evidence else _NOBODY
            _report_refused(declined.reason, who, remote, domain)
            raise
        return peer

    async def _kept(self, domain: Domain) -> _Connection | None:
        """A connection kept from an earlier message, if it still works and its certificate is still accepted:
        the list may have changed meanwhile. Raises Declined when it is not accepted any more."""
        waiting = self._idle.get(domain, [])
        while waiting:
            connection = waiting.pop()
            if connection.closing is not None:
                connection.closing.cancel()
            try:
                _require_code(await connection.wire.command(b"RSET"), 250)
            except Passing:
                connection.wire.close()
                continue
            try:
                await self._verified(connection.evidence, domain, connection.remote)
            except BaseException:
                _goodbye(connection)
                raise
            return connection
        return None

    def _keep(self, domain: Domain, connection: _Connection) -> None:
        connection.messages += 1
        idle = sum(map(len, self._idle.values()))
        if connection.messages >= MESSAGES_OUT_PER_CONNECTION or idle >= CONNECTIONS_OUT_IDLE_MAX:
            return _goodbye(connection)
        waiting = self._idle.setdefault(domain, [])
        waiting.append(connection)

        def leave() -> None:
            if connection in waiting:
                waiting.remove(connection)
                _goodbye(connection)

        connection.closing = asyncio.get_running_loop().call_later(CONNECTION_OUT_IDLE_SECONDS, leave)
        return None


def _require_code(reply: Reply, code: int) -> None:
    if reply.code != code:
        raise Passing(Reason.REMOTE_DEFERRED, f"answered {reply.code} where {code} was expected")


def _goodbye(connection: _Connection) -> None:
    """Says QUIT without waiting for the answer."""
    if connection.wire.is_connected:
        connection.wire.write(b"QUIT\r\n")
        connection.wire.close()


def _report_refused(reason: Reason, who: PeerIdentity, remote: str, domain: Domain) -> None:
    report(
        PeerRefused(
            direction=Direction.OUT,
            reason=reason,
            remote=remote,
            dn=who.dn,
            serial=who.serial,
            fingerprint=who.fingerprint,
            domain=domain.name,
        )
    )
