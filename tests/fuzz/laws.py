"""Each parser that reads what a stranger wrote, with seeds and a law.

A law is given any octets. It lets pass only the errors that the parser declares, and asserts what must hold
of what the parser made of them: that a value written out reads as itself, that cuts do not matter, that two
readers agree. Invariants: a law has no chance and no clock of its own; seeds are of the kind that the field
sends.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mssante.annuaire.ldif import LdifDirectory
from mssante.delivery.authors import MARK, unmarked
from mssante.demo import annuaire
from mssante.demo.certs.make import Pki, build
from mssante.demo.certs.white_list import white_list
from mssante.imap.grammar.wire import Wire
from mssante.mime import addresses, authors, encoded_words, header
from mssante.mime.structure import Scanner, scan
from mssante.mime.summary import Summary, summarise
from mssante.model import Address, Malformed
from mssante.smtp.grammar.commands import parse_mail, parse_rcpt
from mssante.smtp.grammar.data import DataParser
from mssante.trust import white_list as lists
from mssante.trust.certificate import Certificate
from mssante.trust.names import DistinguishedName
from mssante.trust.path import Anchors
from mssante.trust.revocation import Revocations
from tests.support.broken_mail import broken_letters
from tests.unit.imap.grammar.test_fuzz import SEEDS as COMMANDS
from tests.unit.imap.spoken import events, logged_in
from tests.unit.mime.test_authors import CLAIMED, NOT_ONE, ONE, block

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
_DN = "CN=mss.chu-a.test,OU=1750000001,O=CHU A,ST=Paris (75),C=FR"
_FROMS = tuple(block(text) for text in (*ONE, *CLAIMED, *(each for each in NOT_ONE if len(each) < 500)))
_MARKED = b"X-Mssante-Author-Unproved: x\r\n y\r\nFrom: a@b.test\r\nSender : a@b.test\r\n\r\n"


@dataclass(frozen=True, slots=True)
class FuzzedParser:
    """`seeds` and `law` of one parser."""

    seeds: Callable[[], list[bytes]]
    law: Callable[[bytes], None]


@cache
def _pki() -> Pki:
    return build(Path(tempfile.mkdtemp(prefix="mssante-fuzz-")), now=NOW, operators=("a",), with_cases=False)


@cache
def _anchors() -> Anchors:
    return Anchors.load(_pki().anchors, _pki().issuing)


@cache
def _crl_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="mssante-fuzz-crl-"))


def certificate_seeds() -> list[bytes]:
    leaf = _pki().leaves["operator-a"].issued.certificate
    return [each.public_bytes(Encoding.DER) for each in (leaf, _pki().root.certificate)]


def certificate(octets: bytes) -> None:
    try:
        found = Certificate.read(octets)
    except Malformed:
        return
    assert DistinguishedName.parse(found.name.text) == found.name
    assert found.identity.dn == found.name.text


@cache
def _crls() -> tuple[x509.CertificateRevocationList, ...]:
    fallen = [_pki().leaves["operator-a"].issued.certificate]
    return tuple(_pki().organisations.crl(now=NOW, number=number, revoked=fallen) for number in (1, 300))


def crl_seeds() -> list[bytes]:
    return [crl.public_bytes(form) for crl in _crls() for form in (Encoding.DER, Encoding.PEM)]


def crl(octets: bytes) -> None:
    """Whatever the file holds, it is set aside or it is what an authority of ours signed."""
    (_crl_folder() / "a.crl").write_bytes(octets)
    found = Revocations.load(_crl_folder(), issuers=_anchors().issuers, now=NOW)
    assert len(found.crls) + len(found.unused) == 1
    signed = {one.tbs_certlist_bytes for one in _crls()}
    assert all(x509.load_der_x509_crl(one.der).tbs_certlist_bytes in signed for one in found.crls.values())


def dn_seeds() -> list[bytes]:
    odd = ['CN="a, b" ,O = x', "2.5.4.3=a+OU=b\\2C c,C=FR", 'O=l"hopital,L=Lyon', "CN=\\C3\\A9t\\C3\\A9,C=FR"]
    return [text.encode() for text in (_DN, *odd)]


def dn(octets: bytes) -> None:
    try:
        name = DistinguishedName.parse(octets.decode("utf-8", "replace"))
    except Malformed:
        return
    again = DistinguishedName.parse(name.text)
    assert (again, again.text) == (name, name.text)


def list_seeds() -> list[bytes]:
    return [white_list([("chu-a.test", _DN), ("B.test", _DN.replace(",", ", "))], generated_at=NOW)]


def liste(octets: bytes) -> None:
    try:
        found = lists.read(octets)
    except Malformed:
        return
    assert found.count == len(found.entries) + sum(not odd.kept for odd in found.odd)
    assert found.space().generated_at == found.generated_at


def ldif_seeds() -> list[bytes]:
    records = annuaire.dev_ldif_path().read_bytes().split(b"\n\n")
    return [b"\n\n".join(records[at : at + 3]) + b"\n" for at in range(0, min(len(records), 30), 3)]


def ldif(octets: bytes) -> None:
    try:
        LdifDirectory(octets)
    except Malformed:
        return


def header_seeds() -> list[bytes]:
    letters = [letter.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" for letter in broken_letters().values()]
    return [_MARKED, *_FROMS, *(each for each in letters if len(each) < 2000)]


def header_block(octets: bytes) -> None:
    found = header.fields(octets)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert [(each.name, each.value) for each in found] == [
        (name, header.unfold(raw)) for name, raw in header.pairs(octets)
    ]
    names = frozenset({b"from", b"to", b"content-type"})
    for others in (False, True):
        chosen = header.chosen_fields(octets, names, others=others)
        assert header.chosen_fields(chosen, names, others=others)[: len(chosen)] == chosen
    for each in found[:20]:
        header.with_parameters(each.value)
        header.message_identifiers(each.value)
        addresses.text(addresses.parse(each.value))
        encoded_words.extended(each.value)
        text = encoded_words.decode(each.value)
        assert encoded_words.decode(encoded_words.encode(text).replace(b"\r\n", b"")) == text


def author(octets: bytes) -> None:
    """Where there is one author, the tolerant reader of addresses finds the same and no other."""
    kept = unmarked(octets).octets
    assert not header.values(kept, MARK.lower().encode())
    try:
        authors.sender_of(octets)
        named = authors.author_of(octets)
    except Malformed:
        return
    for raw in header.values(octets, b"from"):
        read = [entry for entry in addresses.parse(raw) if entry.host]
        assert [(entry.address or "").lower() for entry in read] == [named.address.key], raw
        allowed = {named.address.key, *(claim.key for claim in named.claims)}
        shown = addresses.parse(encoded_words.decode(raw).encode())
        for address in (entry.address for entry in shown if entry.host and entry.host.isascii()):
            try:
                assert address is None or Address.parse(address).key in allowed, raw
            except Malformed:
                continue


def structure_seeds() -> list[bytes]:
    return [letter for letter in broken_letters().values() if len(letter) < 4000]


def structure(octets: bytes) -> None:
    whole = scan(octets)
    for cut in {len(octets) // 3, len(octets) // 2, octets[0] if octets else 0}:
        scanner = Scanner()
        scanner.feed(octets[:cut])
        scanner.feed(octets[cut : cut + 1])
        scanner.feed(octets[cut + 1 :])
        assert scanner.close() == whole
    summary = summarise(whole, internal_date=NOW, head=octets[:4096])
    assert Summary.from_bytes(summary.to_bytes()) == summary


def data_seeds() -> list[bytes]:
    return [
        b"Subject: x\r\n\r\n..a\r\n.\r\nMAIL",
        b"a\r\n. \r\n.\r\n",
        b"\r\n.\n.\r\n",
        b"x\0\r\n.\r\n",
        b".\r\n",
    ]


def data(octets: bytes) -> None:
    whole = _taken(octets, len(octets))
    assert all(_taken(octets, cut) == whole for cut in (1, 2, 3, 7))
    content, done, fault, left = whole
    if done and fault is None:
        end = (b"\r\n" + octets).find(b"\r\n.\r\n")
        assert left == octets[end + 3 :]
        assert content == b"\r\n".join(line.removeprefix(b".") for line in octets[:end].split(b"\r\n"))
        assert b"\0" not in content
        assert content.count(b"\r\n") == content.count(b"\r") == content.count(b"\n")


def _taken(octets: bytes, step: int) -> tuple[bytes, bool, object, bytes]:
    parser = DataParser(octets_max=10_000)
    content = left = b""
    for at in range(0, len(octets), max(1, step)):
        if parser.done:
            left += octets[at : at + max(1, step)]
        else:
            content += parser.receive_data(octets[at : at + max(1, step)])
    if parser.fault is not None:
        content = b""  # how much was given out before the fault depends on the cuts, and is thrown away
    return content, parser.done, parser.fault, parser.leftover + left if parser.done else b""


def command_seeds() -> list[bytes]:
    return [
        b"FROM:<dr.a@chu-a.test> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=a+2Bb",
        b"FROM:<>",
        b"TO:<@x.test:dr.b@cabinet-b.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+40b",
        b'TO:<"a b"@cabinet-b.test>',
    ]


def command(octets: bytes) -> None:
    text = octets.decode("latin-1")
    for answer in (parse_mail(text), parse_rcpt(text)):
        assert answer is not None


def imap(octets: bytes) -> None:
    for fresh, refuse in ((logged_in, False), (Wire, True)):
        whole = events(fresh(), [octets], refuse=refuse)
        for cut in {len(octets) // 2, octets[0] if octets else 0}:
            pieces = [octets[:cut], octets[cut : cut + 3], octets[cut + 3 :]]
            assert events(fresh(), pieces, refuse=refuse) == whole


PARSERS = {
    "certificate": FuzzedParser(certificate_seeds, certificate),
    "crl": FuzzedParser(crl_seeds, crl),
    "dn": FuzzedParser(dn_seeds, dn),
    "white-list": FuzzedParser(list_seeds, liste),
    "ldif": FuzzedParser(ldif_seeds, ldif),
    "header": FuzzedParser(header_seeds, header_block),
    "author": FuzzedParser(header_seeds, author),
    "structure": FuzzedParser(structure_seeds, structure),
    "smtp-data": FuzzedParser(data_seeds, data),
    "smtp-command": FuzzedParser(command_seeds, command),
    "imap": FuzzedParser(lambda: list(COMMANDS), imap),
}
