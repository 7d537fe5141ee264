"""Builds the path from a certificate up to an anchor of ours, and checks each authority on it.

An anchor is an authority that we trust because we configured it. `cryptography` has a verifier too, but it
gives the same reason for every failure and needs a host name, while the names in the list are DNs (facts §1).

Invariants: a path ends only at a configured anchor; certificates that a peer presents can be part of a path,
but never its end; the work is bounded, whatever a peer presents.
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
    """The authorities that we configured. A path ends at one of `roots`. `intermediates` are issuing
    authorities, needed for peers that send only their own certificate, and to check revocation lists."""

    roots: tuple[Certificate, ...]
    intermediates: tuple[Certificate, ...] = ()
    unused: tuple[Unused, ...] = ()  # the certificates in these files that could not be read

    @classmethod
    def load(cls, roots: Path, intermediates: Path | None = None) -> Anchors:
        """Reads PEM files. A certificate that cannot be read is left out and listed in `unused`; the others
        count. Raises OSError, or `Malformed` (with the file's name) when a file holds none that can be read.
        """
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
        """Whether one of them belongs to a test PKI, which must never be used in production (facts §2)."""
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
    """The certificates from `leaf` to an anchor, all valid at `now`; of several good paths, the first one.
    When no path is good, raises `Refused` with the reason of the first bad one, or
    CERTIFICATE_UNTRUSTED_ISSUER when no path reaches an anchor."""
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
    """Every chain of good signatures from `leaf` to a root. Our own intermediates are tried before presented
    ones."""
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
            elif len(path) + 2 <= CHAIN_CERTIFICATES_MAX:  # counting this issuer and a root
                open_ends.append((*path, issuer))


def _check_authority(authority: Certificate, *, below: int, is_anchor: bool) -> None:
    """Refuses an authority that may not issue the certificate below it (RFC 5280 §6.1.4). `below` is the
    number of authorities under it in the path."""
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
    # An anchor signs itself, so a weak signature on it does no harm: we trust its key by configuration.
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
    """Of the certificates that a peer presented besides its own, those that may help to build a path. Leaves
    out those that we have already, those that cannot be read, and repeated ones."""
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
