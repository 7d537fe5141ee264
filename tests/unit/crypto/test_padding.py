"""Padding: lengths fall into classes, at little cost, and a text comes out as it went in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssante.crypto.padding import MARK, padded, padded_length, unpadded
from mssante.limits import CHUNK_OCTETS, KIB, MIB, PADDING_STEP_OF_CONTENT, PADDING_STEP_OF_TEXT


@given(st.binary(max_size=3000))
def test_a_text_comes_out_as_it_went_in(text: bytes) -> None:
    assert unpadded(padded(text)) == text
    assert len(padded(text)) % PADDING_STEP_OF_TEXT == 0


@given(st.binary(min_size=1, max_size=100))
def test_a_text_of_before_comes_out_as_it_is(text: bytes) -> None:
    if text[:1] != MARK:
        assert unpadded(text) == text
    assert unpadded(b"") == b""


@given(st.integers(1, 200 * MIB))
def test_it_adds_an_eighth_at_most_and_never_takes_away(octets: int) -> None:
    whole = padded_length(octets, 1)
    assert octets <= whole <= octets * 1.12 or octets < 16
    stepped = padded_length(octets, PADDING_STEP_OF_CONTENT)
    assert whole <= stepped < whole + PADDING_STEP_OF_CONTENT


@given(st.integers(0, 200 * MIB), st.integers(0, 200 * MIB))
def test_a_longer_text_is_never_in_a_smaller_class(one: int, other: int) -> None:
    small, large = sorted((one, other))
    assert padded_length(small, 64) <= padded_length(large, 64)
    assert padded_length(padded_length(small, 64), 64) == padded_length(small, 64)


@pytest.mark.parametrize(
    ("octets", "length"),
    [
        *((0, 256), (1, 256), (256, 256), (257, 512), (1000, 1024), (1001, 1024), (4097, 4352)),
        *((100_000, 100_352), (1_000_000, 1_015_808), (35 * MIB, 35 * MIB), (35 * MIB + 1, 36 * MIB)),
    ],
)
def test_the_classes_stay_what_they_are(octets: int, length: int) -> None:
    assert padded_length(octets, PADDING_STEP_OF_CONTENT) == length


def test_what_fits_one_chunk_fits_it_padded() -> None:
    assert padded_length(CHUNK_OCTETS - 1, PADDING_STEP_OF_CONTENT) == CHUNK_OCTETS


def test_how_many_classes_there_are() -> None:
    """All that the length of a letter of up to 35 MiB can tell: one of a few hundred classes."""
    classes, octets = 0, 1
    while octets <= 35 * MIB:
        octets = padded_length(octets, PADDING_STEP_OF_CONTENT) + 1
        classes += 1
    assert classes < 400
    assert padded_length(4 * KIB, PADDING_STEP_OF_CONTENT) == 4 * KIB
