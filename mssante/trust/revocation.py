"""Certificate revocation lists (CRLs): checked when read, kept by issuer, and fresh, in grace or expired.

Invariants: a list counts only if its issuer signed it; a newer list is never replaced by an older one (CRL
number), not even after a restart, nor by one dated ahead of our clock; when a list is missing or too old, the
state of a certificate is unknown, but never revoked (facts §2). A snapshot never changes. Lists are read only
for authorities that we have configured. An authority that only a peer presents has no list, so the state of
its certificates stays unknown until the operator configures it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from mssante.limits import CRL_GRACE_SECONDS, CRL_NUMBER_OCTETS_MAX, CRL_OCTETS_MAX, TRUST_AHEAD_SECONDS_MAX
from mssante.model import Malformed
from mssante.reasons import Passing, Reason, Refused
from mssante.trust.certificate import Certificate, Unused

_GRACE = timedelta(seconds=CRL_GRACE_SECONDS)
_AHEAD = timedelta(seconds=TRUST_AHEAD_SECONDS_MAX)


class CrlState(StrEnum):
    """FRESH until nextUpdate; GRACE for a day after it, with an alarm; then EXPIRED. MISSING is no list."""

    FRESH = "fresh"
    GRACE = "grace"
    EXPIRED = "expired"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class CrlFloor:
    """Which list of an authority was accepted last: its number, and its date where numbers are equal."""

    number: int
    this_update: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Crl:
    """One full list with a good signature."""

    issuer: Certificate
    number: int
    this_update: datetime
    next_update: datetime
    serials: frozenset[int] = field(repr=False)
    der: bytes = field(repr=False)

    @property
    def floor(self) -> CrlFloor:
        return CrlFloor(number=self.number, this_update=self.this_update)

    def state(self, now: datetime) -> CrlState:
        if now <= self.next_update:
            return CrlState.FRESH
        return CrlState.GRACE if now <= self.next_update + _GRACE else CrlState.EXPIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocations:
    """The newest list of each issuer that we know."""

    crls: Mapping[bytes, Crl] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    unused: tuple[Unused, ...] = ()

    @classmethod
    def load(
        cls,
        directory: Path,
        *,
        issuers: Iterable[Certificate],
        now: datetime,
        known: Revocations | None = None,
        floors: Mapping[bytes, CrlFloor] = MappingProxyType({}),
    ) -> Revocations:
        """Reads every file of `directory` (PEM or DER). A list older than the one in `known`, or than its
        authority's floor in `floors`, does not count, nor does one dated ahead of `now`. A file that is not a
        good list, for whatever reason, changes nothing and is listed in `unused`. Raises OSError when the
        folder itself cannot be read."""
        crls = dict(known.crls) if known is not None else {}
        newest = {**floors, **{key: crl.floor for key, crl in crls.items()}}
        unused: list[Unused] = []
        by_name = list(issuers)
        for file in sorted(directory.iterdir()):
            if file.name.startswith(".") or not file.is_file():
                continue
            try:
                crl = _read(file, by_name)
            except Malformed as error:
                unused.append(Unused(file=file.name, why=str(error)))
                continue
            except Exception as error:  # whatever the parser raises, only this file is left out
                why = f"not a certificate revocation list ({type(error).__name__})"
                unused.append(Unused(file=file.name, why=why))
                continue
            key = crl.issuer.public_key_id
            if key in newest and newest[key] > crl.floor:
                unused.append(Unused(file=file.name, why="older than the list in use"))
            elif crl.this_update > now + _AHEAD:
                unused.append(Unused(file=file.name, why="dated in the future"))
            else:
                crls[key] = crl
                newest[key] = crl.floor
        return cls(crls=MappingProxyType(crls), unused=tuple(unused))

    def state(self, issuer: Certificate, now: datetime) -> CrlState:
        crl = self.crls.get(issuer.public_key_id)
        return CrlState.MISSING if crl is None else crl.state(now)

    def number_of(self, issuer: Certificate) -> int | None:
        """The number of the list in force for `issuer`, which is recorded with a verdict."""
        crl = self.crls.get(issuer.public_key_id)
        return None if crl is None else crl.number

    def check(self, certificate: Certificate, *, issuer: Certificate, now: datetime) -> None:
        """Returns when `issuer`'s list is fresh or in grace and does not name `certificate`. Raises Refused
        when the list names it, however old the list is, because what was revoked stays revoked. Raises
        Passing when the list is missing or too old."""
        crl = self.crls.get(issuer.public_key_id)
        if crl is not None and certificate.serial in crl.serials:
            raise Refused(Reason.CERTIFICATE_REVOKED, f"{certificate.name} by {issuer.name}")
        state = CrlState.MISSING if crl is None else crl.state(now)
        if state in (CrlState.MISSING, CrlState.EXPIRED):
            raise Passing(Reason.REVOCATION_UNKNOWN, f"the CRL of {issuer.name} is {state.value}")


def _read(file: Path, issuers: list[Certificate]) -> Crl:
    try:
        with file.open("rb") as opened:
            octets = opened.read(CRL_OCTETS_MAX + 1)
    except OSError as error:
        raise Malformed(f"unreadable file ({type(error).__name__})") from None
    if len(octets) > CRL_OCTETS_MAX:
        raise Malformed("too large")
    pem = octets.lstrip().startswith(b"-----BEGIN")
    return _checked(x509.load_pem_x509_crl(octets) if pem else x509.load_der_x509_crl(octets), issuers)


def _checked(found: x509.CertificateRevocationList, issuers: list[Certificate]) -> Crl:
    issuer = next((one for one in issuers if _signed(found, one)), None)
    if issuer is None:
        raise Malformed("not signed by an authority we know")
    if found.next_update_utc is None:
        raise Malformed("without its next update")  # RFC 5280 §5.1.2.5
    for trouble in _scope(found):
        raise Malformed(trouble)
    number = 0
    for extension in found.extensions:
        if isinstance(extension.value, x509.CRLNumber):
            number = extension.value.crl_number
    if not 0 <= number < 1 << 8 * CRL_NUMBER_OCTETS_MAX:
        raise Malformed("with a number that is too large")
    return Crl(
        issuer=issuer,
        number=number,
        this_update=found.last_update_utc,
        next_update=found.next_update_utc,
        serials=frozenset(entry.serial_number for entry in found),
        der=found.public_bytes(Encoding.DER),
    )


def _signed(found: x509.CertificateRevocationList, issuer: Certificate) -> bool:
    usage = issuer.key_usage
    if found.issuer != issuer.subject or (usage is not None and not usage.crl_sign):
        return False
    digest = found.signature_hash_algorithm
    if digest is None or digest.name not in ("sha256", "sha384", "sha512"):
        return False
    try:
        return found.is_signature_valid(issuer.parsed.public_key())  # type: ignore[arg-type] # weak kinds raise
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _scope(found: x509.CertificateRevocationList) -> Iterator[str]:
    """What shows that it is not the full list of one issuer (RFC 5280 §5.2); nothing when it is one."""
    for extension in found.extensions:
        value = extension.value
        if extension.oid == ExtensionOID.DELTA_CRL_INDICATOR:
            yield "a delta list: only full lists are used"
        elif isinstance(value, x509.IssuingDistributionPoint):
            if (
                value.only_contains_user_certs
                or value.only_contains_ca_certs
                or value.only_contains_attribute_certs
                or value.only_some_reasons
                or value.indirect_crl
            ):
                yield "a partial or indirect list: only full lists are used"
        elif extension.critical:
            yield f"with a critical extension we do not apply ({extension.oid.dotted_string})"
