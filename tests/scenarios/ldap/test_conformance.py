"""One suite for both directories: what LDIF answers, a real slapd answers, entry for entry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mssante.annuaire.directory import Directory
from mssante.annuaire.ldap import LdapDirectory
from mssante.annuaire.ldif import LdifDirectory
from mssante.demo.annuaire import BASE_DN, dev_ldif_path
from mssante.demo.annuaire.slapd import Running
from mssante.ldap.client.session import LdapTarget
from mssante.limits import DIRECTORY_FOUND_MAX
from mssante.model import Address, Domain, MailboxKind, MailboxStatus, Malformed
from mssante.reasons import Passing, Reason
from tests.support.ldap.slapd import slapd


def _person(address: str, family: str, *, dn: str = "", **attributes: str) -> str:
    lines = {
        "objectClass": "mssBal",
        "mssAdresse": address,
        "mssTypeBal": "PER",
        "mssStatut": "active",
        "mssCodeOperateur": "operateur-a",
        "mssTypeIdentifiantPP": "8",
        "mssIdentifiantPP": "10000010370",
        "mssNomExercice": family,
    } | attributes
    dn = dn or f"mssAdresse={address},ou=bal,{BASE_DN}"
    return f"dn: {dn}\n" + "".join(f"{name}: {value}\n" for name, value in lines.items()) + "\n"


# What a server with our schema still lets in, and a reader must survive.
_ODD = "".join(
    [
        _person("bad.digit@chu-a.mssante.test", "MAUVAISECLE", mssIdentifiantPP="10000010371"),
        _person("bad.kind@chu-a.mssante.test", "MAUVAISTYPE", mssTypeBal="ZZZ"),
        _person("bad.control@chu-a.mssante.test", "CONTROLE", mssDescription="a\x1b[2Jb"),
        _person("bad.rank@chu-a.mssante.test", "MAUVAISRANG", mssRangPrefere="-3"),
        _person("not an address", "PASUNEADRESSE"),
        _person("twice@chu-a.mssante.test", "DOUBLON"),
        f"dn: ou=autre,{BASE_DN}\nobjectClass: organizationalUnit\nou: autre\n\n",
        _person(
            "twice@chu-a.mssante.test",
            "DOUBLON",
            dn=f"mssAdresse=twice@chu-a.mssante.test,ou=autre,{BASE_DN}",
        ),
        _person("etoile@chu-a.mssante.test", "A*B(C)D\\E"),
        _person("strasse@chu-a.mssante.test", "Großmann"),
        "".join(_person(f"nombre{number:03}@labo-c.mssante.test", "NOMBREUX") for number in range(150)),
        f"dn: mssNomDomaine=orphelin.mssante.test,ou=domaines,{BASE_DN}\nobjectClass: mssDomaine\n"
        "mssNomDomaine: orphelin.mssante.test\nmssCodeOperateur: personne\n"
        "mssCodeOperateur: operateur-c\n\n",
        f"dn: mssNomDomaine=a@b.mssante.test,ou=domaines,{BASE_DN}\nobjectClass: mssDomaine\n"
        "mssNomDomaine: a@b.mssante.test\nmssCodeOperateur: operateur-c\n\n",
        f"dn: mssCodeOperateur=illisible,ou=operateurs,{BASE_DN}\nobjectClass: mssOperateur\n"
        "mssCodeOperateur: illisible\nmssDnCertificat: not a name\n"
        "mssDnCertificat: CN=lisible.test,C=FR\n\n",
        f"dn: mssNomDomaine=illisible.mssante.test,ou=domaines,{BASE_DN}\nobjectClass: mssDomaine\n"
        "mssNomDomaine: Illisible.MSSANTE.test\nmssCodeOperateur: ILLISIBLE\n\n",
    ]
).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with slapd(tmp_path_factory.mktemp("slapd"), more=_ODD) as running:
        yield running


def _target(server: Running) -> LdapTarget:
    # Pages of 7, so that every answer of some size is several.
    return replace(LdapTarget.parse(server.url, base_dn=server.base_dn), page_entries=7)


@pytest.fixture(params=["ldif", "ldap"])
async def directory(request: pytest.FixtureRequest) -> AsyncIterator[Directory]:
    opened: Directory
    if request.param == "ldif":
        opened = LdifDirectory(dev_ldif_path().read_bytes() + b"\n" + _ODD)
    else:
        opened = LdapDirectory(_target(request.getfixturevalue("server")))
    yield opened
    await opened.aclose()


def _keys(entries: object) -> list[str]:
    assert isinstance(entries, tuple)
    return [entry.address.key for entry in entries]


async def test_every_attribute_of_a_person_is_read(directory: Directory) -> None:
    entry = await directory.mailbox(Address.parse("camille.moreau@chu-a.mssante.test"))
    assert entry is not None
    assert (entry.kind, entry.status, entry.operator) == (
        MailboxKind.PER,
        MailboxStatus.ACTIVE,
        "operateur-a",
    )
    assert (entry.unlisted, entry.rank, entry.paperless) == (False, 1, True)
    holder, structure = entry.holder, entry.structure
    assert holder is not None
    assert structure is not None
    assert (holder.id_type, holder.number, holder.national_id) == ("8", "10000010370", "810000010370")
    assert (holder.civility, holder.family_name, holder.given_name) == ("DR", "MOREAU", "Camille")
    assert (holder.category, holder.category_label) == ("C", "Civil")
    assert (holder.profession, holder.profession_label) == ("10", "Médecin")
    assert (holder.skill, holder.skill_label) == ("SM04", "Cardiologie et maladies vasculaires")
    assert (structure.id_type, structure.national_id) == ("1", "1750000001")
    assert (structure.name, structure.trade_name) == ("CHU A", "Hôpital A")
    assert structure.postal_lines == (
        "Bâtiment C",
        "2e étage",
        "1 rue de l'Exemple",
        "Le Bourg",
        "75013 PARIS",
    )
    assert (structure.postal_code, structure.department, structure.country) == ("75013", "Paris", "France")


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("cardiologie@chu-a.mssante.test", MailboxKind.ORG),
        ("dpi@chu-a.mssante.test", MailboxKind.APP),
        ("cabinet.du.parc@cabinet-b.mssante.test", MailboxKind.CAB),
        ("ines.martin@cabinet-b.mssante.test", MailboxKind.PER),
        ("nora.secretaire@cabinet-b.mssante.test", MailboxKind.PER),
    ],
)
async def test_each_kind_is_known(directory: Directory, address: str, kind: MailboxKind) -> None:
    entry = await directory.mailbox(Address.parse(address))
    assert entry is not None
    assert entry.kind is kind


async def test_an_address_is_found_whatever_its_case(directory: Directory) -> None:
    entry = await directory.mailbox(Address.parse("jean.dupont@CABINET-B.mssante.TEST"))
    assert entry is not None
    assert str(entry.address) == "Jean.DUPONT@cabinet-b.mssante.test"


async def test_an_unknown_address_is_none(directory: Directory) -> None:
    assert await directory.mailbox(Address.parse("personne@chu-a.mssante.test")) is None
    assert await directory.mailbox(Address.parse("*@chu-a.mssante.test")) is None


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("lea.absente@chu-a.mssante.test", MailboxStatus.SUSPENDED),
        ("marcel.retraite@chu-a.mssante.test", MailboxStatus.CLOSED),
    ],
)
async def test_suspended_and_closed_mailboxes_say_so_and_are_not_shown(
    directory: Directory, address: str, status: MailboxStatus
) -> None:
    entry = await directory.mailbox(Address.parse(address))
    assert entry is not None
    assert entry.status is status
    assert entry.holder is not None
    assert await directory.search(entry.holder.family_name, 10) == ()


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("paul.discret@chu-a.mssante.test", "discret"),
        ("alerte.interne@chu-a.mssante.test", "alerte.interne@chu-a.mssante.test"),
        ("automate@labo-c.mssante.test", "automatique"),
    ],
)
async def test_an_unlisted_mailbox_is_routed_and_never_shown(
    directory: Directory, address: str, text: str
) -> None:
    entry = await directory.mailbox(Address.parse(address))
    assert entry is not None
    assert entry.unlisted
    assert await directory.search(text, 100) == ()


async def test_the_person_in_charge_is_never_published(directory: Directory) -> None:
    entry = await directory.mailbox(Address.parse("cardiologie@chu-a.mssante.test"))
    assert "Confidentielle" not in repr(entry)
    assert await directory.search("Confidentielle", 10) == ()


_MOREAU = ["camille.moreau@chu-a.mssante.test", "camille.moreau@cabinet-b.mssante.test"]
_LHEVEDER = ["cabinet.du.parc@cabinet-b.mssante.test", "etienne.lheveder@cabinet-b.mssante.test"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("moreau", _MOREAU),
        ("MOREAU chu-a", ["camille.moreau@chu-a.mssante.test"]),
        ("chu-a  moreau", ["camille.moreau@chu-a.mssante.test"]),
        ("étienne l'hévéder", _LHEVEDER),
        ("L'HE\u0301VE\u0301DER 'HÉV", _LHEVEDER),
        ("sage-femme", []),  # the only one is suspended
        ("kinésithérapeute", ["jean.dupont@cabinet-b.mssante.test"]),
        ("secrétariat labo", ["resultats@labo-c.mssante.test"]),
        ("75013", ["camille.moreau@chu-a.mssante.test"]),
        ("A*B(C)D\\E", ["etoile@chu-a.mssante.test"]),
        ("*B(C", ["etoile@chu-a.mssante.test"]),
        ("GROßMANN", ["strasse@chu-a.mssante.test"]),
        ("grossmann", []),
        ("*)(mssListeRouge=TRUE", []),
        ("mor", _MOREAU),
        ("mo eu", []),  # no word of three characters
        ("", []),
        ("mauvaisecle", []),
        ("mauvaisrang", []),
        ("controle", []),
    ],
)
async def test_a_search_finds_every_word_somewhere(directory: Directory, text: str, found: list[str]) -> None:
    assert sorted(_keys(await directory.search(text, 50))) == sorted(found)


async def test_the_preferred_mailbox_comes_first(directory: Directory) -> None:
    first, second = await directory.search("moreau", 5)
    assert (first.rank, second.rank) == (1, 2)
    assert await directory.search("moreau", 1) == (first,)


@pytest.mark.parametrize(
    ("limit", "count"), [(-1, 0), (0, 0), (3, 3), (100, 100), (100_000, DIRECTORY_FOUND_MAX)]
)
async def test_a_search_is_bounded_and_the_first_are_the_same(
    directory: Directory, limit: int, count: int
) -> None:
    found = await directory.search("nombreux", limit)
    assert _keys(found) == [f"nombre{number:03}@labo-c.mssante.test" for number in range(count)]


@pytest.mark.parametrize(
    "text",
    ["abc\x00def", "abc\ndef", "abc\x1b", "abc\ud800", "a" * 257, " ".join(f"mot{n}" for n in range(9))],
)
async def test_a_text_no_directory_should_be_asked_is_refused(directory: Directory, text: str) -> None:
    with pytest.raises(Malformed):
        await directory.search(text, 10)


@pytest.mark.parametrize(
    "address",
    [
        "bad.digit@chu-a.mssante.test",
        "bad.kind@chu-a.mssante.test",
        "bad.control@chu-a.mssante.test",
        "bad.rank@chu-a.mssante.test",
        "twice@chu-a.mssante.test",
    ],
)
async def test_a_malformed_or_double_entry_is_passing_never_unknown(
    directory: Directory, address: str
) -> None:
    with pytest.raises(Passing) as raised:
        await directory.mailbox(Address.parse(address))
    assert raised.value.reason is Reason.DIRECTORY_UNAVAILABLE


async def test_the_trust_space_is_whole_and_odd_entries_cost_themselves_only(directory: Directory) -> None:
    answer = await directory.trust_pairs()
    a = "CN=mss.operateur-a.test,OU=1750000001,O=CHU A,ST=Paris (75),C=FR"
    b = "CN=mss.operateur-b.test,OU=369000002000022,O=Operateur B,ST=Rhône (69),C=FR"
    c = "CN=mss.operateur-c.test,OU=333000003000033,O=Laboratoire C,ST=Gironde (33),C=FR"
    d = "CN=mss.operateur-d.test,OU=1590000004,O=Operateur D,ST=Nord (59),C=FR"
    assert {(pair.domain.name, pair.name) for pair in answer.pairs} == {
        ("chu-a.mssante.test", a),
        ("cabinet-b.mssante.test", b),
        ("labo-c.mssante.test", c),
        ("hors-liste-d.mssante.test", d),
        ("ght-ab.mssante.test", a),
        ("ght-ab.mssante.test", b),
        ("orphelin.mssante.test", c),
        ("illisible.mssante.test", "CN=lisible.test,C=FR"),
    }
    assert sorted(odd.why.partition(":")[0] for odd in answer.odd) == [
        "mssCodeOperateur",
        "mssDnCertificat",
        "mssNomDomaine",
    ]
    space = answer.space()
    assert len(space.names_for(Domain.parse("ght-ab.mssante.test"))) == 2
    assert space.names_for(Domain.parse("clinique-ordinaire.test")) == frozenset()


async def test_a_closed_directory_is_passing(directory: Directory) -> None:
    await directory.aclose()
    for question in (
        directory.mailbox(Address.parse("dpi@chu-a.mssante.test")),
        directory.search("moreau", 1),
        directory.trust_pairs(),
    ):
        with pytest.raises(Passing) as raised:
            await question
        assert raised.value.reason is Reason.DIRECTORY_UNAVAILABLE


async def test_both_answer_the_same_for_every_mailbox(server: Running) -> None:
    ldif = LdifDirectory(dev_ldif_path().read_bytes())
    ldap = LdapDirectory(_target(server))
    addresses = [
        Address.parse(line.removeprefix("mssAdresse: "))
        for line in Path(dev_ldif_path()).read_text(encoding="utf-8").splitlines()
        if line.startswith("mssAdresse: ")
    ]
    assert len(addresses) > 18
    for address in addresses:
        assert await ldap.mailbox(address) == await ldif.mailbox(address) is not None
    await ldap.aclose()
