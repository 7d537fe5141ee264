"""Decides whether a peer is trusted. `verify_peer` is the only function that makes a `VerifiedPeer`.

A peer is another operator's server. In the TLS handshake it shows its certificate and proves that it has the
private key. That alone does not make it an operator of MSSanté. The verdict here says that it is one, and
rests on three kinds of evidence: a chain of signatures from the certificate up to an authority that we
configured (`path`); the revocation lists of the authorities in that chain, which say that nothing in it was
withdrawn (`revocation`); and the trust space, which names the operators and the domains each of them serves
(`space`). The certificate itself must also be made for this use.

Each kind of evidence can change while a connection stays open. So a verdict holds for one moment, and is made
again from the same certificates when a later moment matters.

Code elsewhere that needs a trusted peer takes a `VerifiedPeer` as an argument. Since only this file can make
one, nobody can forget the check, or write a second and weaker one.

Invariants: every verdict is made anew, from the certificates presented, at the time given, on one snapshot of
the trust space and of the revocation lists; nothing rests on what the TLS handshake itself accepted. The
identity is the subject's DN, as the list has it (facts §1). Where the certificate also names hosts, its CN
must be exactly one of them, and a wildcard never counts (catalogue T6), because two identities in one
certificate must agree. A definite refusal comes before a doubt: a peer that is unlisted or revoked is told so
even when a revocation list is out of date.
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

_PROOF = object()  # a VerifiedPeer cannot be made without it, and only verify_peer uses it


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules that an operator may set.

    `extended_key_usage_required`: a certificate without any EKU is refused. One that has an EKU must have the
    right one in any case. It can be switched off because the EKU of IGC-Santé's SSL_SERV is not known
    (facts §2). `host_names_agree`: the rule T6 above. `space_age_max`: when the trust space gives its date
    and is older than this, every verdict is Passing(TRUST_SPACE_STALE); None means no limit."""

    extended_key_usage_required: bool = True
    host_names_agree: bool = True
    space_age_max: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPeer:
    """The proof that at `verified_at` a peer was one that the trust space knows. Because lists change while
    connections stay open, the proof must be made again later, from `evidence`."""

    name: DistinguishedName
    identity: PeerIdentity
    direction: Direction
    verified_at: datetime
    expires_at: datetime  # of its own certificate
    evidence: tuple[bytes, ...] = field(repr=False)  # what it presented, DER, leaf first
    crl_number: int | None  # the number of its issuer's revocation list, on which the verdict rests
    space: TrustSpace = field(repr=False)
    proof: InitVar[object]

    def __post_init__(self, proof: object) -> None:
        if proof is not _PROOF:
            raise TypeError("a VerifiedPeer is made by verify_peer alone")

    def speaks_for(self, domain: Domain | None) -> None:
        """Returns when the peer is one of those listed for `domain`. None stands for the null reverse-path,
        from which any listed peer may send. Raises Refused(DOMAIN_NOT_LISTED, DOMAIN_OF_ANOTHER_OPERATOR)."""
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
    """Judges the certificates that a peer presented in its TLS handshake: DER, its own first, then
    authorities in any order. Authorities that we have configured may be missing. Raises Refused or Passing
    with the Reason. Takes about a millisecond."""
    leaf = _leaf(chain)
    _check_form(leaf)
    path = trusted_path(leaf, helpful(chain[1:], anchors), anchors, now=now)
    _check_usage(leaf, direction, rules)
    doubt = _revocation_doubt(path, crls, now)
    if rules.host_names_agree:
        _check_host_names(leaf)
    stale = _space_doubt(space, now, rules)
    if stale is not None:
        raise stale  # An old space proves nothing, not even that a peer is not listed.
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
    """Raises Refused when a certificate of the path is revoked. When a list is missing or too old, returns
    this doubt instead of raising it, because a definite refusal that is found later comes first."""
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
    # Only an ASCII CN: str.lower() turns some other letters into ASCII (U+212A, the kelvin sign, becomes k).
    common = [name.lower() for name in leaf.common_names if name.isascii()]
    if len(leaf.common_names) != 1 or not common or common[0] not in names:
        raise Refused(Reason.CERTIFICATE_NAME_MISMATCH, "its CN is not one of its host names")


def _space_doubt(space: TrustSpace, now: datetime, rules: Rules) -> Passing | None:
    age = space.age(now)
    if rules.space_age_max is None or age is None or age <= rules.space_age_max:
        return None
    return Passing(Reason.TRUST_SPACE_STALE, f"{space.source} is {age} old")


def _check_listed(leaf: Certificate, space: TrustSpace) -> None:
    """Refuses a name that is not listed. One that differs from a listed name only by its CN gets a reason of
    its own: the certificate was renewed under another DN, or the list was not updated yet (facts §4, seen in
    the field)."""
    if leaf.name in space.names:
        return
    apart = leaf.name.apart_from(COMMON_NAME)
    if any(name.apart_from(COMMON_NAME) == apart for name in space.names):
        raise Refused(Reason.CERTIFICATE_NAME_MISMATCH, f"{leaf.name} differs by its CN from a listed name")
    raise Refused(Reason.PEER_NOT_LISTED, str(leaf.name))
