"""mssante.mime.text: what a reader sees is what is searched."""

from __future__ import annotations

import base64
import time
from datetime import UTC, date, datetime
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssante import limits
from mssante.demo import sample
from mssante.limits import KIB, MIB, SEARCH_TEXT_OCTETS_MAX
from mssante.mime import encoded_words, header, text
from mssante.mime.encoded_words import text as decoded
from mssante.mime.structure import scan
from mssante.model import Address


def nothing() -> None:
    pass


def body(message: bytes) -> str:
    return "".join(text.of_body(message, scan(message).root, nothing))


def single(kind: str, octets: bytes, encoding: str = "8bit") -> bytes:
    head = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + octets


def test_a_header_is_read_line_by_line() -> None:
    block = b"Subject: =?utf-8?B?w6l0w6k=?=\r\n fin\r\nnot a field\r\nFrom:a@b.test\r\n\r\n"
    assert [line.strip() for line in text.of_header(block)] == [
        "Subject: été fin",
        "not a field",
        "From:a@b.test",
    ]


LINES = [b"A: x", b" y", b"\tz", b"=?utf-8?q?=C3?=: =?utf-8?q?=A9?=", b"B:=?utf-8?q?=C3?=", b"", b"no"]
LINES += [b"caf\xe9: caf\xe9", b"C: caf\xc3\xa9", b" =?utf-8?q?=A9?= =?x?q?y?=", b"D :  d ", b"\x00: e"]


@given(st.lists(st.sampled_from(LINES)))
def test_what_a_field_is_decoded_to_is_in_its_line(lines: list[bytes]) -> None:
    block = b"\r\n".join(lines) + b"\r\n"
    found = list(text.of_header(block))
    for field in header.fields(block):
        assert any(encoded_words.decode(field.value) in line for line in found), field


@pytest.mark.parametrize(
    ("charset", "octets"),
    [
        ("; charset=utf-8", "fièvre".encode()),
        ("; charset=iso-8859-1", "fièvre".encode("latin-1")),
        ("; charset=utf-16", "fièvre".encode("utf-16")),
        ("", "fièvre".encode()),
        ("", "fièvre".encode("cp1252")),
        ("; charset=utf-8", "fièvre".encode("cp1252")),
        ("; charset=x-unheard-of", "fièvre".encode()),
        ("; charset=us-ascii", "fièvre".encode("cp1252")),
    ],
)
def test_a_text_is_read_whatever_its_charset_claims(charset: str, octets: bytes) -> None:
    assert "fièvre" in body(single(f"text/plain{charset}", octets))
    assert decoded("œdème".encode("cp1252"), None) == "œdème"


@pytest.mark.parametrize("broken", ["ZmnDqHZyZQ", "ZmnD\r\nqHZy ZQ=="])
def test_base64_is_read_as_far_as_it_goes(broken: str) -> None:
    assert "fièvre" in body(single("text/plain; charset=utf-8", broken.encode(), "base64"))


def test_base64_that_is_none_stays_as_written() -> None:
    assert "un mot" in body(single("text/plain", b"un mot !?", "base64"))


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("<p>une f<b>i&egrave;vre</b></p><p>haute", "une fièvre haute"),
        ("a<br>b", "a b"),
        ("<style>p { color: red }</style>a<!-- <p>caché --> b<script>x<y</script>", "a b"),
        ("2 &lt; 3 < 4", "2 < 3 < 4"),
        ("a <!-- sans fin", "a"),
        ('<img alt="x" src="y">z', "z"),
    ],
)
def test_html_is_read_as_it_shows(markup: str, shown: str) -> None:
    found = body(single("text/html; charset=utf-8", markup.encode()))
    assert found.replace("\0", "").split() == shown.split()


def test_xml_is_read_with_what_its_attributes_hold() -> None:
    cda = (
        '<?xml version="1.0" encoding="ISO-8859-1"?><a code="34105-7"><t>Évolution</t><![CDATA[ brut ]]></a>'
    )
    for kind in ("text/xml", "application/xml", "application/hl7+xml"):
        found = body(single(kind, cda.encode("latin-1")))
        assert all(word in found for word in ("Évolution", "34105-7", "brut"))
        assert "<t>" not in found


def test_names_of_attachments_are_read_however_they_are_written() -> None:
    letter = EmailMessage(policy=SMTP)
    letter.set_content("x")
    letter.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="compte rendu été.pdf")
    assert "compte rendu été.pdf" in body(letter.as_bytes())
    encoded = single('application/pdf; name="=?utf-8?Q?=C3=A9t=C3=A9=2Epdf?="', b"%PDF secret")
    assert "été.pdf" in body(encoded)
    assert "secret" not in body(encoded)


def test_a_message_inside_is_read_with_its_header() -> None:
    found = body(single("message/rfc822", b"Subject: =?utf-8?Q?=C3=A9t=C3=A9?=\r\n\r\ndedans"))
    assert "Subject: été" in found
    assert "dedans" in found


def test_the_documents_in_an_xdm_archive_are_read() -> None:
    patient = sample.Patient(
        family="DUPONT-FICTIF", given="Zoé", born=date(1970, 1, 2), sex="F", ins="279035121518989"
    )
    address = Address.parse("a@b.test")
    letter = sample.letter(
        sender=address,
        recipients=[address],
        patient=patient,
        sent_at=datetime(2026, 1, 2, tzinfo=UTC),
        unique="u1",
    )
    found = body(letter)
    assert "confraternellement" in found
    cda, index, metadata = "CENTRE HOSPITALIER FICTIF", "Patient fictif : DUPONT-FICTIF", "urn:oasis"
    assert all(encoded_words in found for encoded_words in (cda, index, metadata, "279035121518989"))


def test_what_goes_beyond_the_bound_is_not_read() -> None:
    line = b"x" * 98 + b"\r\n"
    message = single("text/plain", line * (SEARCH_TEXT_OCTETS_MAX // 100 + 10) + b"aiguille")
    found = body(message)
    assert len(found) <= SEARCH_TEXT_OCTETS_MAX + 10
    assert "aiguille" not in found


def test_pieces_are_small_and_a_step_comes_before_each() -> None:
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    message = single("text/plain", b"mot " * 100 * KIB)
    pieces = list(text.of_body(message, scan(message).root, step))
    assert max(map(len, pieces)) <= limits.TEXT_PIECE_CHARACTERS
    assert steps >= len(pieces) - 1
    assert "".join(pieces).rstrip("\0") == "mot " * 100 * KIB


@given(st.text(st.sampled_from("<>ab&;!-[]/ ")), st.sampled_from(["html", "xml", "plain"]))
def test_no_markup_is_too_broken(markup: str, kind: str) -> None:
    assert body(single(f"text/{kind}", markup.encode())).endswith("\0")


@pytest.mark.parametrize("bomb", ["<!--", "<script>", "<", "<a ", "<b x", "&", "&#x", '="', "<![CDATA["])
def test_markup_bombs_are_read_in_linear_time(bomb: str) -> None:
    message = single("text/html", bomb.encode() * (MIB // len(bomb)))
    began = time.process_time()
    pieces = list(text.of_body(message, scan(message).root, nothing))
    assert len(pieces) < 100
    assert time.process_time() - began < 5  # a quadratic reading takes minutes


@given(st.binary(max_size=200))
def test_any_octets_are_read(octets: bytes) -> None:
    for encoding in ("base64", "quoted-printable", "8bit"):
        for kind in ("text/html; charset=utf-8", "application/zip", "text/plain; charset=utf-16"):
            coded = base64.b64encode(octets) if encoding == "base64" else octets
            body(single(kind, coded, encoding))
