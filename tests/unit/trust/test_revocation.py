"""Revocation lists with an injected clock (T10): fresh, in grace, expired, missing, forged, older, other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from mssante import limits
from mssante.demo.certs import der
from mssante.demo.certs.authority import Authority, p256, rsa2048, usage
from mssante.demo.certs.cases import authority_name
from mssante.reasons import Declined, Passing, Reason, Refused
from mssante.trust.certificate import Certificate
from mssante.trust.revocation import CrlState, Revocations

from .conftest import NOW, World, chain_of

DAY = timedelta(days=1)
GRACE = timedelta(seconds=limits.CRL_GRACE_SECONDS)


@pytest.fixture
def issuing(world: World) -> Certificate:
    return world.anchors.intermediates[0]


def leaf(world: World, name: str = "operator-a") -> Certificate:
    return Certificate.read(chain_of(world.leaf(name))[0])


def put(directory: Path, crl: x509.CertificateRevocationList, name: str = "a.crl") -> Path:
    (directory / name).write_bytes(crl.public_bytes(Encoding.PEM))
    return directory


def load(world: World, directory: Path, known: Revocations | None = None) -> Revocations:
    return Revocations.load(directory, issuers=world.anchors.issuers, now=NOW, known=known)


def outcome(
    revocations: Revocations, world: World, name: str, issuer: Certificate, days: float
) -> Reason | None:
    try:
        revocations.check(leaf(world, name), issuer=issuer, now=NOW + timedelta(days=days))
    except Declined as declined:
        return declined.reason
    return None


def test_a_list_is_fresh_then_in_grace_then_expired_and_only_then_a_doubt(
    world: World, issuing: Certificate
) -> None:
    crl = next(crl for crl in world.crls.crls.values() if crl.issuer == issuing)
    second = timedelta(seconds=1)
    for moment, state, reason in (
        (crl.next_update, CrlState.FRESH, None),
        (crl.next_update + second, CrlState.GRACE, None),
        (crl.next_update + GRACE, CrlState.GRACE, None),
        (crl.next_update + GRACE + second, CrlState.EXPIRED, Reason.REVOCATION_UNKNOWN),
    ):
        assert world.crls.state(issuing, moment) is state
        days = (moment - NOW) / DAY
        assert outcome(world.crls, world, "operator-a", issuing, days) is reason


def test_what_was_revoked_stays_so_at_any_age(world: World, issuing: Certificate) -> None:
    for days in (0, 8.5, 400):
        with pytest.raises(Refused) as refused:
            world.crls.check(leaf(world, "revoque"), issuer=issuing, now=NOW + days * DAY)
        assert refused.value.reason is Reason.CERTIFICATE_REVOKED


def test_an_empty_folder_is_a_doubt(world: World, issuing: Certificate, tmp_path: Path) -> None:
    found = load(world, tmp_path)
    assert found.state(issuing, NOW) is CrlState.MISSING
    with pytest.raises(Passing) as passing:
        found.check(leaf(world), issuer=issuing, now=NOW)
    assert passing.value.reason is Reason.REVOCATION_UNKNOWN


def test_der_is_read_like_pem(world: World, issuing: Certificate, tmp_path: Path) -> None:
    crl = world.pki.organisations.crl(now=NOW)
    (tmp_path / "a.crl").write_bytes(crl.public_bytes(Encoding.DER))
    assert load(world, tmp_path).state(issuing, NOW) is CrlState.FRESH


def test_a_revocation_after_the_start_is_seen_at_the_next_reading(
    world: World, issuing: Certificate, tmp_path: Path
) -> None:
    authority = world.pki.organisations
    before = load(world, put(tmp_path, authority.crl(now=NOW, number=5)))
    assert outcome(before, world, "operator-a", issuing, 0) is None
    fallen = [world.leaf("operator-a").issued.certificate]
    put(tmp_path, authority.crl(now=NOW, number=6, revoked=fallen))
    after = load(world, tmp_path, known=before)
    assert outcome(after, world, "operator-a", issuing, 0) is Reason.CERTIFICATE_REVOKED
    assert outcome(before, world, "operator-a", issuing, 0) is None  # a snapshot stays what it was


def test_an_older_number_never_replaces_a_newer_one(
    world: World, issuing: Certificate, tmp_path: Path
) -> None:
    authority = world.pki.organisations
    fallen = [world.leaf("operator-a").issued.certificate]
    known = load(world, put(tmp_path, authority.crl(now=NOW, number=6, revoked=fallen)))
    # Replayed: an older list, though it says it is good for a year.
    put(tmp_path, authority.crl(now=NOW, number=5, life=365 * DAY))
    found = load(world, tmp_path, known=known)
    assert [unused.why for unused in found.unused] == ["older than the list in use"]
    assert outcome(found, world, "operator-a", issuing, 0) is Reason.CERTIFICATE_REVOKED


def test_of_several_files_the_newest_counts_whatever_their_names(
    world: World, issuing: Certificate, tmp_path: Path
) -> None:
    authority = world.pki.organisations
    fallen = [world.leaf("operator-a").issued.certificate]
    for name, number, revoked in (("a", 1, []), ("b", 3, fallen), ("c", 2, [])):
        put(tmp_path, authority.crl(now=NOW, number=number, revoked=revoked), name)
    found = load(world, tmp_path)
    assert outcome(found, world, "operator-a", issuing, 0) is Reason.CERTIFICATE_REVOKED
    assert [unused.file for unused in found.unused] == ["c"]


def test_a_folder_that_becomes_empty_or_bad_changes_nothing(
    world: World, issuing: Certificate, tmp_path: Path
) -> None:
    for file in tmp_path.iterdir():
        file.unlink()
    (tmp_path / "a.crl").write_bytes(b"<html>404</html>")
    found = load(world, tmp_path, known=world.crls)
    assert found.state(issuing, NOW) is CrlState.FRESH
    assert "not a certificate revocation list" in found.unused[0].why


def test_a_file_that_no_parser_expects_costs_itself_only(
    world: World, issuing: Certificate, tmp_path: Path
) -> None:
    """A version that X.509 does not have needs no valid signature to raise what is no ValueError."""
    good = world.pki.organisations.crl(now=NOW)
    put(tmp_path, good, "b.crl")
    octets = good.public_bytes(Encoding.DER)
    version = octets.index(b"\x02\x01\x01")  # RFC 5280 §5.1.2.1: v2 is 1
    (tmp_path / "a.crl").write_bytes(octets[:version] + b"\x02\x01\x05" + octets[version + 3 :])
    found = load(world, tmp_path)
    assert found.state(issuing, NOW) is CrlState.FRESH
    assert [(unused.file, unused.why) for unused in found.unused] == [
        ("a.crl", "not a certificate revocation list (InvalidVersion)")
    ]


def _other(world: World) -> Authority:
    """The issuing authority's name, another key."""
    return replace(world.pki.organisations, key=rsa2048())


