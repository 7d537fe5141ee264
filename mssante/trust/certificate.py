"""Reads a certificate once, and gives all that the policy needs to know of it, so nothing is parsed later.

Invariants: reading either gives every field or raises `Malformed`; nothing here decides about trust.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID, NameOID

from mssante.limits import CERTIFICATE_OCTETS_MAX, CERTIFICATES_REMEMBERED_MAX, RSA_BITS_MIN
from mssante.model import Malformed, PeerIdentity
from mssante.trust.names import DistinguishedName

_CURVES = {"secp256r1", "secp384r1", "secp521r1"}
_DIGESTS = {"sha256", "sha384", "sha512"}
# What the policy understands; any other critical extension makes a certificate unusable (RFC 5280 §4.2).
_UNDERSTOOD = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.CERTIFICATE_POLICIES,
}
_PEM_BLOCK = re.compile(
    rb"-----BEGIN (?:X509 )?CERTIFICATE-----.*?-----END (?:X509 )?CERTIFICATE-----", re.DOTALL
)
_Kind = TypeVar("_Kind", bound=x509.ExtensionType)
# All that `cryptography` raises for octets that are no certificate. Not all of its classes are ValueErrors.
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """An X.509 certificate. Two are equal when their octets are equal."""

    der: bytes = field(repr=False)
    parsed: x509.Certificate = field(repr=False, compare=False)
    name: DistinguishedName = field(compare=False)
    subject: x509.Name = field(compare=False)
    issuer: x509.Name = field(compare=False)
    serial: int = field(compare=False)
    not_before: datetime = field(compare=False)
    not_after: datetime = field(compare=False)  # the last second of its validity
    common_names: tuple[str, ...] = field(compare=False)  # as written
    version_3: bool = field(compare=False)
    weakness: str = field(compare=False)  # of its key or of the signature on it; empty when there is none
    is_authority: bool = field(compare=False)
    path_length: int | None = field(compare=False)
    key_usage: x509.KeyUsage | None = field(compare=False)
    extended_usages: frozenset[x509.ObjectIdentifier] | None = field(compare=False)
    host_names: tuple[str, ...] = field(compare=False)  # dNSName entries, as written
    names_hosts: bool = field(compare=False)  # it has dNSName or iPAddress entries
    not_understood: tuple[str, ...] = field(compare=False)  # OIDs of critical extensions, name constraints

    @classmethod
    def read(cls, der: bytes) -> Certificate:
        """Reads DER octets. Raises `Malformed` when they are not a certificate that we can judge."""
        if len(der) > CERTIFICATE_OCTETS_MAX:
            raise Malformed("a certificate too large")
        return _read_once(der)

    @property
    def public_key_id(self) -> bytes:
        """Identifies a key under a name. It is the same for two certificates of both, as after a renewal."""
        spki = self.parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        digest = hashes.Hash(hashes.SHA256())
        digest.update(self.subject.public_bytes())
        digest.update(spki)
        return digest.finalize()

    @property
    def identity(self) -> PeerIdentity:
        return PeerIdentity(dn=self.name.text, serial=f"{self.serial:x}", fingerprint=fingerprint(self.der))

    def is_signed_by(self, issuer: Certificate) -> bool:
        """Whether its issuer's name and signature fit `issuer`. A step of path building, not a verdict."""
        return _signature_verifies(self, issuer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unused:
    """Something in a file of ours that is left out, and why."""

    file: str
    why: str


def fingerprint(der: bytes) -> str:
    """SHA-256 of the octets, in hexadecimal."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    return digest.finalize().hex()


def identity_of(der: bytes) -> PeerIdentity:
    """Who a certificate says it is, for the log of a refusal. Never raises. It proves nothing."""
    try:
        return Certificate.read(der).identity
    except Malformed:
        return PeerIdentity(dn="", serial="", fingerprint=fingerprint(der))


def from_pem(pem: bytes) -> list[bytes]:
    """The DER octets of every certificate in a PEM text, in order. Raises `Malformed` when there is none, or
    when one cannot be read."""
    try:
        return [found.public_bytes(Encoding.DER) for found in x509.load_pem_x509_certificates(pem)]
    except _UNREADABLE:
        raise Malformed("no PEM certificate") from None


def pem_blocks(text: bytes) -> list[bytes]:
    """The certificates of a PEM text, each by itself (RFC 7468 §5), so that a bad one can be left out."""
    return _PEM_BLOCK.findall(text)


# What the octets say never changes, so the certificate of a peer that connects for each letter is read only
# once. Whether it is trusted, valid now, revoked or listed is judged anew each time.
@lru_cache(maxsize=CERTIFICATES_REMEMBERED_MAX)
def _read_once(der: bytes) -> Certificate:
    try:
        return _read(der, x509.load_der_x509_certificate(der))
    except _UNREADABLE as error:
        if isinstance(error, Malformed):
            raise
        raise Malformed(f"an unreadable certificate ({type(error).__name__})") from None


@lru_cache(maxsize=CERTIFICATES_REMEMBERED_MAX)
def _signature_verifies(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        certificate.parsed.verify_directly_issued_by(issuer.parsed)
    except (InvalidSignature, *_UNREADABLE):
        return False
    return True


def _read(der: bytes, found: x509.Certificate) -> Certificate:
    extensions = found.extensions
    basic = _extension(extensions, x509.BasicConstraints)
    extended = _extension(extensions, x509.ExtendedKeyUsage)
    alternative = _extension(extensions, x509.SubjectAlternativeName)
    hosts = alternative.get_values_for_type(x509.DNSName) if alternative else []
    addresses = alternative.get_values_for_type(x509.IPAddress) if alternative else []
    names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Certificate(
        der=der,
        parsed=found,
        name=DistinguishedName.of(found.subject),
        subject=found.subject,
        issuer=found.issuer,
        serial=found.serial_number,
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
        common_names=tuple(str(name.value) for name in names),
        version_3=found.version is x509.Version.v3,
        weakness=_weakness(found),
        is_authority=bool(basic and basic.ca),
        path_length=basic.path_length if basic else None,
        key_usage=_extension(extensions, x509.KeyUsage),
        extended_usages=frozenset(extended) if extended else None,
        host_names=tuple(hosts),
        names_hosts=bool(hosts or addresses),
        not_understood=tuple(_not_understood(extensions)),
    )


def _extension(extensions: x509.Extensions, kind: type[_Kind]) -> _Kind | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _not_understood(extensions: x509.Extensions) -> Iterable[str]:
    for extension in extensions:
        # Name constraints count even when not critical: we do not apply them, and must not ignore them.
        if extension.oid == ExtensionOID.NAME_CONSTRAINTS or (
            extension.critical and extension.oid not in _UNDERSTOOD
        ):
            yield extension.oid.dotted_string


def _weakness(found: x509.Certificate) -> str:
    """Why its key or the signature on it is too weak, "" when neither is. IGC-Santé issues RSA-2048 and
    SHA-256 (facts §2); P-256 is as strong."""
    key, digest = found.public_key(), found.signature_hash_algorithm
    match key:
        case rsa.RSAPublicKey() if key.key_size < RSA_BITS_MIN:
            return f"RSA key of {key.key_size} bits"
        case ec.EllipticCurvePublicKey() if key.curve.name not in _CURVES:
            return f"key on the curve {key.curve.name}"
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey():
            pass
        case _:
            return f"key of another kind ({type(key).__name__})"
    if digest is None or digest.name not in _DIGESTS:
        return f"signature with {digest.name if digest else 'another algorithm'}"
    return ""
