"""BINARY (RFC 3516): parts decoded by the server, whole and in pieces, and binary content appended."""

from __future__ import annotations

import base64
import random

import pytest

from mssante.limits import IMAP_DECODED_SECTIONS_MAX
from tests.support.imap.client import ImapClient
from tests.support.imap.house import ImapHouse

_NUL_PART = b"abc\0def\r\nghi\0"
_LARGE = random.Random(1).randbytes(700_000)


def _part(encoding: str, body: bytes, kind: str = "application/pdf") -> bytes:
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body


def _message(*parts: bytes) -> bytes:
    head = b"Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    return head + b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def _base64(octets: bytes) -> bytes:
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


INNER = b"Subject: inner\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8="
PARTS = (
    _part("8bit", "prescrit à midi".encode(), "text/plain; charset=utf-8"),
    _part("base64", _base64(b"hello world")),
    _part("quoted-printable", b"caf=C3=A9 =\r\nnoir  \r\nfin", "text/plain"),
    _part("base64", _base64(_NUL_PART)),
    _part("x-uuencode", b"begin 644 x\r\nend"),
    b"Content-Type: message/rfc822\r\n\r\n" + INNER,
)
DECODED = {
    "1": "prescrit à midi".encode(),
    "2": b"hello world",
    "3": b"caf\xc3\xa9 noir\r\nfin",
    "4": _NUL_PART,
    "6": INNER,
    "6.1": b"hello",
}


@pytest.fixture
async def client(house: ImapHouse) -> ImapClient:
    client = await house.selected()
    await client.ok("APPEND INBOX \n", _message(*PARTS))
    return client


async def fetched(client: ImapClient, items: str) -> dict[str, object]:
    return (await client.ok(f"FETCH 1 ({items})")).fetched()[1]


@pytest.mark.parametrize("path", DECODED)
async def test_a_part_comes_decoded_and_its_size_is_that_of_its_octets(client: ImapClient, path: str) -> None:
    found = await fetched(client, f"BINARY.PEEK[{path}] BINARY.SIZE[{path}]")
    assert found == {
        f"BINARY[{path}]": DECODED[path],
        f"BINARY.SIZE[{path}]": str(len(DECODED[path])),
    }


async def test_the_message_as_such_is_encoded_by_nothing(client: ImapClient) -> None:
    whole = _message(*PARTS)
    found = await fetched(client, "BINARY.PEEK[] BINARY.SIZE[] BINARY.PEEK[TEXT] BINARY.PEEK[6.HEADER]")
    assert found["BINARY[]"] == whole
    assert found["BINARY.SIZE[]"] == str(len(whole))
    assert found["BINARY[TEXT]"] == whole.partition(b"\r\n\r\n")[2]
    assert found["BINARY[6.HEADER]"] == b"Subject: inner\r\nContent-Transfer-Encoding: base64\r\n\r\n"


@pytest.mark.parametrize(("start", "count"), [(0, 3), (2, 4), (3, 1), (0, 1000), (12, 5), (500, 5)])
async def test_a_partial_counts_decoded_octets(client: ImapClient, start: int, count: int) -> None:
    found = await fetched(client, f"BINARY.PEEK[4]<{start}.{count}>")
    assert found == {f"BINARY[4]<{start}>": _NUL_PART[start : start + count]}


async def test_an_encoding_nobody_knows_is_told_and_the_other_messages_come(client: ImapClient) -> None:
    await client.ok("APPEND INBOX \n", _message(*[_part("base64", _base64(b"x"))] * 5))
    answer = await client.ask("FETCH 1:2 (BINARY.PEEK[5])")
    assert (answer.status, answer.code) == ("NO", "UNKNOWN-CTE")
    assert answer.fetched() == {2: {"BINARY[5]": b"x"}}
    size = await client.ask("FETCH 1 BINARY.SIZE[5]")
    assert (size.status, size.code) == ("NO", "UNKNOWN-CTE")


async def test_a_part_that_is_not_there_is_nil_and_has_no_size(client: ImapClient) -> None:
    assert await fetched(client, "BINARY.PEEK[9] BINARY.SIZE[9]") == {
        "BINARY[9]": None,
        "BINARY.SIZE[9]": "0",
    }


async def test_binary_marks_as_read_peek_and_size_do_not(client: ImapClient) -> None:
    await client.ok("FETCH 1 (BINARY.PEEK[2] BINARY.SIZE[2])")
    assert (await fetched(client, "FLAGS"))["FLAGS"] == ["\\Recent"]
    found = await fetched(client, "BINARY[2]")
    assert found["BINARY[2]"] == b"hello world"
    assert "\\Seen" in found["FLAGS"]  # type: ignore[operator]  # a list


async def test_a_large_part_is_streamed_decoded(client: ImapClient) -> None:
    await client.ok("APPEND INBOX \n", _message(_part("base64", _base64(_LARGE)), PARTS[0]))
    found = (await client.ok("FETCH 2 (BINARY.SIZE[1] BINARY.PEEK[1] BINARY.PEEK[2])")).fetched()[2]
    assert found == {"BINARY.SIZE[1]": "700000", "BINARY[1]": _LARGE, "BINARY[2]": DECODED["1"]}
    piece = (await client.ok("FETCH 2 (BINARY.PEEK[1]<300000.299999>)")).fetched()[2]
    assert piece == {"BINARY[1]<300000>": _LARGE[300_000:599_999]}


@pytest.mark.parametrize("items", ["BINARY", "BINARY.PEEK", "BINARY.SIZE[1]<0.5>", "BINARY[1.]", "BINARY[0]"])
async def test_what_is_not_of_the_grammar_is_bad(client: ImapClient, items: str) -> None:
    assert (await client.ask(f"FETCH 1 {items}")).status == "BAD"


async def test_so_many_parts_are_decoded_at_once_and_no_more(client: ImapClient) -> None:
    asked = [f"BINARY.PEEK[2]<{start}.1>" for start in range(IMAP_DECODED_SECTIONS_MAX + 1)]
    assert len(await fetched(client, " ".join(asked[1:]))) == IMAP_DECODED_SECTIONS_MAX
    answer = await client.ask(f"FETCH 1 ({' '.join(asked)})")
    assert (answer.status, answer.code) == ("NO", "LIMIT")


@pytest.mark.parametrize("content", [b"Subject: x\r\n\r\nnul \0", b"Subject: x\r\n\r\nbare \n"])
async def test_binary_content_is_not_kept_and_nothing_of_it_is_lost_silently(
    client: ImapClient, content: bytes
) -> None:
    answer = await client.ask("APPEND INBOX ~\n", content)
    assert (answer.status, answer.code) == ("NO", "UNKNOWN-CTE")
    assert (await client.ok("STATUS INBOX (MESSAGES)")).one("STATUS").items() == {"MESSAGES": "1"}


async def test_a_literal8_of_ordinary_text_is_kept(client: ImapClient) -> None:
    content = b"Subject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe9t\xe9\r\n"
    await client.ok("APPEND INBOX ~\n", content)
    assert (await client.ok("FETCH 2 BODY.PEEK[]")).fetched()[2]["BODY[]"] == content
