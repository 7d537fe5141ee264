"""The certificate matrix through real handshakes (T5: TLS 1.2 and 1.3, both ways), and resumption (T12)."""

from __future__ import annotations

import ssl
from itertools import permutations

import pytest

from mssante.demo.certs.make import UNLISTED
from mssante.model import Direction
from mssante.reasons import Declined, Reason
from mssante.trust import tls
from mssante.trust.tls import PeerListenerContexts, TlsCredentials, peer_chain, peer_client_context

from .conftest import World, chain_of
from .handshake import VERSIONS, Ends, handshake, peer_context
from .test_policy import MATRIX

# What OpenSSL refuses by itself, and its reason for our log; everything else reaches the policy.
REFUSED_IN_HANDSHAKE = {
    "non-igc": "unable to get local issuer certificate",
    "unknown-intermediate": "unable to get local issuer certificate",
    "self-signed": "self-signed certificate",
    "leaf-as-ca": "invalid CA certificate",
    "ca-without-constraints": "invalid CA certificate",
    "pathlen": "path length constraint exceeded",
    "name-constraints": "permitted subtree violation",
    "rsa-1024": "EE certificate key too weak",
    "sha1": "CA signature digest algorithm too weak",
    "huge": "EXCESSIVE_MESSAGE_SIZE",
}
WRONG_PURPOSE = {("eku-server-only", Direction.IN), ("eku-client-only", Direction.OUT)}
# No TLS end signs a handshake with P-192: the policy is asked in test_policy.
CANNOT_SPEAK = {"p-192"}
LISTENERS = ("relay", "submission", "imap")


def credentials(world: World, name: str = "operator-a") -> TlsCredentials:
    leaf = world.leaf(name)
    return TlsCredentials(chain_file=leaf.chain_file, key_file=leaf.key_file)


def meet(world: World, name: str, direction: Direction, version: ssl.TLSVersion) -> Ends:
    """Our real context against a peer with that certificate."""
    peer = peer_context(world.leaf(name), server=direction is Direction.OUT, version=version)
    if direction is Direction.IN:
        return handshake(PeerListenerContexts(credentials(world), world.anchors).take(), peer)
    return handshake(peer, peer_client_context(credentials(world), world.anchors))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("name", sorted(set(MATRIX) - CANNOT_SPEAK))
def test_each_certificate_meets_its_verdict_through_tls(
    world: World, name: str, direction: Direction, version: ssl.TLSVersion
) -> None:
    ends = meet(world, name, direction, version)
    error = ends.server_error if direction is Direction.IN else ends.client_error
    if name in REFUSED_IN_HANDSHAKE:
        assert REFUSED_IN_HANDSHAKE[name] in str(error)
        return
    if (name, direction) in WRONG_PURPOSE:
        assert "unsuitable certificate purpose" in str(error)
        return
    assert (ends.server_error, ends.client_error) == (None, None)
    ours = ends.server if direction is Direction.IN else ends.client
    got: Reason | None = None
    try:
        world.verify(name, direction, chain=peer_chain(ours))
    except Declined as declined:
        got = declined.reason
    assert got is MATRIX[name][0 if direction is Direction.IN else 1]


def test_the_handshake_refuses_nothing_that_the_policy_would_accept(world: World) -> None:
    accepted = {name for name, reasons in MATRIX.items() if None in reasons}
    assert not accepted & set(REFUSED_IN_HANDSHAKE)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("direction", list(Direction))
def test_the_whole_chain_presented_is_read_leaf_first(
    world: World, direction: Direction, version: ssl.TLSVersion
) -> None:
    for name in ("operator-b", "deep-chain", UNLISTED):
        ends = meet(world, name, direction, version)
        ours = ends.server if direction is Direction.IN else ends.client
        assert peer_chain(ours) == chain_of(world.leaf(name))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_without_certificate_reaches_the_policy_and_is_told(
    world: World, version: ssl.TLSVersion
) -> None:
    client = peer_context(None, server=False, version=version)
    ends = handshake(PeerListenerContexts(credentials(world), world.anchors).take(), client)
    assert ends.server_error is None
    with pytest.raises(Declined) as declined:
        world.verify("x", chain=peer_chain(ends.server))
    assert declined.value.reason is Reason.CERTIFICATE_MISSING


@pytest.mark.parametrize("version", VERSIONS)
def test_a_second_connection_never_resumes_the_first(world: World, version: ssl.TLSVersion) -> None:
    contexts = PeerListenerContexts(credentials(world), world.anchors)
    client = peer_context(world.leaf("operator-b"), server=False, version=version)
    first = handshake(contexts.take(), client)
    assert first.server.version() is not None
    again = handshake(contexts.take(), client, session=first.client.session)
    assert (again.server_error, again.server.session_reused) == (None, False)
    assert peer_chain(again.server) == chain_of(world.leaf("operator-b"))


