"""Each certificate of the matrix at a real port, TLS 1.2 and 1.3, both ways: its reason, told once (T5)."""

from __future__ import annotations

import ssl

import pytest

from mssante.delivery.retry import Fate
from mssante.model import Domain
from mssante.observe.event import Event
from mssante.observe.events import HandshakeRefused, PeerAccepted, PeerRefused
from mssante.reasons import Reason
from tests.scenarios.smtp.courier_remotes import Script, remote
from tests.scenarios.smtp.courier_world import World, consignment, made
from tests.support.smtp.house import House, client_context, pki, relay, until
from tests.unit.trust.test_policy import MATRIX
from tests.unit.trust.test_tls import CANNOT_SPEAK, REFUSED_IN_HANDSHAKE, WRONG_PURPOSE

TOLD = (HandshakeRefused, PeerRefused, PeerAccepted)
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
IN_THE_HANDSHAKE = {
    "in": {*REFUSED_IN_HANDSHAKE, *(name for name, direction in WRONG_PURPOSE if direction == "in")},
    "out": {*REFUSED_IN_HANDSHAKE, *(name for name, direction in WRONG_PURPOSE if direction == "out")},
}


def peer_context(name: str, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client with that certificate, as careless as clients can be."""
    leaf, context = pki().leaves[name], client_context(None)
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(leaf.chain_file, leaf.key_file)
    return context


async def verdict_at_port_25(house: House, name: str, version: ssl.TLSVersion) -> str:
    """What the peer is told at MAIL; "" when the connection ends."""
    talk = await house.talk()
    await talk.reply()
    await talk.ask("EHLO mss.test")
    try:
        await talk.start_tls(peer_context(name, version))
    except (ConnectionError, ssl.SSLError):
        return ""
    if not await talk.ask("EHLO mss.test"):
        return ""
    return await talk.ask("MAIL FROM:<>")


@pytest.mark.parametrize("version", VERSIONS)
async def test_each_certificate_at_port_25_is_told_once(version: ssl.TLSVersion) -> None:
    listed = tuple(name for name, (verdict, _) in MATRIX.items() if verdict is not Reason.PEER_NOT_LISTED)
    async with relay(listed=listed) as house:
        for name in sorted(set(MATRIX) - CANNOT_SPEAK):
            house.events.clear()
            reply = await verdict_at_port_25(house, name, version)
            expected = MATRIX[name][0]
            await until(lambda: any(isinstance(event, TOLD) for event in house.events))
            (event,) = [event for event in house.events if isinstance(event, TOLD)]
            if name in IN_THE_HANDSHAKE["in"]:
                assert isinstance(event, HandshakeRefused), name
                assert event.cause, name
                assert reply == "", name
            elif expected is None:
                assert isinstance(event, PeerAccepted), name
                assert reply.startswith("250"), name
            else:
                assert isinstance(event, PeerRefused), name
                assert event.reason == expected.value, name
                assert event.fingerprint, name
                assert event.dn, name
                assert reply.startswith("550 5.7."), name


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return made(tmp_path_factory.mktemp("pki"))


@pytest.mark.parametrize("version", VERSIONS)
async def test_each_certificate_of_a_remote_is_told_once(
    world: World, events: list[Event], version: ssl.TLSVersion
) -> None:
    for name in sorted(set(MATRIX) - CANNOT_SPEAK):
        events.clear()
        domain = Domain.parse(world.leaf(name).domain)
        context = world.server("operator-b")
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(world.leaf(name).chain_file, world.leaf(name).key_file)
        context.minimum_version = context.maximum_version = version
        async with remote(Script(), context) as far:
            courier = world.courier(domain, far.port)
            (outcome,) = dict(await courier.deliver(consignment(domain))).values()
            await courier.aclose()
        expected = MATRIX[name][1]
        told = [event for event in events if isinstance(event, PeerAccepted | PeerRefused)]
        assert len(told) == 1, name
        (event,) = told
        if expected is None:
            assert (outcome.fate, type(event)) == (Fate.DELIVERED, PeerAccepted), name
            continue
        assert outcome.fate is Fate.DEFERRED, name  # what another operator must mend passes
        assert isinstance(event, PeerRefused), name
        assert (far.commands, far.messages) == ([], []), name
        if name not in IN_THE_HANDSHAKE["out"]:
            assert event.reason == expected.value == (outcome.reason or expected).value, name
