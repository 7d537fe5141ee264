"""The verdict on a peer: `verify_peer` is the only maker of `VerifiedPeer`.

Invariants: every verdict is made anew from the certificates presented, at the time given, on one snapshot
of the trust space and of the revocation lists; nothing rests on the TLS handshake. The identity is the
subject's DN, as the list has it (facts §1). Where the certificate also names hosts, the CN must be one of
them, exactly, wildcards never counting (catalogue T6): two identities in one certificate must agree.
A definite refusal goes before a doubt: an unlisted or revoked peer is told so even when a list is late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from cryptography.x509.oid import ExtendedKeyUsageOID

from mssante.limits import CERTIFICATES_PRESENTED_MAX
from mssante.model import Direction, Domain, Malformed, PeerIdentity
from mssante.reasons import Passing, Reason, Refused
from mssante.trust.certificate import Certificate
from mssante.trust.names import COMMON_NAME, DistinguishedName
from mssante.trust.path import Anchors, helpful, trusted_path
from mssante.trust.revocation import Revocations
from mssante.trust.space import TrustSpace

_PROOF = object()  # what only verify_peer has


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an operator may set (the EKU of IGC-Santé's SSL_SERV is not known, facts §2).

    `extended_key_usage_required`: a certificate without any EKU is refused; one with an EKU must always have
    the right one. `host_names_agree`: the rule T6 above. `space_age_max`: past it every verdict is
    Passing(TRUST_SPACE_STALE), for a space that says its date; None never ages."""

    extended_key_usage_required: bool = True
    host_names_agree: bool = True
    space_age_max: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPeer:
    """The proof that a peer is who the trust space knows, at `verified_at`. Later the proof must be made
    again, from `evidence`: lists change while connections stay open."""

    name: DistinguishedName
    identity: PeerIdentity
    direction: Direction
    verified_at: datetime
    expires_at: datetime  # of its own certificate
    evidence: tuple[bytes, ...] = field(repr=False)  # what it presented, DER, leaf first
    crl_number: int | None  # of the list its issuer's verdict rests on
    space: TrustSpace = field(repr=False)
    proof: InitVar[object]

    def __post_init__(self, proof: object) -> None:
        if proof is not _PROOF:
            raise TypeError("a VerifiedPeer is made by verify_peer alone")

    def speaks_for(self, domain: Domain | None) -> None:
        """Returns when the peer is one of those listed for `domain`; any listed peer may send from the null
        reverse-path (None). Refused: DOMAIN_NOT_LISTED, DOMAIN_OF_ANOTHER_OPERATOR."""
        if domain is None:
            return
        names = self.space.names_for(domain)
        if not names:
            raise Refused(Reason.DOMAIN_NOT_LISTED, str(domain))
        if self.name not in names:
            raise Refused(Reason.DOMAIN_OF_ANOTHER_OPERATOR, f"{domain} is not {self.name}'s")


def verify_peer(
    chain: Sequence[bytes],
    *,
    anchors: Anchors,
    space: TrustSpace,
    crls: Revocations,
    now: datetime,
    direction: Direction,
    rules: Rules = Rules(),
) -> VerifiedPeer:
    """Judges what a peer presented in its TLS handshake: DER certificates, its own first, authorities after
    it in any order or missing when configured. Refused or Passing with the Reason; about a millisecond."""
    leaf = _leaf(chain)
    _check_form(leaf)
    path = trusted_path(leaf, helpful(chain[1:], anchors), anchors, now=now)
    _check_usage(leaf, direction, rules)
    doubt = _revocation_doubt(path, crls, now)
    if rules.host_names_agree:
        _check_host_names(leaf)
    stale = _space_doubt(space, now, rules)
    if stale is not None:
        raise stale  # A stale space proves nothing, not even an absence.
    _check_listed(leaf, space)
    if doubt is not None:
        raise doubt
    return VerifiedPeer(
        name=leaf.name,
        identity=leaf.identity,
        direction=direction,
        verified_at=now,
        expires_at=leaf.not_after,
        evidence=tuple(chain),
        crl_number=crls.number_of(path[1]),
        space=space,
        proof=_PROOF,
    )


