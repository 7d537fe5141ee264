"""Where a domain's mail goes: a static route, or its MX records (RFC 5321 §5.1).

Invariants: DNS only says where to connect; the certificate decides who is there (T21). A lookup that fails or
finds nothing is a passing trouble: it never makes a letter bounce.
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
    """A host and port to connect to."""

    host: str
    port: int = SMTP_PORT


class Resolver(Protocol):
    """Gives the hosts of a domain, the preferred first. Raises Passing(REMOTE_UNREACHABLE) if it has none."""

    async def doors(self, domain: Domain) -> tuple[Door, ...]: ...


class StaticRoutes:
    """A fixed table, for tests and sandboxes. `otherwise` is asked for the domains that are not in it."""

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
    """The hosts of the MX records by preference, those of equal preference in random order. Without any
    record, the domain itself is the host (RFC 5321 §5.1)."""

    def __init__(self, resolver: dns.asyncresolver.Resolver | None = None) -> None:
        self._resolver = resolver or dns.asyncresolver.Resolver()

    async def doors(self, domain: Domain) -> tuple[Door, ...]:
        try:
            answer = await self._resolver.resolve(f"{domain}.", "MX", lifetime=RESOLVE_SECONDS_MAX)
        except dns.resolver.NoAnswer:
            return (Door(domain.name),)
        except (dns.exception.DNSException, OSError) as error:
            # A domain of the trust space that is missing from DNS is somebody's mistake, soon corrected.
            raise Passing(Reason.REMOTE_UNREACHABLE, type(error).__name__) from error
        records = [
            (int(r.preference), random.random(), r.exchange.to_text(omit_final_dot=True)) for r in answer
        ]
        hosts = [host for _, _, host in sorted(records) if host not in {"", "."}]
        # RFC 7505: a null MX means that the domain takes no mail. The trust space says that it does, so we
        # take this for a mistake that will pass.
        if not hosts:
            raise Passing(Reason.REMOTE_UNREACHABLE, "null MX")
        return tuple(Door(host) for host in hosts[:HOSTS_TRIED_MAX])
