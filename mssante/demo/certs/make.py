"""Makes the development PKI in a folder: `python -m mssante.demo.certs.make DIR [--operators a,b,c]`.

Invariants: everything is made anew at each call, in the folder given, and nothing of it is committed;
secret keys are mode 0600; the names are the same every time, so that `annuaire/dev.ldif` and a white
list written once stay right.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mssante.demo.certs.authority import Authority, Issued, Key, Subject, host_names, p256, root, rsa2048
from mssante.demo.certs.cases import Workshop, authority_name, cases

UNLISTED = "operateur-inconnu"
# The operators of annuaire/dev.ldif: (idNatStruct, organisation, state). Accents and parentheses as in
# the real list (facts §1), a FINESS here and a SIRET there.
_OPERATORS = {
    "a": ("1750000001", "CHU A", "Paris (75)"),
    "b": ("369000002000022", "Operateur B", "Rhône (69)"),
    "c": ("333000003000033", "Laboratoire C", "Gironde (33)"),
    "d": ("1590000004", "Operateur D", "Nord (59)"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A certificate on disk. `dn` is its own name, `listed` the one to list for `domain`; both differ only
    in the cases that are about that. An operator's `domain` is only a suggestion."""

    name: str
    dn: str
    listed: str
    domain: str
    chain_file: Path  # the leaf, then the authorities above it, without the root
    key_file: Path
    issued: Issued


@dataclass(frozen=True, slots=True, kw_only=True)
class Pki:
    """What was made. `root` and `organisations` hold their keys in memory, to issue or revoke in tests."""

    directory: Path
    anchors: Path
    issuing: Path
    crls: Path
    root: Authority
    organisations: Authority
    leaves: Mapping[str, Leaf]

    def revoke(self, *names: str, now: datetime, number: int = 2) -> None:
        """Writes the issuing authority's CRL again, with these leaves and `revoque` on it. `number` grows."""
        wanted = {*names, "revoque"} if "revoque" in self.leaves else set(names)
        revoked = [self.leaves[name].issued.certificate for name in wanted]
        _write_crl(self.crls, self.organisations, now=now, number=number, revoked=revoked)


def operator_subject(letter: str, *, spare: bool = False) -> Subject:
    """The subject of development operator `letter` (a, b, c…), or of its second certificate."""
    other = (f"3999999{ord(letter):03}00011", f"OPERATEUR {letter.upper()}", "Côte-d'Or (21)")
    unit, organisation, state = _OPERATORS.get(letter, other)
    return Subject(
        common_name=f"mss{'-2' if spare else ''}.operateur-{letter}.test",
        unit=unit,
        organisation=organisation,
        state=state,
    )


def unlisted_subject() -> Subject:
    """An operator with a good certificate that nobody lists."""
    return Subject(
        common_name="mss.operateur-inconnu.test",
        unit="399999980000015",
        organisation="OPERATEUR INCONNU",
        state="Gironde (33)",
    )


def build(
    directory: Path, *, now: datetime, operators: Sequence[str] = ("a", "b", "c"), with_cases: bool = True
) -> Pki:
    """Makes the whole PKI under `directory`, created if need be, valid around `now` (aware)."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # keys will lie there
    crls = directory / "crl"
    crls.mkdir(exist_ok=True)
    top = root(authority_name("AC RACINE IGC-SANTE ELEMENTAIRE"), rsa2048(), now=now, label="racine")
    organisations = top.authority(
        authority_name("AC IGC-SANTE ELEMENTAIRE ORGANISATIONS"),
        rsa2048(),
        now=now,
        label="organisations",
        path_length=0,
    )
    leaves = {leaf.name: leaf for leaf in _operators(directory, organisations, operators, now)}
    if with_cases:
        leaves.update((leaf.name, leaf) for leaf in _cases(directory, top, organisations, now))
    anchors, issuing = directory / "anchors.pem", directory / "issuing.pem"
    anchors.write_bytes(_pem([top.certificate]))
    issuing.write_bytes(_pem([organisations.certificate]))
    _write_crls(crls, top, organisations, leaves, now=now)
    return Pki(
        directory=directory,
        anchors=anchors,
        issuing=issuing,
        crls=crls,
        root=top,
        organisations=organisations,
        leaves=MappingProxyType(leaves),
    )


def _operators(
    directory: Path, authority: Authority, letters: Sequence[str], now: datetime
) -> Iterable[Leaf]:
    wanted = [
        (f"operator-{letter}{'-spare' if spare else ''}", operator_subject(letter, spare=spare), letter)
        for letter in letters
        for spare in (False, True)
    ]
    keys = {letter: _key(letter) for letter in letters}
    wanted.append((UNLISTED, unlisted_subject(), letters[0]))
    for name, subject, letter in wanted:
        issued = authority.issue(
            subject.name,
            p256() if name == UNLISTED else keys[letter],
            now=now,
            alternative_names=host_names(subject.common_name, "localhost"),
        )
        domain = subject.common_name.partition(".")[2]
        yield _written(directory, name, issued, dn=subject.dn, listed=subject.dn, domain=domain)


def _key(letter: str) -> Key:
    """Both kinds live among operators: P-256 for a, c, e…; RSA-2048 for b, d…"""
    return rsa2048() if (ord(letter) - ord("a")) % 2 else p256()


def _cases(directory: Path, top: Authority, organisations: Authority, now: datetime) -> Iterable[Leaf]:
    shop = Workshop(root=top, organisations=organisations, now=now, ec_key=p256(), rsa_key=rsa2048())
    for case in cases(shop):
        yield _written(directory, case.name, case.issued, dn=case.dn, listed=case.listed, domain=case.domain)


def _written(directory: Path, name: str, issued: Issued, *, dn: str, listed: str, domain: str) -> Leaf:
    chain_file, key_file = directory / f"{name}.pem", directory / f"{name}.key"
    chain_file.write_bytes(_pem([issued.certificate, *issued.chain]))
    _write_secret(key_file, issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Leaf(
        name=name,
        dn=dn,
        listed=listed,
        domain=domain,
        chain_file=chain_file,
        key_file=key_file,
        issued=issued,
    )


def _write_crls(
    crls: Path, top: Authority, organisations: Authority, leaves: Mapping[str, Leaf], *, now: datetime
) -> None:
    fallen = leaves.get("revoked-authority")
    _write_crl(crls, top, now=now, revoked=[fallen.issued.chain[0]] if fallen else [])
    revoked = leaves.get("revoque")
    _write_crl(crls, organisations, now=now, revoked=[revoked.issued.certificate] if revoked else [])


def _write_crl(
    crls: Path,
    authority: Authority,
    *,
    now: datetime,
    revoked: Iterable[x509.Certificate],
    number: int = 1,
) -> None:
    crl = authority.crl(now=now, number=number, revoked=revoked)
    # Whole or not at all: a server may be reading the folder.
    fresh = crls / f".{authority.label}.new"
    fresh.write_bytes(crl.public_bytes(Encoding.PEM))
    fresh.replace(crls / f"{authority.label}.crl")


def _write_secret(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _pem(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mssante.demo.certs.make", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--operators", default="a,b,c", help="letters, separated by commas")
    arguments = parser.parse_args()
    letters = arguments.operators.split(",")
    if not all(len(letter) == 1 and "a" <= letter <= "z" for letter in letters):
        parser.error("--operators takes small letters, as in a,b,c")
    pki = build(arguments.directory, now=datetime.now(UTC), operators=letters)
    for leaf in pki.leaves.values():
        print(f"{leaf.name:24} {leaf.dn}")


if __name__ == "__main__":
    main()
