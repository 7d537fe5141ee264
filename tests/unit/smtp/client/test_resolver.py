"""Where a domain's mail goes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver
import pytest

from mssante.model import Domain
from mssante.reasons import Passing, Reason
from mssante.smtp.client.resolver import Door, MxResolver, StaticRoutes

B = Domain.parse("cabinet-b.test")


class FakeDns:
    def __init__(self, answer: list[tuple[int, str]] | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    async def resolve(self, name: str, kind: str, **_: Any) -> list[SimpleNamespace]:
        self.asked.append((name, kind))
        if isinstance(self.answer, Exception):
            raise self.answer
        return [SimpleNamespace(preference=p, exchange=dns.name.from_text(host)) for p, host in self.answer]


def _resolver(answer: list[tuple[int, str]] | Exception) -> MxResolver:
    return MxResolver(cast(dns.asyncresolver.Resolver, FakeDns(answer)))


async def test_the_preferred_door_comes_first_and_there_are_five_at_most() -> None:
    answer = [(30, "c.test."), (10, "a.test."), (20, "b.test."), *((40, f"m{n}.test.") for n in range(9))]
    doors = await _resolver(answer).doors(B)
    assert doors[:3] == (Door("a.test"), Door("b.test"), Door("c.test"))
    assert len(doors) == 5


async def test_without_mx_the_domain_itself_is_asked() -> None:
    nothing = dns.resolver.NoAnswer()  # type: ignore[no-untyped-call]  # dnspython's exceptions have no types
    assert await _resolver(nothing).doors(B) == (Door("cabinet-b.test"),)


@pytest.mark.parametrize(
    "answer",
    [
        dns.resolver.NXDOMAIN(),  # type: ignore[no-untyped-call]  # dnspython's exceptions have no types
        dns.exception.Timeout(),  # type: ignore[no-untyped-call]  # nor this one
        OSError(),
        dns.resolver.NoNameservers(),  # type: ignore[no-untyped-call]  # nor this one
        [(0, ".")],
    ],
)
async def test_a_name_that_leads_nowhere_passes(answer: list[tuple[int, str]] | Exception) -> None:
    with pytest.raises(Passing) as caught:
        await _resolver(answer).doors(B)
    assert caught.value.reason is Reason.REMOTE_UNREACHABLE


async def test_a_route_goes_before_dns_and_may_be_all_there_is() -> None:
    routes = StaticRoutes({B: Door("127.0.0.1", 2525)}, _resolver([(10, "mx.test.")]))
    assert await routes.doors(B) == (Door("127.0.0.1", 2525),)
    assert await routes.doors(Domain.parse("c.test")) == (Door("mx.test"),)
    with pytest.raises(Passing):
        await StaticRoutes({}).doors(B)