def _damaged(crl: x509.CertificateRevocationList) -> x509.CertificateRevocationList:
    octets = bytearray(crl.public_bytes(Encoding.DER))
    octets[-1] ^= 1
    return x509.load_der_x509_crl(bytes(octets))


def _with_sha1(world: World) -> x509.CertificateRevocationList:
    key = world.pki.organisations.key
    assert isinstance(key, rsa.RSAPrivateKey)
    good = world.pki.organisations.crl(now=NOW)
    return x509.load_der_x509_crl(der.sha1_form(good.tbs_certlist_bytes, key))


def _with(world: World, extension: x509.ExtensionType, *, critical: bool) -> x509.CertificateRevocationList:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(world.pki.organisations.certificate.subject)
        .last_update(NOW)
        .next_update(NOW + DAY)
        .add_extension(x509.CRLNumber(9), critical=False)
        .add_extension(extension, critical=critical)
    )
    return builder.sign(world.pki.organisations.key, hashes.SHA256())


def _idp(**flags: bool) -> x509.IssuingDistributionPoint:
    usual = dict.fromkeys(
        (
            "only_contains_user_certs",
            "only_contains_ca_certs",
            "indirect_crl",
            "only_contains_attribute_certs",
        ),
        False,
    )
    name = [x509.UniformResourceIdentifier("http://crl.igc-sante.test/organisations.crl")]
    return x509.IssuingDistributionPoint(
        full_name=name, relative_name=None, only_some_reasons=None, **{**usual, **flags}
    )


