"""The first words of messages."""

from __future__ import annotations

import base64
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssante.limits import KIB, PREVIEW_CHARACTERS_MAX, PREVIEW_OCTETS_READ_MAX
from mssante.mime.preview import preview
from mssante.mime.structure import scan
from tests.unit.imap.spoken import fastest

_TEXT = b"Content-Type: text/plain; charset=utf-8\r\n"
_HTML = b"Content-Type: text/html; charset=utf-8\r\n"


def of(message: bytes) -> str:
    return preview(message[:PREVIEW_OCTETS_READ_MAX], scan(message).root).decode()


def multipart(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    return b"Content-Type: multipart/" + kind + b"; boundary=b\r\n\r\nprologue\r\n" + body + b"--b--\r\n"


def test_the_text_is_one_line() -> None:
    message = _TEXT + "\r\nBonjour,\r\n\r\n\tvoici\u00a0le  compte rendu\r\nd\u2019hier.\r\n".encode()
    assert of(message) == "Bonjour, voici le compte rendu d\u2019hier."


def test_it_is_no_longer_than_it_may_be() -> None:
    assert of(_TEXT + b"\r\n" + "é".encode() * 1000) == "é" * PREVIEW_CHARACTERS_MAX
    assert PREVIEW_CHARACTERS_MAX <= 256  # RFC 8970 §3.3


def test_encodings_and_charsets_are_undone() -> None:
    quoted = b"Content-Transfer-Encoding: quoted-printable\r\n\r\nR=E9sultats =\r\nd'analyse"
    assert of(b"Content-Type: text/plain; charset=iso-8859-1\r\n" + quoted) == "Résultats d'analyse"
    encoded = base64.encodebytes("Résultats".encode("utf-16"))
    based = b"Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded
    assert of(based) == "Résultats"
    assert of(b"Content-Type: text/plain; charset=x-unknown\r\n\r\nabc") == "abc"
    assert of(b"Subject: x\r\n\r\ntexte sans type") == "texte sans type"


def test_plain_text_comes_before_its_alternatives() -> None:
    html, plain = _HTML + b"\r\n<p>un</p>", _TEXT + b"\r\ndeux"
    assert of(multipart(b"alternative", html, plain)) == "deux"
    assert of(multipart(b"mixed", html, plain)) == "un"
    assert of(multipart(b"alternative", _TEXT + b"\r\n \r\n", html)) == "un"


def test_attachments_are_passed_over() -> None:
    notes = _TEXT + b"Content-Disposition: attachment; filename=notes.txt\r\n\r\nnotes"
    picture = b"Content-Type: image/png\r\n\r\npng"
    calendar = b"Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR"
    assert of(multipart(b"mixed", notes, picture, calendar, _TEXT + b"\r\nlettre")) == "lettre"
    assert of(multipart(b"mixed", notes, picture)) == ""


def test_the_text_of_a_message_within_is_read_when_there_is_none_before() -> None:
    within = b"Content-Type: message/rfc822\r\n\r\nSubject: interne\r\n\r\ntransmis"
    assert of(multipart(b"mixed", within)) == "transmis"


def test_markup_is_not_shown() -> None:
    html = (
        b"<html><head><title>Titre</title><style>p { x }</style><script>alert(1)</script></head>"
        b"<body><!-- x --><p>Caf&eacute; &amp; th<b>\xc3\xa9</b></p><br>suite</body></html>"
    )
    assert of(_HTML + b"\r\n" + html) == "Café & thé suite"
    assert of(_HTML + b"\r\n<style>p { x }") == ""


def test_long_markup_shows_the_same_as_its_beginning() -> None:
    long = b"".join(b"<p class=x>mot%d</p>\r\n" % n for n in range(2000))
    assert of(_HTML + b"\r\n<head><style>" + b"p {}" * 3000 + b"</style></head><body>" + long) == of(
        _HTML + b"\r\n" + long[:4000]
    )
    sparse = _HTML + b"\r\n<body>un" + b"<br class=x>" * 1000 + b"deux" + b"<br>" * 1000 + b"trois"
    assert of(sparse) == "un deux trois"


def test_what_is_quoted_is_left_out_unless_it_is_all() -> None:
    assert of(_TEXT + b"\r\n> question\r\n> encore\r\nReponse\r\n") == "Reponse"
    assert of(_TEXT + b"\r\n> question\r\n") == "> question"


def test_nothing_steers_how_it_is_shown() -> None:
    message = _TEXT + "\r\na\u202eb\u2066c\u200bd\x1b[31me\x85f\u2028g\ufeff\x00h".encode()
    assert of(message) == "abcd[31me f gh"


def test_a_character_cut_in_two_is_not_shown() -> None:
    for cut in range(4):
        message = _TEXT + b"\r\n" + "é".encode() + b" " * (8 * KIB - 4 - cut) + "ab🙂 et la suite".encode()
        assert of(message) == ("é ab🙂" if cut >= 4 else "é ab")


@pytest.mark.parametrize(
    "message", [b"", b"\r\n", b"Subject: x\r\n\r\n", b"Content-Type: image/png\r\n\r\nx"]
)
def test_there_may_be_none(message: bytes) -> None:
    assert of(message) == ""


def test_what_lies_too_far_is_not_looked_for() -> None:
    far = b"Content-Type: image/png\r\n\r\n" + b"x" * PREVIEW_OCTETS_READ_MAX
    assert of(multipart(b"mixed", far, _TEXT + b"\r\nlettre")) == ""


@given(
    st.binary(max_size=300),
    st.sampled_from([_TEXT, _HTML, b""]),
    st.sampled_from(["base64", "8bit", "quoted-printable", "x"]),
)
def test_whatever_is_written_it_is_one_short_line_of_utf8(body: bytes, kind: bytes, encoding: str) -> None:
    found = of(kind + b"Content-Transfer-Encoding: %b\r\n\r\n" % encoding.encode() + body)
    assert len(found) <= PREVIEW_CHARACTERS_MAX
    assert found == " ".join(found.split())
    assert "\0" not in found


@pytest.mark.parametrize(
    "piece", [b"<!--", b"<title", b"<style", b"<", b"&#x", b"> ", b"\r\n>", b"<b ", b"=", b"<!--<title>"]
)
def test_hostile_text_takes_linear_time(piece: bytes) -> None:
    for kind in (_TEXT, _HTML):
        message = (
            kind + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + piece * (70_000 // len(piece))
        )
        root = scan(message).root
        head = message[:PREVIEW_OCTETS_READ_MAX]
        assert fastest(partial(preview, head, root), 2) < 0.3
