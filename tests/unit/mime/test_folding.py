"""mssante.mime.folding: what a search disregards."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mssante.mime.folding import _any_letters, _letters, fold

FRENCH = st.text(
    st.sampled_from("aàâéèêëEÉçÇœŒæÆßïôùûüÿ µμ’‘'“«»–—…\u202f\u00a0\r\n\t°²½¨\u0301\u0308x-9"), max_size=20
)
anything = st.text(max_size=20) | FRENCH


@pytest.mark.parametrize(
    ("needle", "text"),
    [
        ("cafe", "Café"),
        ("CAFÉ", "cafe"),
        ("coeur", "Cœur"),
        ("cœur", "COEUR"),
        ("l'hopital", "l’Hôpital"),
        ("compte rendu", "compte\r\nrendu"),
        ("compte rendu", "compte\u00a0rendu"),
        ("compte  rendu", "compte rendu"),
        ("été", "e\u0301te\u0301"),
        ("strasse", "Straße"),
        ("lettre de sortie", "LETTRE DE\r\n\tSORTIE"),
        ("5 µg", "5 μg"),
        ("\N{GREEK SMALL LETTER SIGMA}", "\N{GREEK SMALL LETTER FINAL SIGMA}"),
        ("istanbul", "İstanbul"),
        ("hospitalise", "hospi\u00adtalisé"),
        ("fi", "\N{LATIN SMALL LIGATURE FI}"),
    ],
)
def test_what_people_write_one_for_the_other_is_one(needle: str, text: str) -> None:
    assert fold(needle) == fold(text)


@pytest.mark.parametrize(("one", "other"), [("a b", "ab"), ("ou", "où?"), ("é", "b"), ("", " ")])
def test_the_rest_counts(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(anything)
@example("½µ°")
def test_the_quick_way_is_the_long_way(text: str) -> None:
    assert _letters(text) == _any_letters(text)


@given(anything, anything, anything)
@example("a ", "b", " c")
@example("e", "\u0301", "")
def test_what_is_in_a_text_is_found_in_it(before: str, needle: str, after: str) -> None:
    assert fold(needle) in fold(before + needle + after)
