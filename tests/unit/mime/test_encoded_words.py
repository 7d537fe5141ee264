"""Encoded words: read whatever the charset, written so that anyone reads them."""

from __future__ import annotations

from email.header import decode_header, make_header

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.mime import encoded_words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?B?w4l0w6k=?=", "Été"),
        (b"=?iso-8859-1?q?=C9t=E9_chaud?=", "Été chaud"),
        (b"=?ISO-8859-15?Q?10_=A4?=", "10 €"),
        (b"=?windows-1252?q?=80?=", "€"),
        (b"=?utf-16?b?//5BAA==?=", "A"),
        (b"=?utf-8*fr?q?=C3=A9?=", "é"),
        (b"a =?utf-8?q?b?= c", "a b c"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?a?= c =?utf-8?q?b?=", "a c b"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "é"),  # a character cut between two words
        (b"=?iso-8859-1?q?=E9?=\t=?utf-8?q?=C3=A9?=", "éé"),
        (b"=?klingon?q?a=E9?=", "a\ufffd"),
        (b"=?rot13?q?nop?=", "nop"),  # a Python codec that is no charset
        (b"=?utf-8?b?w4k?=", "É"),  # padding missing
        (b"=?utf-8?b?A?=", ""),
        (b"=?utf-8?b?====?=", ""),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?q?a", "=?utf-8?q?a"),
        ("Été".encode(), "Été"),
        ("Été".encode("latin-1"), "Été"),
        (b"=?utf-8?q?a=0D=0Ab=00c?=", "a  b c"),
    ],
)
def test_decoding(value: bytes, text: str) -> None:
    assert encoded_words.decode(value) == text


def test_words_beyond_the_limit_stay_as_written() -> None:
    text = encoded_words.decode(b"=?utf-8?q?a?= " * 1001)
    assert text == "a" * 1000 + " =?utf-8?q?a?= "


def test_an_extended_parameter_is_decoded() -> None:
    assert encoded_words.extended(b"utf-8'fr'%C3%A9t%C3%A9.pdf") == "été.pdf"
    assert encoded_words.extended(b"iso-8859-1''%E9") == "é"
    assert encoded_words.extended(b"no quotes") == "no quotes"


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_nothing_written_in_a_text_raises(value: bytes) -> None:
    for text in (
        encoded_words.decode(value),
        encoded_words.decode(b"=?utf-8?b?" + value + b"?="),
        encoded_words.extended(value),
    ):
        assert not set(text) & set("\r\n\0")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200), st.integers(0, 40))
@settings(deadline=None)
def test_what_is_encoded_is_decoded_by_us_and_by_the_standard_library(text: str, used: int) -> None:
    value = encoded_words.encode(text, used=used)
    assert value.isascii()
    first, *rest = value.split(b"\r\n")
    assert used + len(first) <= 76
    assert all(line.startswith(b" ") and len(line) <= 76 for line in rest)
    assert encoded_words.decode(value.replace(b"\r\n", b"")) == text
    if b"=?" in value:
        assert str(make_header(decode_header(value.decode()))) == text