BAD: dict[str, tuple[Callable[[World], x509.CertificateRevocationList], str]] = {
    "another key": (lambda world: _other(world).crl(now=NOW), "not signed by an authority we know"),
    "a leaf": (
        lambda world: Authority(
            certificate=world.leaf("operator-b").issued.certificate,
            key=world.leaf("operator-b").issued.key,
            label="x",
        ).crl(now=NOW),
        "not signed by an authority we know",
    ),
    "damaged": (
        lambda world: _damaged(world.pki.organisations.crl(now=NOW)),
        "not signed by an authority we know",
    ),
    "sha1": (_with_sha1, "not signed by an authority we know"),
    "delta": (lambda world: _with(world, x509.DeltaCRLIndicator(1), critical=True), "a delta list"),
    "partial": (
        lambda world: _with(world, _idp(only_contains_user_certs=True), critical=True),
        "a partial or indirect list",
    ),
    "indirect": (
        lambda world: _with(world, _idp(indirect_crl=True), critical=True),
        "a partial or indirect list",
    ),
    "unknown critical": (
        lambda world: _with(
            world, x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), critical=True
        ),
        "a critical extension we do not apply",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_full_list_of_a_known_authority_does_not_count(
    world: World, issuing: Certificate, tmp_path: Path, kind: str
) -> None:
    made, why = BAD[kind]
    found = load(world, put(tmp_path, made(world)))
    assert found.state(issuing, NOW) is CrlState.MISSING
    assert why in found.unused[0].why


def test_an_authority_that_may_not_sign_lists_signs_none(world: World, tmp_path: Path) -> None:
    key = p256()
    only = usage(signature=True, encipherment=False, authority=False)
    for key_usage, expected in ((None, CrlState.FRESH), (only, CrlState.MISSING)):
        issued = world.pki.root.issue(
            authority_name("AC SANS LISTE"),
            key,
            now=NOW,
            is_authority=True,
            key_usage=key_usage or _ca_usage(),
        )
        authority = Authority(certificate=issued.certificate, key=key, label="x")
        issuer = Certificate.read(issued.certificate.public_bytes(Encoding.DER))
        found = Revocations.load(put(tmp_path, authority.crl(now=NOW)), issuers=[issuer], now=NOW)
        assert found.state(issuer, NOW) is expected


def _ca_usage() -> x509.KeyUsage:
    return usage(signature=False, encipherment=False, authority=True)


def test_a_full_list_that_names_its_distribution_point_counts(
    world: World, issuing: Certificate, tmp_path: Path
) -> None:
    found = load(world, put(tmp_path, _with(world, _idp(), critical=True)))
    assert found.state(issuing, NOW) is CrlState.FRESH


def test_a_list_too_large_is_not_read(world: World, tmp_path: Path) -> None:
    with (tmp_path / "a.crl").open("wb") as file:
        file.truncate(500 * limits.MIB)  # sparse
    found = load(world, tmp_path)
    assert [unused.why for unused in found.unused] == ["too large"]


def test_a_check_costs_the_same_on_a_long_list(world: World, issuing: Certificate, tmp_path: Path) -> None:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(world.pki.organisations.certificate.subject)
        .last_update(NOW)
        .next_update(NOW + DAY)
    )
    entry = x509.RevokedCertificateBuilder().revocation_date(NOW)
    for serial in range(1, 2001):
        builder = builder.add_revoked_certificate(entry.serial_number(serial).build())
    found = load(world, put(tmp_path, builder.sign(world.pki.organisations.key, hashes.SHA256())))
    crl = next(iter(found.crls.values()))
    assert len(crl.serials) == 2000
    assert isinstance(crl.serials, frozenset)
    assert outcome(found, world, "operator-a", issuing, 0) is None


def test_only_our_own_authorities_have_lists_so_a_presented_one_leaves_a_doubt(
    world: World, tmp_path: Path
) -> None:
    bare = Revocations.load(world.pki.crls, issuers=world.anchors.roots, now=NOW)
    with pytest.raises(Passing) as passing:
        world.verify("operator-a", crls=bare)
    assert passing.value.reason is Reason.REVOCATION_UNKNOWN


@pytest.mark.parametrize("octets", [21, 2000])
def test_a_number_that_no_list_has_costs_its_file_only(world: World, tmp_path: Path, octets: int) -> None:
    """RFC 5280 §5.2.3: at most 20 octets. Such a floor would stand for ever, and the larger one cannot even
    be written down."""
    authority = world.pki.organisations
    put(tmp_path, authority.crl(now=NOW, number=7))
    put(tmp_path, authority.crl(now=NOW, number=2 ** (8 * octets - 8)), "b.crl")
    found = load(world, tmp_path)
    assert [crl.number for crl in found.crls.values()] == [7]
    assert [unused.file for unused in found.unused] == ["b.crl"]
