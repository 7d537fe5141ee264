"""Where a domain's mail goes: a static route, or its MX records (RFC 5321 §5.1).

Invariants: what DNS says is a place to knock, never an identity: the certificate decides (T21), and a
lookup that fails, or finds nothing, passes. It never makes a letter bounce.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import dns.asyncresolver
import dns.exception
import dns.resolver

from mssante.limits import HOSTS_TRIED_MAX, RESOLVE_SECONDS_MAX
from mssante.model import Domain
from mssante.reasons import Passing, Reason

SMTP_PORT = 25


@dataclass(frozen=True, slots=True)
class Door:
    """A place to knock at."""

    host: str
    port: int = SMTP_PORT


class Resolver(Protocol):
    """Doors of a domain, the preferred first. Raises Passing(REMOTE_UNREACHABLE) when there is none."""

    async def doors(self, domain: Domain) -> tuple[Door, ...]: ...


class StaticRoutes:
    """A table for tests and sandboxes; `otherwise` answers for the domains it does not hold."""

    def __init__(self, routes: Mapping[Domain, Door], otherwise: Resolver | None = None) -> None:
        self._routes = dict(routes)
        self._otherwise = otherwise

    async def doors(self, domain: Domain) -> tuple[Door, ...]:
        if door := self._routes.get(domain):
            return (door,)
        if self._otherwise is None:
            raise Passing(Reason.REMOTE_UNREACHABLE, "no route")
        return await self._otherwise.doors(domain)


class MxResolver:
    """MX records by preference, equals in random order; without any, the domain itself (RFC 5321 §5.1)."""

    def __init__(self, resolver: dns.asyncresolver.Resolver | None = None) -> None:
        self._resolver = resolver or dns.asyncresolver.Resolver()

    async def doors(self, domain: Domain) -> tuple[Door, ...]:
        try:
            answer = await self._resolver.resolve(f"{domain}.", "MX", lifetime=RESOLVE_SECONDS_MAX)
        except dns.resolver.NoAnswer:
            return (Door(domain.name),)
        except (dns.exception.DNSException, OSError) as error:
            # A listed domain without a name in DNS is somebody's mistake of the day: it passes.
            raise Passing(Reason.REMOTE_UNREACHABLE, type(error).__name__) from error
        records = [
            (int(r.preference), random.random(), r.exchange.to_text(omit_final_dot=True)) for r in answer
        ]
        hosts = [host for _, _, host in sorted(records) if host not in {"", "."}]
        if not hosts:  # RFC 7505: a null MX takes no mail; the trust space says otherwise, so it passes
            raise Passing(Reason.REMOTE_UNREACHABLE, "null MX")
        return tuple(Door(host) for host in hosts[:HOSTS_TRIED_MAX])
