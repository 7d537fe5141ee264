"""Distinguished names: equal by what they say, however a list or a certificate writes it."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from mssante.model import Malformed
from mssante.trust.names import COMMON_NAME, DistinguishedName

PLAIN = "CN=mss.chu-a.fr,OU=310000000000017,O=CENTRE HOSPITALIER,ST=Côte-d'Or (21),C=FR"
parse = DistinguishedName.parse


@pytest.mark.parametrize(
    "written",
    [
        PLAIN,
        "CN=mss.chu-a.fr, OU=310000000000017, O=CENTRE HOSPITALIER, ST=Côte-d'Or (21), C=FR",
        "CN = mss.chu-a.fr ,OU=310000000000017,O=CENTRE HOSPITALIER,ST=Côte-d'Or (21),C=FR",
        'CN=mss.chu-a.fr,OU=310000000000017,O="CENTRE HOSPITALIER",ST=Côte-d\'Or (21),C=FR',
        'CN=mss.chu-a.fr,OU=310000000000017,O=CENTRE "HOSPITALIER",ST=Côte-d\'Or (21),C=FR',
        "CN=mss.chu-a.fr,OU=310000000000017,O=CENTRE\u00a0 HOSPITALIER,ST=Côte-d'Or (21),C=FR",
        "CN=mss.chu-a.fr,OU=310000000000017,O=CENTRE   HOSPITALIER ,ST=Côte-d'Or (21),C=FR",
        "CN=MSS.CHU-A.FR,OU=310000000000017,O=Centre Hospitalier,ST=CÔTE-D'OR (21),C=fr",
        "cn=mss.chu-a.fr,ou=310000000000017,o=CENTRE HOSPITALIER,st=Côte-d'Or (21),c=FR",
        "CN=mss.chu-a.fr,OU=310000000000017,O=CENTRE HOSPITALIER,S=Côte-d'Or (21),C=FR",
        "OID.2.5.4.3=mss.chu-a.fr,2.5.4.11=310000000000017,O=CENTRE HOSPITALIER,ST=Côte-d'Or (21),C=FR",
        "CN=mss.chu-a.fr,OU=310000000000017,O=CENTRE HOSPITALIER,ST=Co\u0302te-d'Or (21),C=FR",
        "CN=mss.chu-a.fr,OU=310000000000017,O=CENTRE HOSPITALIER,ST=C\\C3\\B4te-d'Or (21),C=FR",
        "CN=mss.chu-a.fr,OU=310000000000017,O=ＣＥＮＴＲＥ ℌospitalier,ST=Côte-d'Or (21),C=FR",
        "\n  CN=mss.chu-a.fr,OU=310000000000017,\n  O=CENTRE HOSPITALIER,ST=Côte-d'Or (21),C=FR\n",
    ],
)
def test_every_way_of_writing_a_name_is_the_same_name(written: str) -> None:
    assert parse(written) == parse(PLAIN)
    assert hash(parse(written)) == hash(parse(PLAIN))


@pytest.mark.parametrize(
    "other",
    [
        "CN=mss.chu-b.fr,OU=310000000000017,O=CENTRE HOSPITALIER,ST=Côte-d'Or (21),C=FR",
        "CN=mss.chu-a.fr,OU=310000000000017,O=CENTRE HOSPITALIER,ST=Cote-d'Or (21),C=FR",
        "CN=mss.chu-a.fr,OU=310000000000017,O=CENTRE HOSPITALIER,L=Côte-d'Or (21),C=FR",
        "C=FR,ST=Côte-d'Or (21),O=CENTRE HOSPITALIER,OU=310000000000017,CN=mss.chu-a.fr",
        "CN=mss.chu-a.fr,O=CENTRE HOSPITALIER,ST=Côte-d'Or (21),C=FR",
        "CN=mss.chu-a.fr,OU=310000000000017+O=CENTRE HOSPITALIER,ST=Côte-d'Or (21),C=FR",
        "CN=mss.chu-a.fr\\,OU=310000000000017,O=CENTRE HOSPITALIER,ST=Côte-d'Or (21),C=FR",
        "CN=mss.chu-a.fr,OU=310000000000017,O=CENTREHOSPITALIER,ST=Côte-d'Or (21),C=FR",
    ],
)
def test_what_says_something_else_is_another_name(other: str) -> None:
    assert parse(other) != parse(PLAIN)


def test_case_is_folded_as_unicode_does() -> None:
    assert parse("O=GROSSE STRASSE") == parse("O=Große Straße")


def test_the_attributes_of_one_rdn_have_no_order() -> None:
    assert parse("CN=a+OU=b,C=FR") == parse("OU=b+CN=a,C=FR")


def test_quotes_hold_commas_as_java_writes_them() -> None:
    assert parse('O="DUPONT, MARTIN",C=FR') == parse("O=DUPONT\\, MARTIN,C=FR")
    assert parse('O="DUPONT, MARTIN",C=FR') != parse("O=DUPONT,C=FR")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "CN",
        "CN=",
        "CN=a,",
        ",CN=a",
        "CN=a,,C=FR",
        "CN=a;C=FR",
        "O=DUPONT, MARTIN,C=FR",
        'O="DUPONT, "LE" MARTIN",C=FR',
        "O=A + B,C=FR",
        "NIMPORTE=a",
        "CN=#0c0161",
        "CN=a\x00b",
        "CN=a\u200bb",
        "CN=a\u202eb",
        "CN=a\ue000b",
        "CN=\\C3",
        "CN=a\\",
        'CN=""',
        "CN=" + "a" * 5000,
    ],
)
def test_what_makes_no_sense_is_refused_and_never_guessed(text: str) -> None:
    with pytest.raises(Malformed):
        parse(text)


def test_an_unclosed_quote_swallows_nothing() -> None:
    """The quoted part must end where the value ends, else a name could hide the attributes after it."""
    name = parse('O="LES LILAS" SUD,OU="1",C=FR')
    assert len(name.rdns) == 3


value = st.text(
    st.characters(exclude_categories=["C"], exclude_characters='"'), min_size=1, max_size=20
).filter(lambda text: text.strip() != "")
kind = st.sampled_from(["CN", "OU", "O", "ST", "L", "C", "2.5.4.97", "1.2.3.4"])


@given(st.lists(st.tuples(kind, value), min_size=1, max_size=6))
def test_a_certificate_and_its_name_written_out_are_the_same_name(pairs: list[tuple[str, str]]) -> None:
    oids = {"CN": NameOID.COMMON_NAME, "OU": NameOID.ORGANIZATIONAL_UNIT_NAME, "O": NameOID.ORGANIZATION_NAME}
    attributes = [
        x509.NameAttribute(oids.get(one, x509.ObjectIdentifier("1.2.3")), text) for one, text in pairs
    ]
    try:
        name = DistinguishedName.of(x509.Name(attributes))
    except Malformed:
        return  # a value that is nothing but spaces once prepared
    assert parse(name.text) == name
    assert parse(name.text).text == name.text
    assert len(name.rdns) == len(pairs)


@given(st.lists(value, min_size=2, max_size=3, unique_by=lambda text: text.casefold()))
def test_a_multi_valued_rdn_is_read_from_der_too(values: list[str]) -> None:
    rdn = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, text) for text in values])
    try:
        name = DistinguishedName.of(x509.Name([rdn]))
    except Malformed:
        return
    assert len(name.rdns) == 1
    assert parse(name.text) == name


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = parse(text)
    except Malformed:
        return
    assert parse(name.text) == name


@given(st.text(alphabet='CNO=,+"\\ aé;#', max_size=24))
def test_any_text_made_of_separators_is_a_name_or_refused(text: str) -> None:
    try:
        name = parse(text)
    except Malformed:
        return
    assert parse(name.text) == name


def test_the_order_is_the_reverse_of_the_certificate() -> None:
    der = x509.Name(
        [x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"), x509.NameAttribute(NameOID.COMMON_NAME, "mss.a.fr")]
    )
    assert DistinguishedName.of(der).text == "CN=mss.a.fr,C=FR"


def test_an_attribute_that_is_not_text_is_refused() -> None:
    odd = x509.Name([x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\x01", _type=_bit_string())])
    with pytest.raises(Malformed):
        DistinguishedName.of(odd)


def _bit_string() -> x509.name._ASN1Type:
    return x509.name._ASN1Type.BitString


def test_the_rest_of_a_name_without_its_cn() -> None:
    name = parse(PLAIN)
    assert name.apart_from(COMMON_NAME) == parse(PLAIN.partition(",")[2]).rdns
    assert name.holds(COMMON_NAME)
