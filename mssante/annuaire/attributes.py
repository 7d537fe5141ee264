"""The attributes of directory entries: their names, and how to read one.

Invariants: every value is bounded and UTF-8; a reader returns what the attribute holds, or raises Malformed,
which names the attribute and never its value; no text that is returned has a control or direction-changing
character.
"""

from __future__ import annotations

import unicodedata
from enum import Enum
from typing import TypeVar

from mssante.ldap.grammar.values import RawEntry
from mssante.limits import DIRECTORY_VALUE_OCTETS_MAX, DIRECTORY_VALUES_MAX
from mssante.model import Malformed

_Choice = TypeVar("_Choice", bound=Enum)

# What we ask of a directory for a mailbox: all its attributes except `mssResponsable`, which is never public.
OF_MAILBOX = (
    "mssAdresse",
    "mssTypeBal",
    "mssStatut",
    "mssCodeOperateur",
    "mssListeRouge",
    "mssRangPrefere",
    "mssDescription",
    "mssServiceRattachement",
    "mssDematerialisation",
    "mssTypeIdentifiantPP",
    "mssIdentifiantPP",
    "mssIdentificationNationalePP",
    "mssCiviliteExercice",
    "mssNomExercice",
    "mssPrenomExercice",
    "mssCategorieProfession",
    "mssLibelleCategorieProfession",
    "mssCodeProfession",
    "mssLibelleProfession",
    "mssCodeSavoirFaire",
    "mssLibelleSavoirFaire",
    "mssTypeIdentifiantStructure",
    "mssIdentificationStructure",
    "mssRaisonSociale",
    "mssEnseigneCommerciale",
    "mssAdresseL2",
    "mssAdresseL3",
    "mssAdresseL4",
    "mssAdresseL5",
    "mssAdresseL6",
    "mssCodePostal",
    "mssDepartement",
    "mssPays",
)
OF_OPERATOR = (
    "mssCodeOperateur",
    "mssNomOperateur",
    "mssDnCertificat",
    "mssIdentificationStructure",
    "mssContactSupport",
)
OF_DOMAIN = ("mssNomDomaine", "mssCodeOperateur", "mssDescription")
SEARCHED = (
    "mssAdresse",
    "mssDescription",
    "mssServiceRattachement",
    "mssNomExercice",
    "mssPrenomExercice",
    "mssLibelleProfession",
    "mssRaisonSociale",
    "mssEnseigneCommerciale",
    "mssAdresseL6",
)

# Characters that change the direction of the text after them (Unicode UAX #9). With them a name could be
# shown as another name.
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _values(raw: RawEntry, name: str) -> tuple[str, ...]:
    values = raw.get(name.lower(), ())
    if len(values) > DIRECTORY_VALUES_MAX:
        raise Malformed(f"{name}: over {DIRECTORY_VALUES_MAX} values")
    return tuple(_decoded(name, value) for value in values)


def _decoded(name: str, value: bytes) -> str:
    if len(value) > DIRECTORY_VALUE_OCTETS_MAX:
        raise Malformed(f"{name}: over {DIRECTORY_VALUE_OCTETS_MAX} octets")
    try:
        decoded = value.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed(f"{name}: not UTF-8") from None
    # A printable text has neither kind of character. Nearly all texts are printable, so we ask this first.
    if not decoded.isprintable() and any(
        unicodedata.category(character) == "Cc" or character in _DIRECTIONS for character in decoded
    ):
        raise Malformed(f"{name}: control character")
    return decoded


def optional(raw: RawEntry, name: str) -> str:
    """The only value, or "" when there is none."""
    values = _values(raw, name)
    if len(values) > 1:
        raise Malformed(f"{name}: several values")
    return values[0].strip() if values else ""


def required(raw: RawEntry, name: str) -> str:
    """The only value."""
    value = optional(raw, name)
    if not value:
        raise Malformed(f"{name}: missing")
    return value


def several(raw: RawEntry, name: str) -> tuple[str, ...]:
    """At least one value, each once."""
    values = tuple(dict.fromkeys(value.strip() for value in _values(raw, name) if value.strip()))
    if not values:
        raise Malformed(f"{name}: missing")
    return values


def choice(raw: RawEntry, name: str, choices: type[_Choice]) -> _Choice:
    """The only value, a member of `choices`."""
    value = required(raw, name)
    try:
        return choices(value)
    except ValueError:
        raise Malformed(f"{name}: unknown value") from None


def truth(raw: RawEntry, name: str) -> bool:
    """RFC 4517 §3.3.3; an absent value is FALSE."""
    value = optional(raw, name) or "FALSE"
    if value not in {"TRUE", "FALSE"}:
        raise Malformed(f"{name}: neither TRUE nor FALSE")
    return value == "TRUE"


def luhn_remainder(digits: str) -> int:
    """0 when the last digit is the Luhn key of the others (ISO/IEC 7812-1 annex B)."""
    doubled = (int(digit) * (1 + position % 2) for position, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10
