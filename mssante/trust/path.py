"""Builds the way from a certificate up to an anchor of ours, and checks each authority on it.

Invariants: only a configured anchor ends a path; what a peer presents can serve on the way, never as its
end; the work is bounded whatever is presented. Our own code rather than `cryptography`'s verifier, which
tells one reason for every failure and wants host names (a name in the list is a DN, facts §1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mssante.limits import CHAIN_CERTIFICATES_MAX, PATH_SIGNATURES_CHECKED_MAX
from mssante.model import Malformed
from mssante.reasons import Reason, Refused
from mssante.trust.certificate import Certificate, Unused, from_pem, pem_blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """What we build on: `roots` end a path, `intermediates` are issuing authorities we know, for peers
    that send their certificate alone and for checking CRLs."""

    roots: tuple[Certificate, ...]
    intermediates: tuple[Certificate, ...] = ()
    unused: tuple[Unused, ...] = ()  # certificates of these files that cannot be read

    @classmethod
    def load(cls, roots: Path, intermediates: Path | None = None) -> Anchors:
        """Reads PEM files. A certificate that cannot be read costs itself only, and is told in `unused`.
        OSError, or `Malformed` (with the file's name) for a file that holds none that can be read."""
        found, unused = _read_all(roots)
        between: tuple[Certificate, ...] = ()
        if intermediates is not None:
            between, others = _read_all(intermediates)
            unused += others
        return cls(roots=found, intermediates=between, unused=unused)

    @property
    def issuers(self) -> tuple[Certificate, ...]:
        return self.roots + self.intermediates

    @property
    def are_test(self) -> bool:
        """Whether one of them belongs to a test PKI: such anchors are never for production (facts §2)."""
        return any(name.upper().startswith("TEST ") for one in self.issuers for name in one.common_names)


def _read_all(path: Path) -> tuple[tuple[Certificate, ...], tuple[Unused, ...]]:
    found: list[Certificate] = []
    unused: list[Unused] = []
    for number, block in enumerate(pem_blocks(path.read_bytes()), 1):
        try:
            found += map(Certificate.read, from_pem(block))
        except Malformed as error:
            unused.append(Unused(file=path.name, why=f"certificate {number}: {error}"))
    if not found:
        raise Malformed(f"{path.name}: {unused[0].why if unused else 'no PEM certificate'}")
    return tuple(found), tuple(unused)


def trusted_path(
    leaf: Certificate, presented: Sequence[Certificate], anchors: Anchors, *, now: datetime
) -> tuple[Certificate, ...]:
    """The certificates from `leaf` to an anchor, all in force at `now`: of several paths the first good one.
    `Refused` for the reason of the first bad one; CERTIFICATE_UNTRUSTED_ISSUER when none leads anywhere."""
    trouble: Refused | None = None
    for path in _paths(leaf, presented, anchors):
        try:
            for below, authority in enumerate(path[1:]):
                _check_authority(authority, below=below, is_anchor=authority is path[-1])
            for certificate in path:
                _check_dates(certificate, now)
        except Refused as error:
            trouble = trouble or error
        else:
            return path
    raise trouble or Refused(Reason.CERTIFICATE_UNTRUSTED_ISSUER, f"no way from {leaf.name} to our anchors")


def _paths(
    leaf: Certificate, presented: Sequence[Certificate], anchors: Anchors
) -> Iterator[tuple[Certificate, ...]]:
    """Every chain of good signatures from `leaf` to a root, our own intermediates before presented ones."""
    between = (*anchors.intermediates, *presented)
    left = PATH_SIGNATURES_CHECKED_MAX
    open_ends: list[tuple[Certificate, ...]] = [(leaf,)]
    while open_ends:
        path = open_ends.pop(0)
        top = path[-1]
        for issuer in (*anchors.roots, *between):
            if issuer in path or top.issuer != issuer.subject:
                continue
            if left == 0:
                return
            left -= 1
            if not top.is_signed_by(issuer):
                continue
            if issuer in anchors.roots:
                yield (*path, issuer)
            elif len(path) + 2 <= CHAIN_CERTIFICATES_MAX:  # with this one and a root
                open_ends.append((*path, issuer))


def _check_authority(authority: Certificate, *, below: int, is_anchor: bool) -> None:
    """RFC 5280 §6.1.4: may it issue what is below it? `below`: how many authorities stand under it."""
    usage = authority.key_usage
    untrusted = Reason.CERTIFICATE_UNTRUSTED_ISSUER
    if not authority.is_authority:
        raise Refused(untrusted, f"{authority.name} is not an authority")
    if usage is not None and not usage.key_cert_sign:
        raise Refused(untrusted, f"{authority.name} may not sign certificates")
    if authority.path_length is not None and below > authority.path_length:
        raise Refused(untrusted, f"{authority.name} may not have so many authorities below it")
    if authority.not_understood:
        raise Refused(untrusted, f"{authority.name} has a constraint we do not apply")
    # The signature on an anchor is its own: what we trust is the key, by configuration.
    if authority.weakness and not (is_anchor and authority.weakness.startswith("signature")):
        raise Refused(Reason.CERTIFICATE_WEAK, f"{authority.name}: {authority.weakness}")


def _check_dates(certificate: Certificate, now: datetime) -> None:
    if now < certificate.not_before:
        raise Refused(
            Reason.CERTIFICATE_NOT_YET_VALID, f"{certificate.name} from {certificate.not_before:%Y-%m-%d}"
        )
    if now > certificate.not_after:
        raise Refused(Reason.CERTIFICATE_EXPIRED, f"{certificate.name} on {certificate.not_after:%Y-%m-%d}")


def helpful(presented: Iterable[bytes], anchors: Anchors) -> list[Certificate]:
    """Of what a peer presented above its own certificate, what may help to build a path: not what we have,
    not what cannot be read, nothing twice."""
    found: list[Certificate] = []
    seen = {certificate.der for certificate in anchors.issuers}
    for der in presented:
        if der in seen:
            continue
        seen.add(der)
        try:
            found.append(Certificate.read(der))
        except Malformed:
            continue
    return found
