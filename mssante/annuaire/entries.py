"""Directory entries as frozen values, each parsed or refused by itself.

Invariants: all that is here is public, except unlisted mailboxes, so `mssResponsable` has no field; every
text is bounded UTF-8 without control or direction-changing characters; a DN is kept as written
(mssante.trust.names compares DNs). Attribute names are compared in lower case; unknown ones are ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mssante.annuaire.attributes import choice, luhn_remainder, optional, required, several, truth
from mssante.ldap.grammar.values import RawEntry
from mssante.model import Address, Domain, MailboxKind, MailboxStatus, Malformed
from mssante.trust.names import DistinguishedName
from mssante.trust.space import Entry, TrustSpace

_KINDS = frozenset({MailboxKind.PER, MailboxKind.ORG, MailboxKind.APP, MailboxKind.CAB})
_OF_A_PERSON = frozenset({MailboxKind.PER, MailboxKind.CAB})
_CODE = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?")

# Facts §3: the shape of the number after the digits of its type. For a type that is not here we know no rule,
# and accept any short identifier.
_PERSON_NUMBERS = {"8": re.compile(r"[0-9]{11}"), "0": re.compile(r"[0-9A-Z]{9}"), "10": re.compile(r".+@.+")}
_STRUCTURE_NUMBERS = {
    "1": re.compile(r"[0-9][0-9AB][0-9]{7}"),  # FINESS; Corsica writes 2A and 2B
    "2": re.compile(r"[0-9]{9}"),  # SIREN
    "3": re.compile(r"[0-9]{14}"),  # SIRET
}
_ANY_NUMBER = re.compile(r"[0-9A-Za-z/._-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The person of a PER or CAB mailbox. `national_id` is the idNatPS: type then number."""

    id_type: str
    number: str
    national_id: str
    civility: str
    family_name: str
    given_name: str
    category: str
    category_label: str
    profession: str
    profession_label: str
    skill: str
    skill_label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthStructure:
    """The structure of a mailbox. `national_id` is the idNatStruct, "" when unknown; lines are L2 to L6."""

    id_type: str
    national_id: str
    name: str
    trade_name: str
    postal_lines: tuple[str, str, str, str, str]
    postal_code: str
    department: str
    country: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxEntry:
    """A mailbox the directory knows. `rank` 1 is the holder's preferred mailbox; None means not stated."""

    address: Address
    kind: MailboxKind
    status: MailboxStatus
    operator: str
    unlisted: bool
    rank: int | None
    description: str
    service: str
    paperless: bool
    holder: Holder | None
    structure: HealthStructure | None

    @property
    def searched(self) -> tuple[str, ...]:
        """The texts that a search looks in, the same and in the same order as attributes.SEARCHED."""
        holder, structure = self.holder, self.structure
        return (
            str(self.address),
            self.description,
            self.service,
            holder.family_name if holder else "",
            holder.given_name if holder else "",
            holder.profession_label if holder else "",
            structure.name if structure else "",
            structure.trade_name if structure else "",
            structure.postal_lines[4] if structure else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorEntry:
    """An operator and the subject DNs of its certificates, as text."""

    code: str
    name: str
    certificate_names: tuple[str, ...]
    national_id: str
    support: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainEntry:
    """A mail domain and the codes of its operators (one, or several while it changes hands)."""

    domain: Domain
    operators: tuple[str, ...]
    description: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class TrustPair:
    """Who may speak for a domain: the subject DN of a certificate, as text."""

    domain: Domain
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OddEntry:
    """An entry set aside: where it is (a DN or a line, for the operator to read), and why."""

    where: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustAnswer:
    """All that the directory says of the trust space: the pairs whose names can be parsed, in order and each
    once, and the entries set aside."""

    pairs: tuple[TrustPair, ...]
    odd: tuple[OddEntry, ...]

    def space(self) -> TrustSpace:
        """The trust space that the directory states. The directory gives no date."""
        return TrustSpace.from_entries(
            (Entry(pair.domain, DistinguishedName.parse(pair.name)) for pair in self.pairs),
            source="directory",
        )


def is_of_class(raw: RawEntry, name: str) -> bool:
    return any(value.lower() == name.lower().encode() for value in raw.get("objectclass", ()))


def address_keys(raw: RawEntry) -> frozenset[str]:
    """The keys of the addresses that an entry claims, even when the entry is malformed."""
    keys = set()
    for value in raw.get("mssadresse", ()):
        try:
            keys.add(Address.parse(value.decode("ascii").strip()).key)
        except ValueError:  # Malformed, or not ASCII
            continue
    return frozenset(keys)


def mailbox_entry(raw: RawEntry) -> MailboxEntry:
    """Reads a mailbox. Raises Malformed, which names the wrong attribute but not its value."""
    kind = choice(raw, "mssTypeBal", MailboxKind)
    if kind not in _KINDS:
        raise Malformed("mssTypeBal: not a kind of mailbox")
    holder, structure = _holder(raw), _structure(raw)
    if kind in _OF_A_PERSON and holder is None:
        raise Malformed("mssIdentifiantPP: missing for a person's mailbox")
    if kind not in _OF_A_PERSON and (structure is None or not structure.national_id):
        raise Malformed("mssIdentificationStructure: missing for a structure's mailbox")
    try:
        address = Address.parse(required(raw, "mssAdresse"))
    except Malformed as error:
        raise Malformed(f"mssAdresse: {error}") from None
    return MailboxEntry(
        address=address,
        kind=kind,
        status=choice(raw, "mssStatut", MailboxStatus),
        operator=_code(required(raw, "mssCodeOperateur")),
        unlisted=truth(raw, "mssListeRouge"),
        rank=_rank(raw),
        description=optional(raw, "mssDescription"),
        service=optional(raw, "mssServiceRattachement"),
        paperless=truth(raw, "mssDematerialisation"),
        holder=holder,
        structure=structure,
    )


def operator_entry(raw: RawEntry) -> OperatorEntry:
    """Raises Malformed, as mailbox_entry does."""
    return OperatorEntry(
        code=_code(required(raw, "mssCodeOperateur")),
        name=optional(raw, "mssNomOperateur"),
        certificate_names=several(raw, "mssDnCertificat"),
        national_id=optional(raw, "mssIdentificationStructure"),
        support=optional(raw, "mssContactSupport"),
    )


def domain_entry(raw: RawEntry) -> DomainEntry:
    """Raises Malformed, as mailbox_entry does."""
    try:
        domain = Domain.parse(required(raw, "mssNomDomaine"))
    except Malformed as error:
        raise Malformed(f"mssNomDomaine: {error}") from None
    return DomainEntry(
        domain=domain,
        operators=tuple(_code(code) for code in several(raw, "mssCodeOperateur")),
        description=optional(raw, "mssDescription"),
    )


def _holder(raw: RawEntry) -> Holder | None:
    number = optional(raw, "mssIdentifiantPP")
    if not number:
        return None
    id_type = required(raw, "mssTypeIdentifiantPP")
    if not _PERSON_NUMBERS.get(id_type, _ANY_NUMBER).fullmatch(number):
        raise Malformed("mssIdentifiantPP: not of its type")
    if id_type == "8" and luhn_remainder(number) != 0:
        raise Malformed("mssIdentifiantPP: wrong check digit")
    national_id = optional(raw, "mssIdentificationNationalePP") or id_type + number
    if national_id != id_type + number:
        raise Malformed("mssIdentificationNationalePP: not the type and the number")
    return Holder(
        id_type=id_type,
        number=number,
        national_id=national_id,
        civility=optional(raw, "mssCiviliteExercice"),
        family_name=optional(raw, "mssNomExercice"),
        given_name=optional(raw, "mssPrenomExercice"),
        category=optional(raw, "mssCategorieProfession"),
        category_label=optional(raw, "mssLibelleCategorieProfession"),
        profession=optional(raw, "mssCodeProfession"),
        profession_label=optional(raw, "mssLibelleProfession"),
        skill=optional(raw, "mssCodeSavoirFaire"),
        skill_label=optional(raw, "mssLibelleSavoirFaire"),
    )


def _structure(raw: RawEntry) -> HealthStructure | None:
    national_id, name = optional(raw, "mssIdentificationStructure"), optional(raw, "mssRaisonSociale")
    if not national_id and not name:
        return None
    id_type = required(raw, "mssTypeIdentifiantStructure") if national_id else ""
    number = national_id.removeprefix(id_type)
    if national_id and (
        not national_id.startswith(id_type)
        or not _STRUCTURE_NUMBERS.get(id_type, _ANY_NUMBER).fullmatch(number)
    ):
        raise Malformed("mssIdentificationStructure: not of its type")
    return HealthStructure(
        id_type=id_type,
        national_id=national_id,
        name=name,
        trade_name=optional(raw, "mssEnseigneCommerciale"),
        postal_lines=(
            optional(raw, "mssAdresseL2"),
            optional(raw, "mssAdresseL3"),
            optional(raw, "mssAdresseL4"),
            optional(raw, "mssAdresseL5"),
            optional(raw, "mssAdresseL6"),
        ),
        postal_code=optional(raw, "mssCodePostal"),
        department=optional(raw, "mssDepartement"),
        country=optional(raw, "mssPays"),
    )


def _code(value: str) -> str:
    code = value.lower()
    if not _CODE.fullmatch(code):
        raise Malformed("mssCodeOperateur: not a code")
    return code


def _rank(raw: RawEntry) -> int | None:
    text = optional(raw, "mssRangPrefere")
    if text and not re.fullmatch(r"[1-9][0-9]{0,3}", text):
        raise Malformed("mssRangPrefere: not a rank")
    return int(text) if text else None
