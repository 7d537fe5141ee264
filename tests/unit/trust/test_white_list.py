"""The white list: every entry accounted for, whatever it looks like; nothing hostile gets in (T19, T20)."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante import limits
from mssante.demo.certs.white_list import white_list
from mssante.model import Domain, Malformed
from mssante.trust.names import DistinguishedName
from mssante.trust.white_list import Odd, WhiteList, read

AT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
GOOD = "CN=mss.chu-a.fr,OU=310000000000017,O=CHU A,ST=Rhône (69),C=FR"
NAMESPACE = 'xmlns="https://listeblanche.mssante.fr/schema"'
DATE = "<DateDeGeneration>2026-02-03T04:05:06Z</DateDeGeneration>"
ENTRY = f"<Domaine><Nom>a.mssante.fr</Nom><DNCertificatOperateur>{GOOD}</DNCertificatOperateur></Domaine>"


def listed(*pairs: tuple[str, str]) -> WhiteList:
    return read(white_list(pairs, generated_at=AT))


def document(inside: str, *, before: str = "", date: str = DATE) -> bytes:
    return (
        f"<?xml version='1.0' encoding='UTF-8'?>{before}<ListeBlancheMSSante {NAMESPACE}>{date}"
        f"<ListeDomaines>{inside}</ListeDomaines></ListeBlancheMSSante>"
    ).encode()


def only_odd(found: WhiteList) -> Odd:
    (odd,) = found.odd
    return odd


def test_an_ordinary_list_is_read_whole() -> None:
    found = listed(
        ("a.mssante.fr", GOOD), ("b.mssante.fr", GOOD), ("b.mssante.fr", GOOD.replace("chu-a", "b"))
    )
    assert (found.count, len(found.entries), found.odd, found.generated_at) == (3, 3, (), AT)
    space = found.space()
    assert (len(space.names_by_domain), len(space.names), space.generated_at) == (2, 2, AT)
    assert space.names_for(Domain("a.mssante.fr")) == {DistinguishedName.parse(GOOD)}


# Each irregularity of the real list (facts §1): as written, then what is told.
KEPT = [
    ("UC-CMP.mssante.fr", GOOD, "domain in upper case"),
    ("interop-mssante.apicrypt.org", GOOD, "domain outside mssante.fr"),
    ("a.mssante.fr", GOOD.replace(",", ", "), "DN with spaces round separators"),
    ("a.mssante.fr", GOOD.replace(",OU", " ,OU"), "DN with spaces round separators"),
    ("a.mssante.fr", GOOD.replace("CHU A", '"CHU A"'), "DN with quotes round a value"),
    ("a.mssante.fr", GOOD.replace("CHU A", 'CHU "A"'), "DN with quotes inside a value"),
    ("a.mssante.fr", GOOD.replace("CHU A", 'CH"U" A'), "DN with quotes inside a value"),
    ("a.mssante.fr", GOOD.replace("CHU A", "CHU\u00a0A"), "DN with no-break spaces"),
    ("a.mssante.fr", GOOD.replace("CHU A", "CHU  A"), "DN with several spaces in a row"),
]


@pytest.mark.parametrize(("domain", "name", "why"), KEPT)
def test_an_irregular_entry_counts_as_the_regular_one_and_is_told(domain: str, name: str, why: str) -> None:
    found = listed((domain, name))
    odd = only_odd(found)
    assert (odd.rank, odd.domain, odd.name, odd.why, odd.kept) == (1, domain, name, (why,), True)
    assert found.space().names_for(Domain(domain.lower())) == {DistinguishedName.parse(GOOD)}


def test_l_in_place_of_st_is_told_and_stays_another_name() -> None:
    found = listed(("a.mssante.fr", GOOD.replace("ST=", "L=")))
    assert only_odd(found).why == ("DN with L in place of ST",)
    assert found.space().names != {DistinguishedName.parse(GOOD)}


def test_duplicates_are_told_and_count_once() -> None:
    found = listed(("a.mssante.fr", GOOD), ("a.mssante.fr", GOOD), ("A.mssante.fr", GOOD.replace(",", ", ")))
    assert [(odd.rank, odd.why[-1]) for odd in found.odd] == [
        (2, "the same as entry 1"),
        (3, "the same as entry 1"),
    ]
    assert len(found.entries) == 3
    assert len(found.space().names_by_domain) == len(found.space().names) == 1


@pytest.mark.parametrize(
    ("domain", "name", "why"),
    [
        ("contact@a.mssante.fr", GOOD, "domain unreadable: not a domain name (an @ inside it)"),
        ("santé.mssante.fr", GOOD, "domain unreadable: not a domain name"),
        ("*.mssante.fr", GOOD, "domain unreadable: not a domain name"),
        ("fr", GOOD, "domain unreadable: not a domain name"),
        ("", GOOD, "domain unreadable: not a domain name"),
        ("a.mssante.fr", "", "DN unreadable: not an attribute of a distinguished name"),
        ("a.mssante.fr", "chu-a", "DN unreadable: not an attribute of a distinguished name"),
        (
            "a.mssante.fr",
            GOOD.replace("CHU A", "CHU, A"),
            "DN unreadable: not an attribute of a distinguished name",
        ),
    ],
)
def test_an_entry_that_makes_no_sense_is_told_and_never_enters_the_space(
    domain: str, name: str, why: str
) -> None:
    found = listed((domain, name), ("b.mssante.fr", GOOD))
    odd = only_odd(found)
    assert (odd.rank, odd.domain, odd.name, odd.why, odd.kept) == (1, domain, name, (why,), False)
    assert (found.count, len(found.entries)) == (2, 1)
    assert set(found.space().names_by_domain) == {Domain("b.mssante.fr")}


@pytest.mark.parametrize(
    "inside",
    [
        "<Nom>a.mssante<!-- -->.fr</Nom><DNCertificatOperateur>CN=a</DNCertificatOperateur>",
        "<Nom>a.mssante.fr<b/></Nom><DNCertificatOperateur>CN=a</DNCertificatOperateur>",
        "<Nom>a.mssante.fr</Nom><Nom>b.mssante.fr</Nom><DNCertificatOperateur>CN=a</DNCertificatOperateur>",
        "<Nom>a.mssante.fr</Nom>",
        "<Nom xmlns='urn:autre'>a.mssante.fr</Nom><DNCertificatOperateur>CN=a</DNCertificatOperateur>",
        "<Nom>a.mssante.fr</Nom><DNCertificatOperateur>CN=<?x?>a</DNCertificatOperateur>",
    ],
)
def test_a_value_that_two_readers_could_read_differently_is_not_read(inside: str) -> None:
    found = read(document(f"<Domaine>{inside}</Domaine>{ENTRY}"))
    assert not only_odd(found).kept
    assert "missing, given twice, or not plain text" in only_odd(found).why[0]
    assert (found.count, len(found.entries)) == (2, 1)


def test_entries_elsewhere_than_in_the_list_are_not_entries() -> None:
    nested = ENTRY.replace("</Domaine>", f"<Autre>{ENTRY}</Autre></Domaine>").replace(
        "a.mssante", "b.mssante", 1
    )
    found = read(document(nested, date=DATE + ENTRY))
    assert found.count == 1


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not sound XML"),
        (b"\x00\x01", "not sound XML"),
        (b"<html/>", "not a white list"),
        (document(ENTRY).replace(NAMESPACE.encode(), b""), "not a white list"),
        (
            document(ENTRY).replace(b"listeblanche.mssante.fr", b"listeblanche.mssante.test"),
            "not a white list",
        ),
        (document(ENTRY)[:-20], "not sound XML"),
        (document(""), "empty"),
        (document(ENTRY, date=""), "without its date"),
        (document(ENTRY, date=DATE + DATE), "two dates"),
        (document(ENTRY, date="<DateDeGeneration>hier</DateDeGeneration>"), "date cannot be read"),
        (document(ENTRY, date="<DateDeGeneration>2026-02-03T04:05:06</DateDeGeneration>"), "no time zone"),
        (document("<Nom>&inconnu;</Nom>"), "not sound XML"),
    ],
)
def test_a_list_that_is_not_one_is_refused_as_a_whole(content: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        read(content)


BOMB = "".join(f'<!ENTITY l{step} "{f"&l{step - 1};" * 10}">' for step in range(1, 12))
DTDS = {
    "external entity": '<!DOCTYPE l [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
    "parameter entity": '<!DOCTYPE l [<!ENTITY % e SYSTEM "http://127.0.0.1:1/e.dtd"> %e;]>',
    "external subset": '<!DOCTYPE l SYSTEM "http://127.0.0.1:1/l.dtd">',
    "a billion laughs": f'<!DOCTYPE l [<!ENTITY l0 "lol">{BOMB}]>',
    "a quadratic bomb": f'<!DOCTYPE l [<!ENTITY e "{"a" * 100_000}">]>',
    "an empty one": "<!DOCTYPE ListeBlancheMSSante>",
}


@pytest.mark.parametrize("kind", DTDS)
def test_any_dtd_is_refused_before_it_costs_anything(kind: str) -> None:
    inside = ENTRY.replace("a.mssante.fr", "&l11;" if "laughs" in kind else "&e;" * 10_000)
    started = time.process_time()
    for content in (inside, ENTRY):
        with pytest.raises(Malformed, match="DTD"):
            read(document(content, before=DTDS[kind]))
    assert time.process_time() - started < 0.2  # T19: 100 ms each


def test_a_dtd_in_another_encoding_is_refused_too() -> None:
    content = document(ENTRY, before=DTDS["external entity"]).decode().replace("UTF-8", "UTF-16")
    with pytest.raises(Malformed, match="DTD"):
        read(content.encode("utf-16"))


@pytest.mark.parametrize(
    ("depth", "why"),
    [
        (limits.WHITE_LIST_DEPTH_MAX - 2, "empty white list"),  # the root and the list are two more
        (limits.WHITE_LIST_DEPTH_MAX - 1, "nested too deep"),
        (100_000, "nested too deep"),
    ],
)
def test_deep_nesting_is_refused_fast(depth: int, why: str) -> None:
    started = time.process_time()
    with pytest.raises(Malformed, match=why):
        read(document("<a>" * depth + "</a>" * depth))
    assert time.process_time() - started < 0.2


def test_a_million_entries_are_refused_without_being_read_through() -> None:
    content = document("<Domaine/>" * 1_000_000)
    started = time.process_time()
    with pytest.raises(Malformed, match="too many entries"):
        read(content)
    assert time.process_time() - started < 3  # a hundredth of the limit costs the same per entry


def test_a_list_too_large_is_refused_unread() -> None:
    with pytest.raises(Malformed, match="too large"):
        read(b" " * (limits.WHITE_LIST_OCTETS_MAX + 1))


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)


@settings(max_examples=60)
@given(st.lists(st.tuples(text, text), min_size=1, max_size=6))
def test_every_entry_is_either_in_the_space_or_told_as_left_out(pairs: list[tuple[str, str]]) -> None:
    found = listed(*pairs)
    left_out = [odd for odd in found.odd if not odd.kept]
    assert found.count == len(pairs) == len(found.entries) + len(left_out)
    assert all(odd.why for odd in found.odd)


@settings(max_examples=60)
@given(at=st.integers(0, 700), junk=st.binary(min_size=1, max_size=4))
def test_a_damaged_list_is_read_or_refused(at: int, junk: bytes) -> None:
    content = document(ENTRY + ENTRY)
    try:
        found = read(content[:at] + junk + content[at + len(junk) :])
    except Malformed:
        return
    assert found.count == len(found.entries) + sum(not odd.kept for odd in found.odd)