def test_tls_1_3_leaves_nothing_to_resume_so_its_context_serves_again(world: World) -> None:
    contexts = PeerListenerContexts(credentials(world), world.anchors)
    one = contexts.take()
    before = handshake(
        one, peer_context(world.leaf("operator-b"), server=False, version=ssl.TLSVersion.TLSv1_3)
    )
    assert before.server.version() == "TLSv1.3"
    assert contexts.take() is one
    # Kept alive: OpenSSL forgets the session of a connection that ends without its close_notify.
    ends = handshake(
        one, peer_context(world.leaf("operator-b"), server=False, version=ssl.TLSVersion.TLSv1_2)
    )
    assert contexts.take() is not one
    assert not ends.server.session_reused


def test_a_resumed_session_shows_the_certificates_of_the_handshake_that_began_it(world: World) -> None:
    """Two handshakes at once may share a context: whoever resumes is judged anew by the same certificates."""
    context = PeerListenerContexts(credentials(world), world.anchors).take()
    client = peer_context(world.leaf("operator-b"), server=False, version=ssl.TLSVersion.TLSv1_2)
    first = handshake(context, client)
    second = handshake(context, client, session=first.client.session)
    assert second.server.session_reused
    assert peer_chain(second.server) == peer_chain(first.server) == chain_of(world.leaf("operator-b"))


def test_a_session_begun_without_a_certificate_brings_none_when_it_is_resumed(world: World) -> None:
    context = PeerListenerContexts(credentials(world), world.anchors).take()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    first = handshake(context, client)
    second = handshake(context, client, session=first.client.session)
    assert second.server.session_reused
    assert peer_chain(second.server) == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("begun", "offered"), list(permutations(LISTENERS, 2)))
def test_a_session_of_another_listener_is_not_taken(
    world: World, begun: str, offered: str, version: ssl.TLSVersion
) -> None:
    listeners = _listeners(world)
    client = peer_context(world.leaf("operator-b"), server=False, version=version)
    first = handshake(listeners[begun], client)
    second = handshake(listeners[offered], client, session=first.client.session)
    assert (second.server_error, second.server.session_reused) == (None, False)


@pytest.mark.parametrize("version", VERSIONS)
def test_whatever_host_is_asked_for_the_certificate_is_the_same(
    world: World, version: ssl.TLSVersion
) -> None:
    """T15: a name that is not ours gets no other certificate, and is not told apart."""
    client = peer_context(world.leaf("operator-b"), server=False, version=version)
    for listener in _listeners(world).values():
        shown = set()
        for host in (None, "localhost", "mail.operator-c.test", "xn--oprateur-b1a.test"):
            ends = handshake(listener, client, host=host)
            assert (ends.server_error, ends.client_error) == (None, None)
            shown.add(ends.client.getpeercert(binary_form=True))
        assert len(shown) == 1


def _listeners(world: World) -> dict[str, ssl.SSLContext]:
    ours = credentials(world)
    relay, submission, imap = LISTENERS
    return {
        relay: PeerListenerContexts(ours, world.anchors).take(),
        submission: tls.user_server_context(ours),
        imap: tls.user_server_context(ours),
    }


def test_users_are_not_asked_for_a_certificate(world: World) -> None:
    client = peer_context(world.leaf("operator-b"), server=False, version=ssl.TLSVersion.TLSv1_3)
    ends = handshake(tls.user_server_context(credentials(world)), client)
    assert ends.server_error is None
    assert peer_chain(ends.server) == []


def test_each_context_says_1_2_at_least_though_its_suites_would_already(world: World) -> None:
    for context in (
        PeerListenerContexts(credentials(world), world.anchors).take(),
        peer_client_context(credentials(world), world.anchors),
        tls.user_server_context(credentials(world)),
    ):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.options & ssl.OP_NO_COMPRESSION
        assert context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_are_refused(world: World, version: ssl.TLSVersion) -> None:
    client = peer_context(world.leaf("operator-b"), server=False, version=version)
    ends = handshake(PeerListenerContexts(credentials(world), world.anchors).take(), client)
    assert ends.server_error is not None


@pytest.mark.parametrize(
    "suites", ["AES256-GCM-SHA384", "DHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-SHA", "NULL-SHA256"]
)
def test_suites_outside_the_list_are_refused(world: World, suites: str) -> None:
    client = peer_context(world.leaf("operator-b"), server=False, version=ssl.TLSVersion.TLSv1_2)
    client.set_ciphers(f"{suites}:@SECLEVEL=0")
    ends = handshake(PeerListenerContexts(credentials(world, "operator-b"), world.anchors).take(), client)
    assert ends.server_error is not None


@pytest.mark.parametrize("suite", [suite for suite in tls.SUITES.split(":") if "RSA" in suite])
def test_the_suites_of_the_facts_are_spoken(world: World, suite: str) -> None:
    client = peer_context(world.leaf("operator-b"), server=False, version=ssl.TLSVersion.TLSv1_2)
    client.set_ciphers(suite)
    ends = handshake(PeerListenerContexts(credentials(world, "operator-b"), world.anchors).take(), client)
    used = ends.server.cipher()
    assert used is not None
    assert used[0] == suite
