"""ENVELOPE, BODY and BODYSTRUCTURE, read back by a client's own parser (catalogue I15)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imapclient.response_parser import parse_response

from mssante.imap.grammar import bodystructure, encode
from mssante.imap.grammar.envelope import envelope
from mssante.mime import outline
from mssante.mime.content import EnvelopeFields
from mssante.mime.envelope import EnvelopeValues
from mssante.mime.packed import TooLarge
from mssante.mime.structure import Part, scan
from tests.unit.mime.trees import Tree, trees

_LITERAL = re.compile(rb"\{(\d+)\}\r\n")


def as_a_client(rendered: bytes) -> Any:
    """What imapclient makes of it, literals handed over as imaplib does."""
    pieces: list[Any] = []
    position = 0
    while literal := _LITERAL.search(rendered, position):
        end = literal.end() + int(literal[1])
        pieces.append((rendered[position : literal.end() - 2], rendered[literal.end() : end]))
        position = end
    pieces.append(rendered[position:])
    return parse_response(pieces)[0]


def envelope_of(fields: EnvelopeFields) -> bytes:
    return envelope(EnvelopeValues.of(fields).packed())


def bodystructure_of(root: Part) -> bytes:
    return bodystructure.bodystructure(outline.packed(root))


def body_of(root: Part) -> bytes:
    return bodystructure.body(outline.packed(root))


@pytest.mark.parametrize(
    ("octets", "written"),
    [
        (b"", b'""'),
        (b"plain", b'"plain"'),
        (b'a "b" \\c', b'"a \\"b\\" \\\\c"'),
        ("é".encode(), b"{2}\r\n\xc3\xa9"),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"a\0b", b'"ab"'),
        (b"\0\xe9", b"{1}\r\n\xe9"),
        (b"{3}", b'"{3}"'),
    ],
)
def test_a_string_is_quoted_where_legal_and_a_literal_otherwise(octets: bytes, written: bytes) -> None:
    assert encode.string(octets) == written


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_a_client_reads_back_any_string(octets: bytes) -> None:
    (read,) = as_a_client(b"(%b)" % encode.string(octets))
    assert (str(read).encode() if isinstance(read, int) else read) == octets.replace(b"\0", b"")


def test_an_envelope_defaults_sender_and_reply_to_from_the_author() -> None:
    fields = EnvelopeFields(
        date=b"D", subject=b"S", from_=b"A <a@b.fr>", to=b"c@d.fr, e@f.fr", message_id=b"<i>"
    )
    assert envelope_of(fields) == (
        b'("D" "S" (("A" NIL "a" "b.fr")) (("A" NIL "a" "b.fr")) (("A" NIL "a" "b.fr")) '
        b'((NIL NIL "c" "d.fr")(NIL NIL "e" "f.fr")) NIL NIL NIL "<i>")'
    )


def test_an_envelope_shows_groups_and_routes() -> None:
    fields = EnvelopeFields(
        from_=b"<@r:a@b.fr>", sender=b"s@b.fr", reply_to=b"r@b.fr", cc=b"g: c@d.fr;", bcc=b","
    )
    assert envelope_of(fields) == (
        b'(NIL NIL ((NIL "@r" "a" "b.fr")) ((NIL NIL "s" "b.fr")) ((NIL NIL "r" "b.fr")) '
        b'NIL ((NIL NIL "g" NIL)(NIL NIL "c" "d.fr")(NIL NIL NIL NIL)) NIL NIL NIL)'
    )


values = st.none() | st.binary(max_size=40) | st.sampled_from([b"a@b.fr", b'"x\r\n) BAD" <a@b.fr>', b"g:;"])


@given(st.tuples(*[values] * 10))
@settings(max_examples=400, deadline=None)
def test_no_header_ends_an_envelope_early(written: tuple[bytes | None, ...]) -> None:
    names = (
        "date", "subject", "from_", "sender", "reply_to", "to", "cc", "bcc", "in_reply_to", "message_id",
    )  # fmt: skip
    fields = EnvelopeFields(**dict(zip(names, written, strict=True)))
    read = as_a_client(envelope_of(fields))
    assert len(read) == 10
    for found, name in (
        (read[0], "date"),
        (read[1], "subject"),
        (read[8], "in_reply_to"),
        (read[9], "message_id"),
    ):
        given_ = getattr(fields, name)
        assert (None if found is None else str(found).encode() if isinstance(found, int) else found) == (
            None if given_ is None else given_.replace(b"\0", b"")
        )
    for addresses in read[2:8]:
        assert addresses is None or all(len(address) == 4 for address in addresses)


def test_a_text_an_attachment_and_a_message_are_described() -> None:
    message = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\n\r\nun\r\n\r\n"
        b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment\r\n"
        b"Content-Language: fr\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\nContent-Language: fr, en\r\n\r\nSubject: s\r\n\r\nx\r\n"
        b"--b--\r\n"
    )
    root = scan(message).root
    assert bodystructure_of(root) == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 1 NIL NIL NIL NIL)'
        b'("application" "pdf" ("name" "a.pdf") NIL NIL "base64" 4 NIL ("attachment" NIL) ("fr") NIL)'
        b'("message" "rfc822" NIL NIL NIL "7bit" 15 (NIL "s" NIL NIL NIL NIL NIL NIL NIL NIL) '
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL) 2 '
        b'NIL NIL ("fr" "en") NIL) "mixed" ("boundary" "b") NIL NIL NIL)'
    )
    assert body_of(root) == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 1)'
        b'("application" "pdf" ("name" "a.pdf") NIL NIL "base64" 4)'
        b'("message" "rfc822" NIL NIL NIL "7bit" 15 (NIL "s" NIL NIL NIL NIL NIL NIL NIL NIL) '
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0) 2) "mixed")'
    )


def test_a_multipart_in_which_no_part_was_found_still_has_one() -> None:
    root = scan(b"Content-Type: multipart/mixed; boundary=b\r\n\r\nnothing").root
    empty = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0'
    assert body_of(root) == b"(" + empty + b') "mixed")'
    assert bodystructure_of(root).startswith(b"(" + empty + b" NIL NIL NIL NIL)")


@pytest.mark.parametrize("kind", [b"text/plain", b"text/html; name=a"])
def test_a_text_that_names_no_charset_is_said_to_be_in_us_ascii(kind: bytes) -> None:  # RFC 2045 §5.2
    root = scan(b"Content-Type: " + kind + b"\r\n\r\nx").root
    assert b'"charset" "us-ascii")' in body_of(root)
    image = scan(b"Content-Type: image/png\r\n\r\nx").root
    assert b"charset" not in body_of(image)


def test_a_structure_that_would_grow_without_end_is_refused() -> None:
    part = b"--b\r\nContent-Type: a/b; c=" + b"x" * 600 + b"\r\n\r\n\r\n"
    root = scan(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 900).root
    with pytest.raises(TooLarge):
        bodystructure_of(root)


def described(tree: Tree, part: Part, read: Any) -> None:
    if tree.kind.startswith("multipart/"):
        children, subtype = read[: len(tree.children)], read[len(tree.children)]
        assert f"multipart/{subtype.decode()}" == tree.kind
        for inner, child, each in zip(tree.children, part.children, children, strict=True):
            described(inner, child, each)
        return
    assert f"{read[0].decode()}/{read[1].decode()}" == tree.kind
    assert read[6] == part.body_octets
    if tree.kind == "message/rfc822":
        assert read[7][1] == b"inner"
        described(tree.children[0], part.children[0], read[8])
        assert read[9] == part.lines
    elif tree.kind.startswith("text/"):
        assert read[7] == part.lines


@given(trees)
@settings(deadline=None)
def test_a_client_reads_the_tree_that_was_written(tree: Tree) -> None:
    root = scan(tree.written()).root
    described(tree, root, as_a_client(bodystructure_of(root)))
    described(tree, root, as_a_client(body_of(root)))
