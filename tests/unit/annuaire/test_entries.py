"""Entries are parsed or refused; what we ask for is what the schema has, the person in charge apart."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssante.annuaire.attributes import OF_DOMAIN, OF_MAILBOX, OF_OPERATOR, SEARCHED, luhn_remainder
from mssante.annuaire.entries import MailboxEntry, address_keys, domain_entry, mailbox_entry, operator_entry
from mssante.annuaire.ldif import LdifDirectory
from mssante.annuaire.ldif_reader import LdifRecord, read_ldif
from mssante.demo.annuaire import dev_ldif_path, schema_path
from mssante.limits import DIRECTORY_VALUE_OCTETS_MAX, DIRECTORY_VALUES_MAX
from mssante.model import Address, MailboxKind, MailboxStatus, Malformed

PERSON = {
    "mssAdresse": "camille.moreau@chu-a.mssante.test",
    "mssTypeBal": "PER",
    "mssStatut": "active",
    "mssCodeOperateur": "operateur-a",
    "mssTypeIdentifiantPP": "8",
    "mssIdentifiantPP": "10000010370",
}
TEAM = PERSON | {
    "mssTypeBal": "ORG",
    "mssIdentifiantPP": "",
    "mssTypeIdentifiantStructure": "1",
    "mssIdentificationStructure": "1750000001",
}


def _raw(attributes: dict[str, str]) -> dict[str, list[bytes]]:
    return {name.lower(): [value.encode()] for name, value in attributes.items() if value}


def test_the_least_a_mailbox_needs() -> None:
    entry = mailbox_entry(_raw(PERSON))
    assert entry.kind is MailboxKind.PER
    assert entry.status is MailboxStatus.ACTIVE
    assert not entry.unlisted
    assert entry.rank is None
    assert entry.structure is None
    assert mailbox_entry(_raw(TEAM)).holder is None


@pytest.mark.parametrize(
    ("base", "change", "attribute"),
    [
        *((PERSON, {name: ""}, name) for name in PERSON),
        (PERSON, {"mssAdresse": "nobody"}, "mssAdresse"),
        (PERSON, {"mssAdresse": "a b@chu-a.mssante.test"}, "mssAdresse"),
        (PERSON, {"mssAdresse": "é@chu-a.mssante.test"}, "mssAdresse"),
        (PERSON, {"mssTypeBal": "per"}, "mssTypeBal"),
        (PERSON, {"mssTypeBal": "QUEUE"}, "mssTypeBal"),
        (PERSON, {"mssStatut": "shredded"}, "mssStatut"),
        (PERSON, {"mssCodeOperateur": "a b"}, "mssCodeOperateur"),
        (PERSON, {"mssListeRouge": "oui"}, "mssListeRouge"),
        (PERSON, {"mssListeRouge": "true"}, "mssListeRouge"),
        (PERSON, {"mssRangPrefere": "0"}, "mssRangPrefere"),
        (PERSON, {"mssRangPrefere": "٣"}, "mssRangPrefere"),
        (PERSON, {"mssIdentifiantPP": "10000010371"}, "mssIdentifiantPP"),
        (PERSON, {"mssIdentifiantPP": "1000001037"}, "mssIdentifiantPP"),
        (PERSON, {"mssIdentifiantPP": "1000001037²"}, "mssIdentifiantPP"),
        (PERSON, {"mssTypeIdentifiantPP": "0"}, "mssIdentifiantPP"),
        (PERSON, {"mssTypeIdentifiantPP": "7", "mssIdentifiantPP": "a b"}, "mssIdentifiantPP"),
        (PERSON, {"mssIdentificationNationalePP": "10000010370"}, "mssIdentificationNationalePP"),
        (PERSON, {"mssNomExercice": "a\x00b"}, "mssNomExercice"),
        (PERSON, {"mssNomExercice": "a\x1b[2J"}, "mssNomExercice"),
        (PERSON, {"mssNomExercice": "gpj.\u202eexe"}, "mssNomExercice"),
        (PERSON, {"mssNomExercice": "a" * (DIRECTORY_VALUE_OCTETS_MAX + 1)}, "mssNomExercice"),
        (TEAM, {"mssIdentificationStructure": ""}, "mssIdentificationStructure"),
        (TEAM, {"mssTypeIdentifiantStructure": ""}, "mssTypeIdentifiantStructure"),
        (TEAM, {"mssIdentificationStructure": "375000000100000"}, "mssIdentificationStructure"),
        (TEAM, {"mssIdentificationStructure": "175000001"}, "mssIdentificationStructure"),
        (TEAM, {"mssTypeIdentifiantStructure": "3"}, "mssIdentificationStructure"),
    ],
)
def test_a_wrong_attribute_is_named_and_its_value_never_said(
    base: dict[str, str], change: dict[str, str], attribute: str
) -> None:
    with pytest.raises(Malformed) as raised:
        mailbox_entry(_raw(base | change))
    why = str(raised.value)
    # A holder without identifier is told by the identifier, whatever is missing of the two.
    assert why.startswith(attribute)
    assert all(value not in why for value in change.values() if len(value) > 2 and value != attribute)


def test_several_values_where_there_is_one_are_refused() -> None:
    for name in PERSON:
        raw = _raw(PERSON)
        raw[name.lower()] = [*raw[name.lower()], b"x"]
        with pytest.raises(Malformed):
            mailbox_entry(raw)


def test_a_value_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(Malformed):
        mailbox_entry(_raw(PERSON) | {"mssnomexercice": [b"\xe9"]})


@pytest.mark.parametrize(
    ("id_type", "number"),
    [("8", "99700218896"), ("0", "699100001"), ("10", "x@y.mssante.test"), ("3", "75000000100012/007")],
)
def test_every_type_of_person_identifier_is_read(id_type: str, number: str) -> None:
    entry = mailbox_entry(_raw(PERSON | {"mssTypeIdentifiantPP": id_type, "mssIdentifiantPP": number}))
    assert entry.holder is not None
    assert entry.holder.national_id == id_type + number


@pytest.mark.parametrize(
    ("id_type", "national_id"),
    [("1", "12A0000001"), ("2", "2123456789"), ("3", "312345678901234"), ("4", "4X-1")],
)
def test_every_type_of_structure_identifier_is_read(id_type: str, national_id: str) -> None:
    changed = {"mssTypeIdentifiantStructure": id_type, "mssIdentificationStructure": national_id}
    entry = mailbox_entry(_raw(TEAM | changed))
    assert entry.structure is not None
    assert entry.structure.national_id == national_id


@given(
    st.dictionaries(
        st.sampled_from([name.lower() for name in OF_MAILBOX]),
        st.lists(st.binary(max_size=20) | st.sampled_from([b"PER", b"8", b"TRUE", b"1"]), max_size=3),
    )
)
def test_any_entry_is_parsed_or_malformed(change: dict[str, list[bytes]]) -> None:
    raw = _raw(PERSON) | change
    try:
        entry = mailbox_entry(raw)
    except Malformed:
        return
    assert isinstance(entry, MailboxEntry)
    assert entry.address.key in address_keys(raw)


def test_operators_and_domains_are_parsed_or_refused() -> None:
    operator = {"mssCodeOperateur": "Operateur-A", "mssDnCertificat": "CN=a"}
    assert operator_entry(_raw(operator)).code == "operateur-a"
    with pytest.raises(Malformed):
        operator_entry(_raw(operator | {"mssDnCertificat": ""}))
    many = {"mssdncertificat": [f"CN={n}".encode() for n in range(DIRECTORY_VALUES_MAX + 1)]}
    with pytest.raises(Malformed):
        operator_entry(_raw(operator) | many)
    domain = {"mssNomDomaine": "CHU-A.mssante.test", "mssCodeOperateur": "operateur-a"}
    assert str(domain_entry(_raw(domain)).domain) == "chu-a.mssante.test"
    for change in ({"mssNomDomaine": "a@b.test"}, {"mssCodeOperateur": ""}, {"mssNomDomaine": "localhost"}):
        with pytest.raises(Malformed):
            domain_entry(_raw(domain | change))


def _schema_class(name: str) -> set[str]:
    """Every attribute the schema gives a class."""
    text = schema_path().read_text(encoding="utf-8").replace("\n ", "")
    (line,) = [
        line for line in text.splitlines() if line.startswith("olcObjectClasses") and f"'{name}'" in line
    ]
    return set(re.findall(r"\bmss[A-Z]\w+", line.replace(f"'{name}'", "")))


def test_the_schema_and_what_we_ask_for_are_one_for_one() -> None:
    assert set(OF_MAILBOX) == _schema_class("mssBal") - {"mssResponsable"}
    assert set(OF_OPERATOR) == _schema_class("mssOperateur")
    assert set(OF_DOMAIN) == _schema_class("mssDomaine")
    assert set(SEARCHED) <= set(OF_MAILBOX)


def test_the_person_in_charge_has_no_place_in_an_entry() -> None:
    entry = mailbox_entry(_raw(TEAM | {"mssResponsable": "Odile Confidentielle"}))
    assert "Odile" not in repr(entry)


def test_the_development_directory_is_whole_and_has_one_of_each() -> None:
    content = dev_ldif_path().read_bytes()
    assert LdifDirectory(content).odd == ()
    entries = [
        mailbox_entry(record.attributes)
        for record in read_ldif(content)
        if isinstance(record, LdifRecord) and "mssadresse" in record.attributes
    ]
    assert {entry.kind for entry in entries} == set(MailboxKind) - {MailboxKind.QUEUE}
    assert {entry.status for entry in entries} == set(MailboxStatus)
    assert {entry.unlisted for entry in entries} == {True, False}
    assert 18 <= len(entries) <= 25
    assert all(str(entry.address.domain).endswith(".test") for entry in entries)
    numbers = [entry.holder.number for entry in entries if entry.holder and entry.holder.id_type == "8"]
    assert len(numbers) >= 8
    assert not any(luhn_remainder(number) for number in numbers)


@given(st.from_regex(r"[0-9]{10}", fullmatch=True), st.integers(0, 9), st.integers(1, 9))
def test_one_wrong_digit_is_always_seen(digits: str, position: int, shift: int) -> None:
    key = next(key for key in "0123456789" if luhn_remainder(digits + key) == 0)
    wrong = digits[:position] + str((int(digits[position]) + shift) % 10) + digits[position + 1 :]
    assert luhn_remainder(wrong + key) != 0


def test_addresses_an_entry_claims_are_seen_whatever_its_state() -> None:
    raw = {"mssadresse": [b"A@chu-a.mssante.test", b"b@chu-a.mssante.test ", b"\xff", b"no"]}
    assert address_keys(raw) == {"a@chu-a.mssante.test", "b@chu-a.mssante.test"}
    assert Address.parse("a@chu-a.mssante.test").key in address_keys(raw)
