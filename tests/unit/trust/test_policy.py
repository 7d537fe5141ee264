"""verify_peer on every certificate we can name, both directions: catalogue T5, T6, T7, ANS cases."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.demo.certs.authority import host_names, p256, usage
from mssante.model import Direction, Domain
from mssante.reasons import Declined, Passing, Reason, Refused
from mssante.trust.certificate import Certificate, identity_of
from mssante.trust.names import DistinguishedName
from mssante.trust.path import Anchors
from mssante.trust.policy import Rules, VerifiedPeer
from mssante.trust.revocation import Revocations
from mssante.trust.space import Entry, TrustSpace

from .conftest import NOW, UNLISTED, World, chain_of

IN, OUT = Direction.IN, Direction.OUT
R = Reason

# certificate -> the reason inbound, the reason outbound; None is accepted.
MATRIX: dict[str, tuple[Reason | None, Reason | None]] = {
    # the ANS conformity cases
    "valide": (None, None),
    "expire": (R.CERTIFICATE_EXPIRED, R.CERTIFICATE_EXPIRED),
    "revoque": (R.CERTIFICATE_REVOKED, R.CERTIFICATE_REVOKED),
    "non-igc": (R.CERTIFICATE_UNTRUSTED_ISSUER, R.CERTIFICATE_UNTRUSTED_ISSUER),
    "no-match": (R.PEER_NOT_LISTED, R.PEER_NOT_LISTED),
    "cn-diff-dn": (R.CERTIFICATE_NAME_MISMATCH, R.CERTIFICATE_NAME_MISMATCH),
    # T5
    UNLISTED: (R.PEER_NOT_LISTED, R.PEER_NOT_LISTED),
    "eku-server-only": (R.CERTIFICATE_WRONG_USAGE, None),
    "eku-client-only": (None, R.CERTIFICATE_WRONG_USAGE),
    "no-eku": (R.CERTIFICATE_WRONG_USAGE, R.CERTIFICATE_WRONG_USAGE),
    "not-yet-valid": (R.CERTIFICATE_NOT_YET_VALID, R.CERTIFICATE_NOT_YET_VALID),
    "self-signed": (R.CERTIFICATE_UNTRUSTED_ISSUER, R.CERTIFICATE_UNTRUSTED_ISSUER),
    "unknown-intermediate": (R.CERTIFICATE_UNTRUSTED_ISSUER, R.CERTIFICATE_UNTRUSTED_ISSUER),
    "ca-leaf": (R.CERTIFICATE_WRONG_USAGE, R.CERTIFICATE_WRONG_USAGE),
    "leaf-as-ca": (R.CERTIFICATE_UNTRUSTED_ISSUER, R.CERTIFICATE_UNTRUSTED_ISSUER),
    "ca-without-constraints": (R.CERTIFICATE_UNTRUSTED_ISSUER, R.CERTIFICATE_UNTRUSTED_ISSUER),
    "pathlen": (R.CERTIFICATE_UNTRUSTED_ISSUER, R.CERTIFICATE_UNTRUSTED_ISSUER),
    "name-constraints": (R.CERTIFICATE_UNTRUSTED_ISSUER, R.CERTIFICATE_UNTRUSTED_ISSUER),
    "deep-chain": (R.CERTIFICATE_MALFORMED, R.CERTIFICATE_MALFORMED),
    "revoked-authority": (R.CERTIFICATE_REVOKED, R.CERTIFICATE_REVOKED),
    "sha1": (R.CERTIFICATE_WEAK, R.CERTIFICATE_WEAK),
    "rsa-1024": (R.CERTIFICATE_WEAK, R.CERTIFICATE_WEAK),
    "p-192": (R.CERTIFICATE_WEAK, R.CERTIFICATE_WEAK),
    "version-1": (R.CERTIFICATE_MALFORMED, R.CERTIFICATE_MALFORMED),
    "huge": (R.CERTIFICATE_MALFORMED, R.CERTIFICATE_MALFORMED),
    # T6
    "san-absent": (None, None),
    "san-other": (R.CERTIFICATE_NAME_MISMATCH, R.CERTIFICATE_NAME_MISMATCH),
    "san-wildcard": (R.CERTIFICATE_NAME_MISMATCH, R.CERTIFICATE_NAME_MISMATCH),
    "san-ip-only": (R.CERTIFICATE_NAME_MISMATCH, R.CERTIFICATE_NAME_MISMATCH),
    "san-unicode": (R.CERTIFICATE_NAME_MISMATCH, R.CERTIFICATE_NAME_MISMATCH),
}
OPERATORS = ("operator-a", "operator-b", "operator-c", "operator-d", "operator-e")


def reason_of(world: World, name: str, direction: Direction = IN, **changes: Any) -> Reason | None:
    try:
        world.verify(name, direction, **changes)
    except Declined as error:
        return error.reason
    return None


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("name", list(MATRIX))
def test_each_certificate_meets_its_own_verdict(world: World, name: str, direction: Direction) -> None:
    expected = MATRIX[name][0 if direction is IN else 1]
    assert reason_of(world, name, direction) is expected
    if expected is not None:
        with pytest.raises(Refused):  # for ever: none of them passes with time
            world.verify(name, direction)


def test_the_matrix_covers_every_certificate_made(world: World) -> None:
    operators = {name for name in world.pki.leaves if name.startswith("operator-")}
    assert set(world.pki.leaves) - operators == set(MATRIX)


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_is_accepted_and_named(world: World, name: str, direction: Direction) -> None:
    peer = world.verify(name, direction)
    leaf = world.leaf(name)
    assert str(peer.name) == leaf.dn == peer.identity.dn
    assert peer.identity.serial == f"{leaf.issued.certificate.serial_number:x}"
    assert (peer.direction, peer.verified_at) == (direction, NOW)
    peer.speaks_for(world.domain(name))
    peer.speaks_for(None)


@pytest.mark.parametrize("one", OPERATORS)
@pytest.mark.parametrize("other", OPERATORS)
def test_an_operator_speaks_for_its_own_domain_alone(world: World, one: str, other: str) -> None:
    peer = world.verify(one)
    if one == other:
        peer.speaks_for(world.domain(other))
        return
    with pytest.raises(Refused) as refused:
        peer.speaks_for(world.domain(other))
    assert refused.value.reason is Reason.DOMAIN_OF_ANOTHER_OPERATOR


def test_nobody_speaks_for_a_domain_that_is_not_listed_nor_for_a_subdomain(world: World) -> None:
    peer = world.verify("operator-a")
    for text in ("ailleurs.test", f"sous.{world.domain('operator-a')}"):
        with pytest.raises(Refused) as refused:
            peer.speaks_for(Domain.parse(text))
        assert refused.value.reason is Reason.DOMAIN_NOT_LISTED


def test_both_certificates_of_an_operator_speak_for_it(world: World) -> None:
    world.verify("operator-a-spare").speaks_for(world.domain("operator-a"))


def reason_of_issued(world: World, subject: x509.Name, **change: Any) -> Reason | None:
    """A certificate made for one test, its name listed."""
    issued = world.pki.organisations.issue(subject, p256(), now=NOW, **change)
    name = DistinguishedName.of(subject)
    space = TrustSpace.from_entries([Entry(Domain("x.test"), name)], source="test")
    chain = [one.public_bytes(Encoding.DER) for one in (issued.certificate, *issued.chain)]
    return reason_of(world, "x", chain=chain, space=space)


def named(*common_names: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in common_names])


@pytest.mark.parametrize(
    ("common_names", "hosts", "reason"),
    [
        (("mss.x.test",), ("mss.x.test",), None),
        (("MSS.x.test",), ("mss.X.test",), None),
        (("mss.x.test",), ("autre.x.test", "mss.x.test"), None),
        (("*.x.test",), ("*.x.test",), R.CERTIFICATE_NAME_MISMATCH),
        (("mss.x.test",), ("*.x.test",), R.CERTIFICATE_NAME_MISMATCH),
        (("mss.x.test",), ("mss.x.test.autre.test",), R.CERTIFICATE_NAME_MISMATCH),
        (("x.test",), ("mss.x.test",), R.CERTIFICATE_NAME_MISMATCH),
        (("mss.x.test", "mss.x.test"), ("mss.x.test",), R.CERTIFICATE_NAME_MISMATCH),
        (("mss.x.test", "autre.test"), ("mss.x.test",), R.CERTIFICATE_NAME_MISMATCH),
        # The kelvin sign: in lower case it is the letter k.
        (("mss.\u212a.test",), ("mss.k.test",), R.CERTIFICATE_NAME_MISMATCH),
        (("127.0.0.1",), (), R.CERTIFICATE_NAME_MISMATCH),
    ],
)
def test_where_hosts_are_named_the_cn_is_one_of_them_exactly(
    world: World, common_names: tuple[str, ...], hosts: tuple[str, ...], reason: Reason | None
) -> None:
    names = host_names(*hosts)
    assert reason_of_issued(world, named(*common_names), alternative_names=names) is reason


def test_a_mail_address_beside_the_name_is_no_host(world: World) -> None:
    names = [x509.RFC822Name("contact@x.test")]
    assert reason_of_issued(world, named("SERVICE X"), alternative_names=names) is None


def test_a_key_that_may_not_sign_a_handshake_is_refused(world: World) -> None:
    only = usage(signature=False, encipherment=True, authority=False)
    assert reason_of_issued(world, named("x"), key_usage=only) is Reason.CERTIFICATE_WRONG_USAGE


def test_a_critical_extension_we_do_not_apply_is_refused(world: World) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert reason_of_issued(world, named("x"), extra=[unknown]) is None
    assert reason_of_issued(world, named("x"), critical=[unknown]) is Reason.CERTIFICATE_MALFORMED


def test_no_certificate_is_refused(world: World) -> None:
    assert reason_of(world, "valide", chain=[]) is Reason.CERTIFICATE_MISSING


def test_a_proof_is_made_by_the_verifier_alone(world: World) -> None:
    peer = world.verify("operator-a")
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(peer, direction=OUT)  # type: ignore[call-arg]  # the proof is what lacks
    fields = {
        field.name: getattr(peer, field.name) for field in dataclasses.fields(VerifiedPeer) if field.init
    }
    with pytest.raises(TypeError):
        VerifiedPeer(**fields, proof=object())
    with pytest.raises(dataclasses.FrozenInstanceError):
        peer.name = peer.name  # type: ignore[misc] # the point of the test


def test_a_leaf_sent_alone_is_judged_by_the_authorities_configured(world: World) -> None:
    leaf = chain_of(world.leaf("operator-b"))[:1]
    world.verify("operator-b", chain=leaf)
    bare = Anchors(roots=world.anchors.roots)
    assert reason_of(world, "x", chain=leaf, anchors=bare) is Reason.CERTIFICATE_UNTRUSTED_ISSUER


def test_what_a_peer_presents_never_ends_a_path(world: World) -> None:
    other_root = world.leaf("non-igc").issued
    chain = [*chain_of(world.leaf("non-igc")), *(one.der for one in world.anchors.roots)]
    assert reason_of(world, "x", chain=chain) is Reason.CERTIFICATE_UNTRUSTED_ISSUER
    assert other_root.chain == ()


def test_order_duplicates_and_rubbish_above_the_leaf_do_not_matter(world: World) -> None:
    leaf, issuing = chain_of(world.leaf("operator-a"))
    root = world.anchors.roots[0].der
    world.verify("x", chain=[leaf, b"rubbish", root, issuing, issuing])


def test_many_presented_certificates_are_refused_unread(world: World) -> None:
    leaf = chain_of(world.leaf("operator-a"))[0]
    assert reason_of(world, "x", chain=[leaf] * 9) is Reason.CERTIFICATE_MALFORMED


def test_a_chain_too_long_is_no_path_even_when_few_enough_are_presented(world: World) -> None:
    chain = chain_of(world.leaf("deep-chain"))
    known = tuple(Certificate.read(der) for der in chain[1:])
    anchors = Anchors(roots=world.anchors.roots, intermediates=known)
    assert reason_of(world, "x", chain=chain[:1], anchors=anchors) is Reason.CERTIFICATE_UNTRUSTED_ISSUER


def test_a_root_as_leaf_is_refused(world: World) -> None:
    for root in (world.anchors.roots[0], world.anchors.intermediates[0]):
        for direction in Direction:
            assert reason_of(world, "x", direction, chain=[root.der]) in {
                Reason.CERTIFICATE_UNTRUSTED_ISSUER,
                Reason.CERTIFICATE_WRONG_USAGE,
            }


def test_dates_are_those_of_every_certificate_of_the_path_to_the_second(world: World) -> None:
    leaf = world.leaf("operator-a").issued.certificate
    second = timedelta(seconds=1)
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    for moment, reason in (
        (start, None),
        (start - second, Reason.CERTIFICATE_NOT_YET_VALID),
        (end + second, Reason.CERTIFICATE_EXPIRED),
    ):
        fresh = Revocations.load(world.pki.crls, issuers=world.anchors.issuers, now=NOW)
        got = reason_of(world, "operator-a", now=moment, crls=fresh)
        assert got is reason
    # At the last second its lists are old: it is in force, but nobody can say it is not revoked.
    assert reason_of(world, "operator-a", now=end) is Reason.REVOCATION_UNKNOWN
    issuing = world.anchors.intermediates[0]
    late = issuing.not_after + second
    assert reason_of(world, "operator-a", now=late) is Reason.CERTIFICATE_EXPIRED


def test_a_missing_list_is_a_doubt_and_never_a_revocation(world: World) -> None:
    with pytest.raises(Passing) as passing:
        world.verify("operator-a", crls=Revocations())
    assert passing.value.reason is Reason.REVOCATION_UNKNOWN


def test_an_unlisted_peer_is_refused_even_when_a_revocation_list_is_missing(world: World) -> None:
    assert reason_of(world, UNLISTED, crls=Revocations()) is Reason.PEER_NOT_LISTED


def test_the_usage_rule_can_be_relaxed_for_a_certificate_without_any_and_for_no_other(world: World) -> None:
    relaxed = Rules(extended_key_usage_required=False)
    for direction in Direction:
        assert reason_of(world, "no-eku", direction, rules=relaxed) is None
    assert reason_of(world, "eku-server-only", IN, rules=relaxed) is Reason.CERTIFICATE_WRONG_USAGE
    assert reason_of(world, "eku-client-only", OUT, rules=relaxed) is Reason.CERTIFICATE_WRONG_USAGE


def test_the_host_name_rule_can_be_relaxed_and_the_name_still_counts(world: World) -> None:
    relaxed = Rules(host_names_agree=False)
    for name in ("san-other", "san-wildcard", "san-ip-only", "san-unicode"):
        assert reason_of(world, name, rules=relaxed) is None
    assert reason_of(world, "no-match", rules=relaxed) is Reason.PEER_NOT_LISTED


def test_a_space_too_old_makes_every_verdict_pass_later_even_for_the_unlisted(world: World) -> None:
    dated = dataclasses.replace(world.space, generated_at=NOW - timedelta(days=8))
    rules = Rules(space_age_max=timedelta(days=7))
    for name in ("operator-a", UNLISTED):
        with pytest.raises(Passing) as passing:
            world.verify(name, space=dated, rules=rules)
        assert passing.value.reason is Reason.TRUST_SPACE_STALE
    assert reason_of(world, "revoque", space=dated, rules=rules) is Reason.CERTIFICATE_REVOKED
    assert reason_of(world, "operator-a", space=dated, rules=Rules()) is None


def test_a_name_taken_from_the_list_stops_speaking_at_the_next_proof(world: World) -> None:
    peer = world.verify("operator-a")
    without = TrustSpace.from_entries([], source="test")
    with pytest.raises(Refused) as refused:
        world.verify("x", chain=list(peer.evidence), space=without)
    assert refused.value.reason is Reason.PEER_NOT_LISTED


def test_a_refusal_never_holds_more_than_names_and_dates(world: World) -> None:
    with pytest.raises(Refused) as refused:
        world.verify("expire")
    assert "mss.expire.conformite.test" in refused.value.detail
    assert "2026-01-25" in refused.value.detail


def test_the_identity_of_anything_can_be_logged(world: World) -> None:
    der = chain_of(world.leaf("expire"))[0]
    assert identity_of(der).dn == world.leaf("expire").dn
    assert identity_of(b"rubbish").dn == ""
    assert len(identity_of(b"rubbish").fingerprint) == 64


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 2000), flip=st.integers(1, 255), cut=st.booleans())
def test_no_change_of_a_good_certificate_is_accepted_nor_breaks_the_verifier(
    world: World, at: int, flip: int, cut: bool
) -> None:
    leaf, issuing = chain_of(world.leaf("operator-a"))
    at %= len(leaf)
    changed = leaf[:at] if cut else leaf[:at] + bytes([leaf[at] ^ flip]) + leaf[at + 1 :]
    with pytest.raises(Refused):
        world.verify("x", chain=[changed, issuing])
