"""The trust policy's verdict on the peer of a relay session, renewed while the session lasts.

Invariants: a peer without a verdict is not heard; at MAIL no verdict is older than `recheck_seconds`, so a
peer that is removed from the list is stopped at its next message and not only at its next connection (T8,
T9); a verdict is reported when it is first given and whenever it changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mssante.model import Direction, Malformed, PeerIdentity
from mssante.net.stream import Stream
from mssante.net.throttle import Throttle
from mssante.observe.event import report
from mssante.observe.events import PeerAccepted, PeerRefused, crashed
from mssante.reasons import Declined, Passing, Reason, Refused
from mssante.trust.certificate import identity_of
from mssante.trust.policy import VerifiedPeer

Verify = Callable[[tuple[bytes, ...]], Awaitable[VerifiedPeer]]
_UNREADABLE = PeerIdentity(dn="", serial="", fingerprint="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """The role of port 25: other operators connect, and each proves itself by its certificate. `verify`
    judges the chain that a peer showed (DER, its own certificate first) and raises Refused or Passing. It is
    asked again at a MAIL that comes `recheck_seconds` or more after the last verdict."""

    verify: Verify
    recheck_seconds: float = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The role of ports 587 and 465: people connect, and each signs in with login and password under TLS.
    `throttle` slows down whoever guesses passwords, on every port that shares it."""

    throttle: Throttle


class PeerProof:
    """The verdict on one connection's peer."""

    def __init__(self, role: Relay, stream: Stream) -> None:
        self._role = role
        self._stream = stream
        self._verdict: VerifiedPeer | Declined = Refused(Reason.TLS_REQUIRED)
        self._judged_at = -role.recheck_seconds

    async def judge(self) -> VerifiedPeer | Declined:
        """The verdict: the last one if it is recent enough, otherwise a new one."""
        now = asyncio.get_running_loop().time()
        if now - self._judged_at < self._role.recheck_seconds:
            return self._verdict
        before = self._verdict
        self._verdict = await self._verify()
        self._judged_at = now
        if _reason_of(before) != _reason_of(self._verdict):
            self._report()
        return self._verdict

    def identity(self) -> PeerIdentity:
        """Who the certificate says the peer is, even when it is not trusted."""
        if isinstance(self._verdict, VerifiedPeer):
            return self._verdict.identity
        try:
            chain = self._stream.peer_chain()
            return identity_of(chain[0]) if chain else _UNREADABLE
        except (Malformed, Declined):
            return _UNREADABLE

    async def _verify(self) -> VerifiedPeer | Declined:
        try:
            chain = self._stream.peer_chain()
            return await self._role.verify(chain) if chain else Refused(Reason.CERTIFICATE_MISSING)
        except Declined as declined:
            return declined
        except Exception as error:
            report(crashed("verification of a peer", error))
            return Passing(Reason.INTERNAL)

    def _report(self) -> None:
        who = self.identity()
        if isinstance(self._verdict, Declined):
            report(refusal_of(who, self._verdict, remote=self._stream.remote))
        else:
            version = self._stream.tls_version or ""
            report(
                PeerAccepted(
                    direction=Direction.IN,
                    dn=who.dn,
                    serial=who.serial,
                    fingerprint=who.fingerprint,
                    tls_version=version,
                )
            )


def refusal_of(who: PeerIdentity, declined: Declined, *, remote: str, domain: str = "") -> PeerRefused:
    """The event that tells of a refused peer: refused altogether, or only for `domain`."""
    return PeerRefused(
        direction=Direction.IN,
        reason=declined.reason,
        remote=remote,
        dn=who.dn,
        serial=who.serial,
        fingerprint=who.fingerprint,
        domain=domain,
    )


def _reason_of(verdict: VerifiedPeer | Declined) -> str:
    return verdict.reason.value if isinstance(verdict, Declined) else "accepted"
