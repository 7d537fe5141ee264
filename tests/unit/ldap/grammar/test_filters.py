"""Filters keep the shape of their template, whatever is asked (attack catalogue D1)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter

from mssante.ldap.grammar.filters import build_filter
from mssante.model import Malformed

SAFE_TEXT = st.text(st.characters(blacklist_categories=("Cc", "Cs")), min_size=1, max_size=60)


def _compiled(text: str) -> Any:
    """As ldap3 would send it."""
    read = parse_filter(text, None, False, True, None, False)  # type: ignore[no-untyped-call]  # no stub types it
    return compile_filter(read.elements[0])  # type: ignore[no-untyped-call]  # nor this


@given(SAFE_TEXT, SAFE_TEXT)
@example("*)(uid=*", "\\2a")
@example(" leading and trailing ", "((((")
@example("\\", "*")
def test_a_value_reaches_the_wire_as_it_is_and_nowhere_else(first: str, second: str) -> None:
    compiled = _compiled(build_filter("(&(objectClass=mssBal)(|(a={})(b=*{}*)))", first, second))
    conjunction = compiled["and"]
    assert len(conjunction) == 2
    assert bytes(conjunction[0]["equalityMatch"]["assertionValue"]) == b"mssBal"
    either = conjunction[1]["or"]
    assert len(either) == 2
    assert bytes(either[0]["equalityMatch"]["assertionValue"]) == first.encode()
    substrings = either[1]["substringFilter"]["substrings"]
    assert len(substrings) == 1
    assert bytes(substrings[0]["any"]) == second.encode()


@pytest.mark.parametrize("value", ["", "\0", "a\0b", "a\nb", "\x7f", "\x85", "a\ud800", "x" * 257, "é" * 129])
def test_what_no_directory_should_be_asked_is_refused(value: str) -> None:
    with pytest.raises(Malformed):
        build_filter("(a={})", value)


def test_the_longest_value_is_256_octets() -> None:
    assert build_filter("(a={})", "é" * 128) == "(a=" + r"\c3\a9" * 128 + ")"
