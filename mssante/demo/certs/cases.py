"""Certificates to be refused, by name: the ANS conformity cases (facts §1), then every other defect we know.

Invariants: a case has one defect and no other; its domain is `<case>.conformite.test`; `listed` is the name
that the white list should hold for that domain: the certificate's own name, except in the cases where another
name is the defect. `valide` and `san-absent` are good certificates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypedDict, Unpack

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from mssante.demo.certs import der
from mssante.demo.certs.authority import (
    CLIENT,
    SERVER,
    Authority,
    Issued,
    Key,
    Subject,
    host_names,
    root,
    self_signed,
)

_DAY = timedelta(days=1)


class CertificateChange(TypedDict, total=False):
    """What may differ from a good certificate."""

    not_before: datetime
    not_after: datetime
    usages: tuple[x509.ObjectIdentifier, ...]
    alternative_names: list[x509.GeneralName]
    extra: tuple[x509.ExtensionType, ...]
    is_authority: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One certificate, the domain it is for, and the name listed for that domain."""

    name: str
    issued: Issued
    dn: str
    listed: str

    @property
    def domain(self) -> str:
        return f"{self.name}.conformite.test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What the cases are made from. One key of each kind serves them all: RSA keys are slow to make."""

    root: Authority
    organisations: Authority
    now: datetime
    ec_key: ec.EllipticCurvePrivateKey
    rsa_key: rsa.RSAPrivateKey

    def subject(self, case: str) -> Subject:
        return Subject(
            common_name=f"mss.{case}.conformite.test",
            unit="399999999700017",
            organisation=f"CONFORMITE {case.upper()}",  # its own: names differ by more than the CN
            state="Paris (75)",
        )

    def case(
        self,
        name: str,
        *,
        by: Authority | None = None,
        key: Key | None = None,
        subject: Subject | None = None,
        **change: Unpack[CertificateChange],
    ) -> Case:
        subject = subject or self.subject(name)
        if "alternative_names" not in change:
            change["alternative_names"] = host_names(subject.common_name, "localhost")
        issuer = by or self.organisations
        issued = issuer.issue(subject.name, key or self.ec_key, now=self.now, **change)
        return Case(name=name, issued=issued, dn=subject.dn, listed=subject.dn)

    def below(
        self,
        above: Authority,
        label: str,
        *,
        path_length: int | None = None,
        constraints: bool = True,
        extra: tuple[x509.ExtensionType, ...] = (),
    ) -> Authority:
        """An authority named after `label`, below `above`."""
        return above.authority(
            authority_name(label.upper()),
            self.ec_key,
            now=self.now,
            label=label,
            path_length=path_length,
            constraints=constraints,
            extra=extra,
        )


def authority_name(common_name: str) -> x509.Name:
    """IGC-Santé's shape (facts §2), with the TEST prefix."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "ASIP-SANTE"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "0002 187512751"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"TEST {common_name}"),
        ]
    )


def cases(shop: Workshop) -> Iterator[Case]:
    """Every case. `revoque` and the authority of `revoked-authority` must go on their issuers' CRLs."""
    yield from _conformity(shop)
    yield from _usages_and_dates(shop)
    yield from _names(shop)
    yield from _authorities(shop)
    yield from _weak(shop)


def _conformity(shop: Workshop) -> Iterator[Case]:
    """The cases that ANS itself plays against operators."""
    yield shop.case("valide")
    yield shop.case("expire", not_before=shop.now - 400 * _DAY, not_after=shop.now - 35 * _DAY)
    yield shop.case("revoque")
    elsewhere = root(authority_name("AC AUTRE RACINE"), shop.ec_key, now=shop.now, label="autre")
    yield shop.case("non-igc", by=elsewhere)
    no_match = shop.case("no-match")
    yield replace(no_match, listed=shop.subject("autre").dn)
    cn_diff_dn = shop.case("cn-diff-dn")
    other = replace(shop.subject("cn-diff-dn"), common_name="mss.autre.conformite.test")
    yield replace(cn_diff_dn, listed=other.dn)


def _usages_and_dates(shop: Workshop) -> Iterator[Case]:
    yield shop.case("eku-server-only", usages=(SERVER,))
    yield shop.case("eku-client-only", usages=(CLIENT,))
    yield shop.case("no-eku", usages=())
    yield shop.case("not-yet-valid", not_before=shop.now + 30 * _DAY)
    yield shop.case("ca-leaf", is_authority=True)
    many = [x509.DNSName(f"hote-{number}.conformite.test") for number in range(4000)]
    yield shop.case("huge", alternative_names=[*host_names(shop.subject("huge").common_name), *many])


def _names(shop: Workshop) -> Iterator[Case]:
    """Catalogue T6: the DN is the identity; where host names stand beside it, they must agree."""
    yield shop.case("san-absent", alternative_names=[])
    yield shop.case("san-other", alternative_names=host_names("autre.conformite.test"))
    yield shop.case("san-wildcard", alternative_names=host_names("*.san-wildcard.conformite.test"))
    yield shop.case("san-ip-only", alternative_names=host_names())
    accented = replace(shop.subject("san-unicode"), common_name="mss.santé.conformite.test")
    names = host_names("mss.xn--sant-epa.conformite.test")
    yield shop.case("san-unicode", subject=accented, alternative_names=names)


def _authorities(shop: Workshop) -> Iterator[Case]:
    me = shop.subject("self-signed")
    alone = self_signed(me.name, shop.ec_key, now=shop.now)
    yield Case(name="self-signed", issued=alone, dn=me.dn, listed=me.dn)

    unknown = replace(shop.below(shop.root, "ac-inconnue"), chain=())
    yield shop.case("unknown-intermediate", by=unknown)

    valid = shop.case("valide").issued
    leaf = Authority(
        certificate=valid.certificate, key=valid.key, label="feuille", chain=(valid.certificate, *valid.chain)
    )
    yield shop.case("leaf-as-ca", by=leaf)
    yield shop.case("ca-without-constraints", by=shop.below(shop.root, "ac-nue", constraints=False))
    # The issuing CA says pathlen 0: nothing below it may issue.
    yield shop.case("pathlen", by=shop.below(shop.organisations, "ac-trop-basse"))
    deep = shop.root
    for step in range(8):
        deep = shop.below(deep, f"ac-{step}")
    yield shop.case("deep-chain", by=deep)
    elsewhere = x509.NameConstraints(
        permitted_subtrees=[x509.DNSName("ailleurs.test")], excluded_subtrees=None
    )
    yield shop.case("name-constraints", by=shop.below(shop.root, "ac-bornee", extra=(elsewhere,)))
    yield shop.case("revoked-authority", by=shop.below(shop.root, "ac-revoquee"))


def _weak(shop: Workshop) -> Iterator[Case]:
    small = rsa.generate_private_key(65537, 1024)  # a bad certificate is the purpose
    yield shop.case("rsa-1024", key=small)
    yield shop.case("p-192", key=ec.generate_private_key(ec.SECP192R1()))
    issuer = shop.organisations.key
    assert isinstance(issuer, rsa.RSAPrivateKey)
    for name, remade in (("sha1", der.with_sha1), ("version-1", der.version_1)):
        good = shop.case(name, key=shop.rsa_key)
        bad = remade(good.issued.certificate, issuer)
        yield replace(good, issued=replace(good.issued, certificate=bad))
