"""Path building: bounded, loops and cross-signing survived, each authority checked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from mssante import limits
from mssante.demo.certs.authority import Authority, Issued, p256, root, usage
from mssante.demo.certs.cases import Workshop, authority_name
from mssante.model import Malformed
from mssante.reasons import Reason, Refused
from mssante.trust.certificate import Certificate
from mssante.trust.path import Anchors, helpful, trusted_path

from .conftest import NOW, World, chain_of
from .test_policy import MATRIX

DAY = timedelta(days=1)
UNTRUSTED = Reason.CERTIFICATE_UNTRUSTED_ISSUER


@pytest.fixture(scope="module")
def shop(world: World) -> Workshop:
    return Workshop(
        root=world.pki.root,
        organisations=world.pki.organisations,
        now=NOW,
        ec_key=p256(),
        rsa_key=rsa.generate_private_key(65537, 2048),
    )


def read(certificate: x509.Certificate) -> Certificate:
    return Certificate.read(certificate.public_bytes(Encoding.DER))


def path_of(
    world: World, issued: Issued, *, extra: tuple[x509.Certificate, ...] = (), now: datetime = NOW
) -> tuple[Certificate, ...]:
    presented = [one.public_bytes(Encoding.DER) for one in (*extra, *issued.chain)]
    return trusted_path(read(issued.certificate), helpful(presented, world.anchors), world.anchors, now=now)


def refusal(call: Callable[[], object]) -> Reason:
    with pytest.raises(Refused) as refused:
        call()
    return refused.value.reason


def test_a_path_goes_from_the_leaf_to_an_anchor(world: World) -> None:
    path = path_of(world, world.leaf("operator-a").issued)
    assert path[0] == read(world.leaf("operator-a").issued.certificate)
    assert path[1:] == (*world.anchors.intermediates, *world.anchors.roots)


def test_a_path_has_so_many_certificates_and_no_more(world: World, shop: Workshop) -> None:
    above = shop.root
    for length in range(3, limits.CHAIN_CERTIFICATES_MAX + 1):
        above = shop.below(above, f"ac-{length}")
        assert len(path_of(world, shop.case("x", by=above).issued)) == length
    too_deep = shop.case("x", by=shop.below(above, "ac-trop")).issued
    assert refusal(lambda: path_of(world, too_deep)) is UNTRUSTED


def test_what_we_have_what_is_unreadable_and_what_comes_twice_is_no_help(
    world: World, shop: Workshop
) -> None:
    other = shop.below(shop.root, "ac-x").certificate.public_bytes(Encoding.DER)
    ours = [one.der for one in world.anchors.issuers]
    assert [one.der for one in helpful([*ours, other, b"rubbish", other], world.anchors)] == [other]


def test_an_expired_authority_is_told_by_name(world: World, shop: Workshop) -> None:
    old = shop.below(shop.root, "ac-ancienne")
    late = old.certificate.not_valid_after_utc + DAY
    issued = shop.case("x", by=old, not_after=late + DAY).issued
    with pytest.raises(Refused) as refused:
        path_of(world, issued, now=late)
    assert refused.value.reason is Reason.CERTIFICATE_EXPIRED
    assert "AC-ANCIENNE" in refused.value.detail


def test_a_weak_authority_makes_its_leaves_weak(world: World, shop: Workshop) -> None:
    small = rsa.generate_private_key(65537, 1024)
    weak = shop.root.authority(authority_name("AC FAIBLE"), small, now=NOW, label="faible")
    assert refusal(lambda: path_of(world, shop.case("x", by=weak).issued)) is Reason.CERTIFICATE_WEAK


def test_an_authority_that_may_not_sign_certificates_is_none(world: World, shop: Workshop) -> None:
    key = p256()
    issued = shop.root.issue(authority_name("AC SANS DROIT"), key, now=NOW, is_authority=True)
    fake = Authority(certificate=issued.certificate, key=key, label="x", chain=(issued.certificate,))
    assert refusal(lambda: path_of(world, shop.case("x", by=fake).issued)) is UNTRUSTED


def test_an_unknown_critical_extension_of_an_authority_is_not_passed_over(
    world: World, shop: Workshop
) -> None:
    odd = x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None)
    builder = shop.below(shop.root, "ac-x", extra=(odd,))
    path_of(world, shop.case("x", by=builder).issued)  # not critical: passed over, RFC 5280 §4.2
    certificate = _with_critical(shop, odd)
    strict = Authority(certificate=certificate, key=shop.ec_key, label="x", chain=(certificate,))
    assert refusal(lambda: path_of(world, shop.case("x", by=strict).issued)) is UNTRUSTED


def test_name_constraints_are_not_passed_over_even_where_not_critical(world: World, shop: Workshop) -> None:
    """RFC 5280 §4.2.1.10 wants them critical; an authority that forgot meant them all the same."""
    elsewhere = x509.NameConstraints(
        permitted_subtrees=[x509.DNSName("ailleurs.test")], excluded_subtrees=None
    )
    issued = shop.root.issue(
        authority_name("AC BORNEE"),
        shop.ec_key,
        now=NOW,
        is_authority=True,
        key_usage=usage(signature=False, encipherment=False, authority=True),
        extra=[elsewhere],
    )
    bound = Authority(certificate=issued.certificate, key=shop.ec_key, label="x", chain=(issued.certificate,))
    assert refusal(lambda: path_of(world, shop.case("x", by=bound).issued)) is UNTRUSTED


def _with_critical(shop: Workshop, extension: x509.ExtensionType) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(authority_name("AC STRICTE"))
        .issuer_name(shop.root.certificate.subject)
        .public_key(shop.ec_key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(extension, critical=True)
        .sign(shop.root.key, hashes.SHA256())
    )


def test_of_two_paths_the_good_one_is_taken_whatever_the_order(world: World, shop: Workshop) -> None:
    """An authority renewed under the same name and key: one certificate of it has expired."""
    name, key = authority_name("AC RENOUVELEE"), p256()
    new = shop.root.authority(name, key, now=NOW, label="x")
    old = shop.root.authority(name, key, now=NOW - 15 * 365 * DAY, label="x")
    assert old.certificate.not_valid_after_utc < NOW
    issued = replace(shop.case("x", by=new).issued, chain=())
    for order in ((old.certificate, new.certificate), (new.certificate, old.certificate)):
        assert path_of(world, issued, extra=order)[1] == read(new.certificate)
    assert refusal(lambda: path_of(world, issued, extra=(old.certificate,))) is Reason.CERTIFICATE_EXPIRED


def test_authorities_that_sign_each_other_lead_nowhere_and_fast(world: World, shop: Workshop) -> None:
    """Seven certificates of one name and one key: every order of them is a chain of good signatures."""
    name, key = authority_name("AC MIROIR"), p256()
    mirror = root(name, key, now=NOW, label="x")
    copies = [mirror.authority(name, key, now=NOW, label="x").certificate for _ in range(7)]
    issued = replace(shop.case("x", by=mirror).issued, chain=())
    started = time.process_time()
    assert refusal(lambda: path_of(world, issued, extra=tuple(copies))) is UNTRUSTED
    assert time.process_time() - started < 0.1


def test_a_key_of_the_issuer_name_but_not_its_own_signs_nothing(world: World, shop: Workshop) -> None:
    impostor = root(world.pki.organisations.certificate.subject, p256(), now=NOW, label="x")
    issued = shop.case("x", by=impostor).issued
    assert refusal(lambda: path_of(world, issued, extra=(impostor.certificate,))) is UNTRUSTED


def test_test_anchors_are_known_as_such(world: World) -> None:
    assert world.anchors.are_test
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "AC RACINE")])
    real = root(name, p256(), now=NOW, label="x")
    assert not Anchors(roots=(read(real.certificate),)).are_test
    assert Anchors(roots=(read(real.certificate),), intermediates=world.anchors.intermediates).are_test


def test_a_bad_certificate_in_a_file_of_ours_costs_itself_only(world: World, tmp_path: Path) -> None:
    good = world.anchors.intermediates[0].parsed.public_bytes(Encoding.PEM)
    bad = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
    file = tmp_path / "issuing.pem"
    file.write_bytes(bad + good)
    (tmp_path / "anchors.pem").write_bytes(good)
    found = Anchors.load(tmp_path / "anchors.pem", file)
    assert found.intermediates == world.anchors.intermediates[:1]
    assert [(unused.file, unused.why) for unused in found.unused] == [
        ("issuing.pem", "certificate 1: no PEM certificate")
    ]
    file.write_bytes(bad)
    with pytest.raises(Malformed, match=r"issuing\.pem: certificate 1"):
        Anchors.load(tmp_path / "anchors.pem", file)


def test_a_bad_anchor_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "anchors.pem"
    file.write_text("rien")
    with pytest.raises(Malformed, match=r"anchors\.pem: no PEM certificate"):
        Anchors.load(file)


def _second_opinion(world: World, name: str) -> bool:
    """`cryptography`'s own verifier on the same chain, its extension rules for leaves left aside."""
    policy = ExtensionPolicy.permit_all().require_present(
        x509.BasicConstraints, Criticality.AGNOSTIC, lambda _policy, _certificate, value: _is_authority(value)
    )
    builder = PolicyBuilder().store(Store([one.parsed for one in world.anchors.roots])).time(NOW)
    verifier = builder.extension_policies(
        ca_policy=policy, ee_policy=ExtensionPolicy.permit_all()
    ).build_client_verifier()
    leaf, *others = chain_of(world.leaf(name))
    between = [x509.load_der_x509_certificate(der) for der in others]
    known = [one.parsed for one in world.anchors.intermediates]
    try:
        verifier.verify(x509.load_der_x509_certificate(leaf), [*between, *known])
    except (VerificationError, ValueError):
        return False
    return True


def _is_authority(value: x509.ExtensionType | None) -> None:
    if not isinstance(value, x509.BasicConstraints) or not value.ca:
        raise ValueError("not an authority")


def test_no_path_is_trusted_that_another_verifier_refuses(world: World) -> None:
    """What we trust beyond it must be for a rule of ours that comes after the path."""
    assert _second_opinion(world, "valide")
    beyond = set()
    for name in MATRIX:
        leaf, *others = chain_of(world.leaf(name))
        try:
            ours = bool(
                trusted_path(Certificate.read(leaf), helpful(others, world.anchors), world.anchors, now=NOW)
            )
        except (Refused, Malformed):
            ours = False
        if ours and not _second_opinion(world, name):
            beyond.add(name)
    # Refused by verify_peer before any path is sought.
    assert beyond == {"version-1"}
