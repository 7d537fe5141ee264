"""Transfer encodings undone in a stream (RFC 2045 §6)."""

from __future__ import annotations

import base64
import quopri
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssante.mime.decoding import decoded, decoder

_TEXT = st.lists(
    st.sampled_from([b"=", b"=3D", b"=\r\n", b" ", b"\t", b"\r\n", b"a", b"QUJD", b"==", b"\xe9", b"=4"])
).map(b"".join)


def _in_pieces(encoding: bytes, octets: bytes, cuts: list[int]) -> bytes:
    made = decoder(encoding)
    assert made is not None
    places = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    pieces = [octets[a:b] for a, b in pairwise(places)]
    return b"".join([made.feed(piece) for piece in pieces]) + made.finish()


@given(st.binary(max_size=300), st.lists(st.integers(0, 1000), max_size=6))
def test_base64_comes_back_whatever_the_cuts(octets: bytes, cuts: list[int]) -> None:
    assert _in_pieces(b"base64", base64.encodebytes(octets).replace(b"\n", b"\r\n"), cuts) == octets


@given(st.binary(max_size=300), st.lists(st.integers(0, 1000), max_size=6))
def test_quoted_printable_comes_back_whatever_the_cuts(octets: bytes, cuts: list[int]) -> None:
    # The library's encoder writes line ends as they are: those of a text, here all CRLF.
    text = octets.replace(b"\r", b"").replace(b"\n", b"\r\n")
    written = quopri.encodestring(text, quotetabs=True).replace(b"=\n", b"=\r\n")
    assert _in_pieces(b"quoted-printable", written, cuts) == text


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable", b"7bit", b""])
@given(text=_TEXT, cuts=st.lists(st.integers(0, 1000), max_size=6))
def test_the_result_does_not_depend_on_the_cuts(encoding: bytes, text: bytes, cuts: list[int]) -> None:
    assert _in_pieces(encoding, text, cuts) == decoded(encoding, text)


@pytest.mark.parametrize(
    ("encoding", "written", "read"),
    [
        (b"base64", b"aGVs\r\nbG8=\r\n", b"hello"),
        (b"base64", b"aGVsbG8", b"hello"),  # padding lacks
        (b"base64", b"aG*Vs bG8=", b"hello"),  # RFC 2045 §6.8: other characters are ignored
        (b"base64", b"aGVsbG8=aGVsbG8=", b"hello"),  # padding ends it
        (b"base64", b"aGVsb", b"hel"),  # a letter too many says nothing
        (b"base64", b"", b""),
        (b"quoted-printable", b"caf=C3=A9 =\r\nnoir \t\r\nfin", b"caf\xc3\xa9 noir\r\nfin"),
        (b"quoted-printable", b"a=00b", b"a\0b"),
        (b"quoted-printable", b"=zz=4", b"=zz=4"),  # what is no escape stays
        (b"quoted-printable", b"end=", b"end"),
        (b"quoted-printable", b"a_b", b"a_b"),  # that is RFC 2047's
        (b"8bit", b"\xe9\r\n", b"\xe9\r\n"),
        (b"binary", b"\0", b"\0"),
    ],
)
def test_what_is_written_and_what_is_read(encoding: bytes, written: bytes, read: bytes) -> None:
    assert decoded(encoding, written) == read


def test_an_encoding_we_do_not_know_is_not_guessed() -> None:
    assert decoder(b"x-uuencode") is None
    assert decoded(b"x-uuencode", b"begin 644 x") is None


def test_a_line_beyond_64_kib_stays_as_it_is_whatever_the_cuts() -> None:
    line = b"=41" * 30_000
    text = b"=41\r\n" + line + b" \r\n=42 \r\n"
    wanted = b"A\r\n" + line + b" \r\nB\r\n"
    assert decoded(b"quoted-printable", text) == wanted
    for cut in (1, 5, 70_000, 65_536 + 5, len(text) - 7, len(text) - 8):
        assert _in_pieces(b"quoted-printable", text, [cut]) == wanted
    assert _in_pieces(b"quoted-printable", text, list(range(0, len(text), 4096))) == wanted


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable"])
@pytest.mark.parametrize("piece", [b" ", b"=", b"\r\n", b"A", b"=41", b"\r"])
def test_the_cost_is_linear(encoding: bytes, piece: bytes) -> None:
    text = piece * (2 * 1024 * 1024 // len(piece))
    made = decoder(encoding)
    assert made is not None
    started = time.process_time()
    for at in range(0, len(text), 65536):
        made.feed(text[at : at + 65536])
    made.finish()
    assert time.process_time() - started < 2  # 0.1 s as measured; quadratic would be minutes
