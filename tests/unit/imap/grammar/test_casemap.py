"""The i;unicode-casemap collation (RFC 5051)."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from mssante import limits
from mssante.imap.grammar import casemap as module
from mssante.imap.grammar.casemap import casemap


def test_the_example_of_the_rfc() -> None:
    assert casemap("\u01c4") == "\u0044\u007a\u030c"


def test_letters_are_equal_in_any_case_and_however_their_accents_are_composed() -> None:
    assert casemap("Élodie") == casemap("ÉLODIE") == casemap("e\u0301lodie")
    assert casemap("Élodie") != casemap("Elodie")


def test_only_mappings_of_one_character_to_one_count() -> None:
    assert casemap("ß") == "ß"
    assert casemap("ﬁ") == "fi"  # a decomposition, which no titlecase follows


def test_hangul_has_no_decomposition_in_the_file() -> None:
    assert casemap("가") == "가"


def test_the_order_is_that_of_utf8_octets() -> None:
    texts = ["z", "é", "E", "Œuvre", "\U0001f600", "\uffee", "a"]
    prepared = [casemap(text) for text in texts]
    assert sorted(prepared) == sorted(prepared, key=lambda text: text.encode())


@given(st.text())
def test_plain_text_goes_the_same_way_as_any_other(text: str) -> None:
    assert casemap(text) == text.translate(module._PREPARED)


@given(st.text())
def test_what_is_prepared_is_decomposed_throughout(text: str) -> None:
    assert all(not unicodedata.decomposition(character) for character in casemap(text))


def test_what_is_remembered_is_bounded() -> None:
    table = module._Prepared()
    for code in range(limits.IMAP_CASEMAP_REMEMBERED_MAX + 500):
        table[code]
    assert len(table) == limits.IMAP_CASEMAP_REMEMBERED_MAX