def _leaf(chain: Sequence[bytes]) -> Certificate:
    if not chain:
        raise Refused(Reason.CERTIFICATE_MISSING)
    if len(chain) > CERTIFICATES_PRESENTED_MAX:
        raise Refused(Reason.CERTIFICATE_MALFORMED, f"{len(chain)} certificates presented")
    try:
        return Certificate.read(chain[0])
    except Malformed as error:
        raise Refused(Reason.CERTIFICATE_MALFORMED, str(error)) from None


def _check_form(leaf: Certificate) -> None:
    if not leaf.version_3:
        raise Refused(Reason.CERTIFICATE_MALFORMED, "not an X.509 version 3 certificate")
    if leaf.not_understood:
        raise Refused(Reason.CERTIFICATE_MALFORMED, f"extensions we do not apply: {leaf.not_understood}")
    if leaf.weakness:
        raise Refused(Reason.CERTIFICATE_WEAK, leaf.weakness)


def _check_usage(leaf: Certificate, direction: Direction, rules: Rules) -> None:
    wrong = Reason.CERTIFICATE_WRONG_USAGE
    if leaf.is_authority:
        raise Refused(wrong, "an authority's certificate, where an operator's is expected")
    if leaf.key_usage is not None and not leaf.key_usage.digital_signature:
        raise Refused(wrong, "its key may not sign a handshake")  # RFC 8446 §4.4.2.2
    if leaf.extended_usages is None:
        if rules.extended_key_usage_required:
            raise Refused(wrong, "no extended key usage")
        return
    match direction:
        case Direction.IN:
            wanted, word = ExtendedKeyUsageOID.CLIENT_AUTH, "clientAuth"
        case Direction.OUT:
            wanted, word = ExtendedKeyUsageOID.SERVER_AUTH, "serverAuth"
    if wanted not in leaf.extended_usages:
        raise Refused(wrong, f"extended key usage without {word}")


def _revocation_doubt(path: Sequence[Certificate], crls: Revocations, now: datetime) -> Passing | None:
    """Refused when one of the path is revoked; the doubt, when a list is missing or too old."""
    doubt: Passing | None = None
    for certificate, issuer in pairwise(path):
        try:
            crls.check(certificate, issuer=issuer, now=now)
        except Passing as error:
            doubt = doubt or error
    return doubt


def _check_host_names(leaf: Certificate) -> None:
    if not leaf.names_hosts:
        return
    names = {name.lower() for name in leaf.host_names if "*" not in name}
    # ASCII alone: str.lower() brings other letters to it (U+212A, the kelvin sign, becomes k).
    common = [name.lower() for name in leaf.common_names if name.isascii()]
    if len(leaf.common_names) != 1 or not common or common[0] not in names:
        raise Refused(Reason.CERTIFICATE_NAME_MISMATCH, "its CN is not one of its host names")


def _space_doubt(space: TrustSpace, now: datetime, rules: Rules) -> Passing | None:
    age = space.age(now)
    if rules.space_age_max is None or age is None or age <= rules.space_age_max:
        return None
    return Passing(Reason.TRUST_SPACE_STALE, f"{space.source} is {age} old")


def _check_listed(leaf: Certificate, space: TrustSpace) -> None:
    """A name that differs from a listed one by its CN alone is told apart: a certificate renewed under
    another DN, or a list not yet told (facts §4, seen in the field)."""
    if leaf.name in space.names:
        return
    apart = leaf.name.apart_from(COMMON_NAME)
    if any(name.apart_from(COMMON_NAME) == apart for name in space.names):
        raise Refused(Reason.CERTIFICATE_NAME_MISMATCH, f"{leaf.name} differs by its CN from a listed name")
    raise Refused(Reason.PEER_NOT_LISTED, str(leaf.name))
