"""Distinguished names (DNs), parsed and compared as RFC 5280 §7.1 requires, never as strings.

Invariants: two names are equal when their sequences of RDNs are equal after the preparation of RFC 4518
(NFKC, letter case folded, any run of spaces or no-break spaces made one space); the order is that of
RFC 4514, most specific first. Double quotes do not count in the comparison, because lists add and lose them
(facts §1). Invisible and unassigned characters are refused, while RFC 4518 would drop some of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography import x509

from mssante.limits import DN_CHARACTERS_MAX
from mssante.model import Malformed

COMMON_NAME = "2.5.4.3"
LOCALITY = "2.5.4.7"
STATE = "2.5.4.8"

# First the names of RFC 4514 §3, then those that OpenSSL, Java and Windows write.
_OID_OF = {
    "CN": COMMON_NAME,
    "L": LOCALITY,
    "ST": STATE,
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "C": "2.5.4.6",
    "STREET": "2.5.4.9",
    "DC": "0.9.2342.19200300.100.1.25",
    "UID": "0.9.2342.19200300.100.1.1",
    "SN": "2.5.4.4",
    "SERIALNUMBER": "2.5.4.5",
    "T": "2.5.4.12",
    "GIVENNAME": "2.5.4.42",
    "POSTALCODE": "2.5.4.17",
    "ORGANIZATIONIDENTIFIER": "2.5.4.97",
    "EMAILADDRESS": "1.2.840.113549.1.9.1",
}
_NAME_OF = {oid: name for name, oid in _OID_OF.items()}
_OTHER_NAMES = {
    "S": "ST",
    "SP": "ST",
    "E": "EMAILADDRESS",
    "EMAIL": "EMAILADDRESS",
    "G": "GIVENNAME",
    "TITLE": "T",
    "SURNAME": "SN",
    "COMMONNAME": "CN",
    "COUNTRYNAME": "C",
    "LOCALITYNAME": "L",
    "STATEORPROVINCENAME": "ST",
    "ORGANIZATIONNAME": "O",
    "ORGANIZATIONALUNITNAME": "OU",
}
_TYPE = re.compile(r"\s*(?:OID\.)?([A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+)\s*=\s*", re.IGNORECASE)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(?=[,+]|\Z)', re.DOTALL)
_PLAIN = re.compile(r"((?:[^\\,+;]|\\.)*)", re.DOTALL)
_ESCAPE = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)", re.DOTALL)
_SPECIAL = re.compile(r'([,+"\\<>;=])')


@dataclass(frozen=True, slots=True)
class DistinguishedName:
    """A subject or issuer. It is compared and hashed by its prepared RDNs. `text` is the name in RFC 4514
    form, as it was first written but with spaces tidied, so that `parse(name.text) == name`. Reading one
    raises `Malformed` when it cannot be understood."""

    rdns: tuple[frozenset[tuple[str, str]], ...]
    text: str = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> DistinguishedName:
        """Reads RFC 4514 text, and the looser forms found in real lists (facts §1): spaces around separators,
        quotes around values or inside them, attribute types given as OIDs."""
        if len(text) > DN_CHARACTERS_MAX:
            raise Malformed("a distinguished name too long")
        return _name(_scan(text))

    @classmethod
    def of(cls, name: x509.Name) -> DistinguishedName:
        """The name in a certificate, in reverse order, because DER begins with the country."""
        found: list[list[tuple[str, str]]] = []
        for rdn in reversed(name.rdns):
            pairs = [(attribute.oid.dotted_string, attribute.value) for attribute in rdn]
            found.append([(oid, value) for oid, value in pairs if isinstance(value, str)])
            if len(found[-1]) != len(pairs):
                raise Malformed("a name attribute that is not text")
        return _name(found)

    @property
    def prepared(self) -> str:
        """The name as text in which nothing is left that does not count: equal names have the same."""
        return ",".join("+".join(sorted(_written(oid, value) for oid, value in rdn)) for rdn in self.rdns)

    def apart_from(self, oid: str) -> tuple[frozenset[tuple[str, str]], ...]:
        """The RDNs without those that hold attribute `oid`."""
        return tuple(rdn for rdn in self.rdns if not any(kind == oid for kind, _ in rdn))

    def holds(self, oid: str) -> bool:
        return any(kind == oid for rdn in self.rdns for kind, _ in rdn)

    def __str__(self) -> str:
        return self.text


def _name(rdns: list[list[tuple[str, str]]]) -> DistinguishedName:
    if not rdns:
        raise Malformed("an empty distinguished name")
    prepared = tuple(frozenset((oid, _prepared(value)) for oid, value in rdn) for rdn in rdns)
    text = ",".join("+".join(sorted(_written(oid, value) for oid, value in rdn)) for rdn in rdns)
    if len(text) > DN_CHARACTERS_MAX:
        raise Malformed("a distinguished name too long")
    return DistinguishedName(prepared, text)


def _scan(text: str) -> list[list[tuple[str, str]]]:
    rdns: list[list[tuple[str, str]]] = []
    for joined, oid, value in _attributes(text):
        if joined:
            rdns[-1].append((oid, value))
        else:
            rdns.append([(oid, value)])
    return rdns


def _attributes(text: str) -> Iterator[tuple[bool, str, str]]:
    """Each attribute as (whether `+` joins it to the one before, OID, value). After an unquoted comma or plus
    sign inside a value, what follows is not an attribute; that is refused, and we do not guess."""
    at, joined = 0, False
    while True:
        kind = _TYPE.match(text, at)
        if kind is None:
            raise Malformed("not an attribute of a distinguished name")
        value = _QUOTED.match(text, kind.end()) or _PLAIN.match(text, kind.end())
        assert value is not None  # _PLAIN matches the empty string
        if value[0].startswith("#"):
            raise Malformed("a hexadecimal value in a distinguished name")
        yield joined, _oid(kind[1]), _unescaped(value[1])
        at = value.end()
        if at == len(text):
            return
        if text[at] not in ",+":
            raise Malformed("a stray character in a distinguished name")
        joined = text[at] == "+"
        at += 1


def _oid(kind: str) -> str:
    if kind[0].isdigit():
        return kind
    name = kind.upper()
    oid = _OID_OF.get(_OTHER_NAMES.get(name, name))
    if oid is None:
        raise Malformed("an unknown attribute type in a distinguished name")
    return oid


def _unescaped(value: str) -> str:
    def plain(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[2]
        try:
            return bytes.fromhex(found[1].replace("\\", "")).decode()
        except UnicodeDecodeError:
            raise Malformed("escapes that are not UTF-8 in a distinguished name") from None

    return _ESCAPE.sub(plain, value)


@lru_cache(maxsize=4096)
def _prepared(value: str) -> str:
    """The form in which values are compared. RFC 4518 §2: map, normalise, prohibit, insignificant spaces."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", _spaced(value)).casefold())
    prepared = " ".join(folded.replace('"', "").split())
    if not prepared:
        raise Malformed("an empty value in a distinguished name")
    return prepared


@lru_cache(maxsize=4096)
def _spaced(value: str) -> str:
    """Makes every run of spaces one plain space. Refuses invisible characters (the Unicode categories C*)."""
    spaced = " ".join(value.split())
    if any(unicodedata.category(character).startswith("C") for character in spaced):
        raise Malformed("an invisible or unassigned character in a distinguished name")
    return spaced


def _written(oid: str, value: str) -> str:
    escaped = _SPECIAL.sub(r"\\\1", _spaced(value))
    if escaped.startswith("#"):
        escaped = "\\" + escaped
    return f"{_NAME_OF.get(oid, oid)}={escaped}"
