"""Makes single certificates: their subjects, the authorities, and what an authority signs.

Invariants: every certificate authority of this package is for tests and says so in its name; every URL is
under `.test`, so nothing made here ever calls a real service; a serial number is never used twice.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
LEAF_LIFE = timedelta(days=3 * 365)  # facts §2: three years
AUTHORITY_LIFE = timedelta(days=20 * 365)
CRL_LIFE = timedelta(days=7)
HOST = "igc-sante.test"
# The policy of IGC-Santé's SSL_SERV certificates (facts §2), here for the shape.
_POLICY = x509.ObjectIdentifier("1.2.250.1.213.1.7.2.1.1.1.1")


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def rsa2048() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An end entity of IGC-Santé: `unit` is the structure's national identifier (idNatStruct)."""

    common_name: str
    unit: str
    organisation: str
    state: str
    country: str = "FR"

    @property
    def name(self) -> x509.Name:
        """In DER order: from the country down."""
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, self.country),
                x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, self.state),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.organisation),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, self.unit),
                x509.NameAttribute(NameOID.COMMON_NAME, self.common_name),
            ]
        )

    @property
    def dn(self) -> str:
        """As the white list writes it (RFC 4514). Our development values need no escape."""
        return f"CN={self.common_name},OU={self.unit},O={self.organisation},ST={self.state},C={self.country}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate, its secret, and the authorities above it, nearest first, without the root."""

    certificate: x509.Certificate
    key: Key = field(repr=False)
    chain: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority in memory. Its key is never written to disk: each time, a whole new PKI is
    made."""

    certificate: x509.Certificate
    key: Key = field(repr=False)
    label: str  # of its CRL: crl/<label>.crl
    chain: tuple[x509.Certificate, ...] = ()  # itself and those above, without the root

    def issue(
        self,
        subject: x509.Name,
        key: Key,
        *,
        now: datetime,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        usages: Iterable[x509.ObjectIdentifier] = (SERVER, CLIENT),
        alternative_names: Iterable[x509.GeneralName] = (),
        extra: Iterable[x509.ExtensionType] = (),
        critical: Iterable[x509.ExtensionType] = (),
        key_usage: x509.KeyUsage | None = None,
        is_authority: bool = False,
    ) -> Issued:
        """An end entity, good unless the arguments say otherwise."""
        builder = _draft(
            subject,
            key.public_key(),
            issuer=self.certificate.subject,
            not_before=not_before or now - timedelta(days=1),
            not_after=not_after or now - timedelta(days=1) + LEAF_LIFE,
        )
        builder = builder.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        builder = builder.add_extension(key_usage or _leaf_usage(key), critical=True)
        wanted, names = list(usages), list(alternative_names)
        if wanted:
            builder = builder.add_extension(x509.ExtendedKeyUsage(wanted), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(
            x509.CertificatePolicies([x509.PolicyInformation(_POLICY, None)]), critical=False
        )
        for extension in (*self._pointers(), *extra):
            builder = builder.add_extension(extension, critical=False)
        for extension in critical:
            builder = builder.add_extension(extension, critical=True)
        return Issued(certificate=builder.sign(self.key, hashes.SHA256()), key=key, chain=self.chain)

    def authority(
        self,
        subject: x509.Name,
        key: Key,
        *,
        now: datetime,
        label: str,
        path_length: int | None = None,
        constraints: bool = True,
        extra: Iterable[x509.ExtensionType] = (),
    ) -> Authority:
        """An authority below this one."""
        builder = _draft(
            subject,
            key.public_key(),
            issuer=self.certificate.subject,
            not_before=now - timedelta(days=2),
            not_after=now + AUTHORITY_LIFE / 2,
        )
        if constraints:
            builder = builder.add_extension(x509.BasicConstraints(True, path_length), critical=True)
            builder = builder.add_extension(_authority_usage(), critical=True)
        for extension in (*self._pointers(), *extra):
            critical = isinstance(extension, x509.NameConstraints)
            builder = builder.add_extension(extension, critical=critical)
        certificate = builder.sign(self.key, hashes.SHA256())
        return Authority(certificate=certificate, key=key, label=label, chain=(certificate, *self.chain))

    def crl(
        self,
        *,
        now: datetime,
        number: int = 1,
        revoked: Iterable[x509.Certificate] = (),
        life: timedelta = CRL_LIFE,
    ) -> x509.CertificateRevocationList:
        """A full list, dated an hour ago so that small clock differences do not matter."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - timedelta(hours=1))
            .next_update(now - timedelta(hours=1) + life)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(self._key_identifier(), critical=False)
        )
        for certificate in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(certificate.serial_number)
                .revocation_date(now - timedelta(hours=2))
                .build()
            )
        return builder.sign(self.key, hashes.SHA256())

    def _key_identifier(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())

    def _pointers(self) -> tuple[x509.ExtensionType, ...]:
        ocsp = x509.UniformResourceIdentifier(f"http://ocsp.{HOST}")
        crl = x509.UniformResourceIdentifier(f"http://crl.{HOST}/{self.label}.crl")
        return (
            self._key_identifier(),
            x509.CRLDistributionPoints([x509.DistributionPoint([crl], None, None, None)]),
            x509.AuthorityInformationAccess(
                [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, ocsp)]
            ),
        )


def root(subject: x509.Name, key: Key, *, now: datetime, label: str) -> Authority:
    """A self-signed authority."""
    builder = _draft(
        subject,
        key.public_key(),
        issuer=subject,
        not_before=now - timedelta(days=3),
        not_after=now + AUTHORITY_LIFE,
    )
    builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    builder = builder.add_extension(_authority_usage(), critical=True)
    return Authority(certificate=builder.sign(key, hashes.SHA256()), key=key, label=label)


def self_signed(subject: x509.Name, key: Key, *, now: datetime) -> Issued:
    """An end entity that nobody vouches for."""
    alone = root(subject, key, now=now, label="personne")
    issued = alone.issue(subject, key, now=now)
    return Issued(certificate=issued.certificate, key=key)


def host_names(*names: str, address: str | None = "127.0.0.1") -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    if address is not None:
        found.append(x509.IPAddress(ipaddress.ip_address(address)))
    return found


def _draft(
    subject: x509.Name,
    public_key: PublicKey,
    *,
    issuer: x509.Name,
    not_before: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def usage(*, signature: bool, encipherment: bool, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signature,
        content_commitment=False,
        key_encipherment=encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _leaf_usage(key: Key) -> x509.KeyUsage:
    return usage(signature=True, encipherment=isinstance(key, rsa.RSAPrivateKey), authority=False)


def _authority_usage() -> x509.KeyUsage:
    return usage(signature=False, encipherment=False, authority=True)
