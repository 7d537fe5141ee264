"""The development PKI: its shape, its files, and that it stays quick."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from mssante.demo.annuaire import dev_ldif_path
from mssante.demo.certs.make import UNLISTED, Pki, build, operator_subject
from mssante.demo.certs.white_list import white_list, write
from mssante.trust.names import DistinguishedName
from mssante.trust.white_list import read

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return build(tmp_path_factory.mktemp("pki"), now=NOW)


def certificates(file: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(file.read_bytes())


def test_the_authorities_are_shaped_like_igc_sante_and_say_test(pki: Pki) -> None:
    (root,), (issuing,) = certificates(pki.anchors), certificates(pki.issuing)
    assert root.subject.rfc4514_string().startswith("CN=TEST AC RACINE IGC-SANTE ELEMENTAIRE,")
    assert (
        issuing.subject.rfc4514_string()
        == "CN=TEST AC IGC-SANTE ELEMENTAIRE ORGANISATIONS,OU=0002 187512751,O=ASIP-SANTE,C=FR"
    )
    issuing.verify_directly_issued_by(root)
    for one in (root, issuing):
        key = one.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        assert key.key_size == 2048


def test_an_operator_certificate_has_the_fields_of_the_facts(pki: Pki) -> None:
    leaf, issuing = certificates(pki.leaves["operator-b"].chain_file)
    leaf.verify_directly_issued_by(issuing)
    kinds = [attribute.oid for attribute in leaf.subject]
    assert kinds == [
        NameOID.COUNTRY_NAME,
        NameOID.STATE_OR_PROVINCE_NAME,
        NameOID.ORGANIZATION_NAME,
        NameOID.ORGANIZATIONAL_UNIT_NAME,
        NameOID.COMMON_NAME,
    ]
    extensions = leaf.extensions
    points = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    access = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert points[0].full_name is not None
    assert points[0].full_name[0].value == "http://crl.igc-sante.test/organisations.crl"
    assert access[0].access_location.value == "http://ocsp.igc-sante.test"
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mss.operateur-b.test", "localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_both_kinds_of_key_live_among_operators(pki: Pki) -> None:
    for name, kind in (
        ("operator-a", ec.EllipticCurvePublicKey),
        ("operator-b", rsa.RSAPublicKey),
        ("operator-c", ec.EllipticCurvePublicKey),
    ):
        assert isinstance(certificates(pki.leaves[name].chain_file)[0].public_key(), kind)


def test_every_leaf_has_its_key_and_nobody_else_may_read_it(pki: Pki) -> None:
    for leaf in pki.leaves.values():
        key = load_pem_private_key(leaf.key_file.read_bytes(), None)
        assert key.public_key() == certificates(leaf.chain_file)[0].public_key()
        assert leaf.key_file.stat().st_mode & 0o777 == 0o600


def test_no_key_of_an_authority_is_written(pki: Pki) -> None:
    assert {file.stem for file in pki.directory.glob("*.key")} == set(pki.leaves)


def test_the_dn_told_is_the_one_in_the_certificate(pki: Pki) -> None:
    for leaf in pki.leaves.values():
        subject = certificates(leaf.chain_file)[0].subject
        assert DistinguishedName.of(subject).text == leaf.dn


def test_names_are_the_same_every_time_since_files_are_written_after_them(pki: Pki) -> None:
    assert pki.leaves["operator-a"].dn == "CN=mss.operateur-a.test,OU=1750000001,O=CHU A,ST=Paris (75),C=FR"
    assert pki.leaves["operator-b-spare"].dn == (
        "CN=mss-2.operateur-b.test,OU=369000002000022,O=Operateur B,ST=Rhône (69),C=FR"
    )
    assert pki.leaves[UNLISTED].dn.startswith("CN=mss.operateur-inconnu.test,")


def test_the_development_directory_knows_the_operators_by_these_names() -> None:
    ldif = dev_ldif_path().read_text(encoding="utf-8")
    names = re.findall(r"(?m)^mssDnCertificat: (.+)$", ldif)
    assert {operator_subject(letter).dn for letter in "abcd"} <= set(names)


def test_a_white_list_is_written_whole(tmp_path: Path) -> None:
    file = tmp_path / "liste.xml"
    write(file, [("a.test", "CN=a")], generated_at=NOW)
    write(file, [("b.test", "CN=b")], generated_at=NOW)
    assert file.read_bytes() == white_list([("b.test", "CN=b")], generated_at=NOW)
    assert list(tmp_path.iterdir()) == [file]


def test_serials_and_names_are_never_used_twice(pki: Pki) -> None:
    serials = [certificates(leaf.chain_file)[0].serial_number for leaf in pki.leaves.values()]
    assert len(set(serials)) == len(serials)
    assert len({leaf.dn for leaf in pki.leaves.values()}) == len(pki.leaves)


def test_making_again_replaces_everything(tmp_path: Path) -> None:
    first = build(tmp_path, now=NOW, operators=("a",), with_cases=False)
    before = first.anchors.read_bytes(), first.leaves["operator-a"].key_file.read_bytes()
    second = build(tmp_path, now=NOW, operators=("a",), with_cases=False)
    after = second.anchors.read_bytes(), second.leaves["operator-a"].key_file.read_bytes()
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_any_number_of_operators_has_different_names() -> None:
    subjects = {operator_subject(letter).dn for letter in "abcdefghijklmnopqrstuvwxyz"}
    assert len(subjects) == 26


def test_revoking_writes_a_newer_list(tmp_path: Path) -> None:
    pki = build(tmp_path, now=NOW, operators=("a", "b"))
    pki.revoke("operator-b", now=NOW, number=3)
    crl = x509.load_pem_x509_crl((pki.crls / "organisations.crl").read_bytes())
    serials = {entry.serial_number for entry in crl}
    assert serials == {
        pki.leaves[name].issued.certificate.serial_number for name in ("revoque", "operator-b")
    }
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 3


def test_the_white_list_written_is_the_white_list_read(pki: Pki) -> None:
    pairs = [(leaf.domain, leaf.listed) for leaf in pki.leaves.values()]
    found = read(white_list(pairs, generated_at=NOW))
    assert (found.count, found.generated_at) == (len(pairs), NOW)
    assert [(str(entry.domain), str(entry.name)) for entry in found.entries] == pairs


def test_the_whole_is_made_in_under_two_seconds_of_work(tmp_path: Path) -> None:
    started = time.process_time()
    build(tmp_path, now=NOW)
    assert time.process_time() - started < 4  # twice the aim: finding RSA primes is a matter of luck
