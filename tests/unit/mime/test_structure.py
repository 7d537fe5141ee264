"""The scanner: where every part lies, whatever the cuts."""

from __future__ import annotations

import email
from email import policy
from email.message import Message
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante import limits
from mssante.mime.structure import Note, Part, Scanner, Structure, scan
from tests.unit.mime.trees import Tree, trees

TWO = (
    b"From: a@b.fr\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"preamble\r\n--b\r\nContent-Type: text/html\r\nContent-ID: <i>\r\n\r\n<p>un</p>\r\n\r\n--b  \r\n\r\ndeux"
    b"\r\n--b--\r\nepilogue\r\n"
)


def body(message: bytes, part: Part) -> bytes:
    return message[part.body_offset : part.body_offset + part.body_octets]


def head(message: bytes, part: Part) -> bytes:
    return message[part.header_offset : part.header_offset + part.header_octets]


def test_parts_are_slices_of_the_message() -> None:
    found = scan(TWO)
    first, second = found.root.children
    assert head(TWO, found.root) == TWO[: TWO.index(b"preamble")]
    assert body(TWO, found.root) == TWO[TWO.index(b"preamble") :]
    assert head(TWO, first) == b"Content-Type: text/html\r\nContent-ID: <i>\r\n\r\n"
    assert (body(TWO, first), first.lines, first.content.id) == (b"<p>un</p>\r\n", 1, b"<i>")
    assert (head(TWO, second), body(TWO, second), second.lines) == (b"\r\n", b"deux", 0)
    assert (second.content.media, second.content.subtype) == (b"text", b"plain")
    assert (found.size, found.notes) == (len(TWO), ())


def test_a_part_says_what_it_is() -> None:
    content = scan(
        b'Content-Type: Application/PDF; Name="a.pdf"\r\nContent-Transfer-Encoding: BASE64\r\n'
        b"Content-Description: a letter\r\nContent-Disposition: Attachment; filename=a.pdf\r\n"
        b"Content-Language: fr, en\r\nContent-Location: http://x\r\nContent-MD5: abc==\r\n\r\n"
    ).root.content
    assert (content.media, content.subtype, content.parameters) == (
        b"application",
        b"pdf",
        ((b"name", b"a.pdf"),),
    )
    assert (content.encoding, content.description) == (b"base64", b"a letter")
    assert (content.disposition, content.disposition_parameters) == (
        b"attachment",
        ((b"filename", b"a.pdf"),),
    )
    assert (content.languages, content.location, content.md5) == ((b"fr", b"en"), b"http://x", b"abc==")


def test_the_top_header_is_kept_with_its_hops_and_envelope() -> None:
    message = b"Received: a\r\nreceived: b\r\nTo: x@y.fr\r\nTo: z@y.fr\r\nSubject: s\r\n t\r\n\r\nbody"
    found = scan(message)
    assert (found.header, found.header_is_cut, found.hops) == (message[:-4], False, 2)
    assert found.root.envelope is not None
    assert found.root.envelope.to == b"x@y.fr, z@y.fr"
    assert found.root.envelope.subject == b"s t"


def test_a_structure_does_not_show_what_it_holds() -> None:
    message = b"Subject: canari\r\nContent-Type: a/b; name=canari\r\n\r\n"
    assert "canari" not in repr(scan(message))


def test_a_header_longer_than_what_is_kept_says_so() -> None:
    message = b"X: " + b"y" * limits.HEADER_KEPT_OCTETS_MAX + b"\r\n\r\n"
    found = scan(message)
    assert found.header == message[: limits.HEADER_KEPT_OCTETS_MAX]
    assert found.header_is_cut
    assert found.root.header_octets == len(message)


@pytest.mark.parametrize("message", [b"", b"\r\n", b"A: b", b"A: b\r\n", b"A: b\r\n\r\n", b"\r\nbody", b"\r"])
def test_a_message_may_be_nearly_nothing(message: bytes) -> None:
    root = scan(message).root
    assert root.header_octets + root.body_octets == len(message)
    assert root.body_octets == (4 if message.endswith(b"body") else 0)


def test_an_inner_message_has_its_own_envelope_and_its_lines_are_counted() -> None:
    # RFC 3501 §7.4.2: a message part has the lines of the whole inner message.
    message = b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: a@b.fr\r\n\r\nun\r\ndeux\r\n"
    root = scan(message).root
    (inner,) = root.children
    assert inner.envelope is not None
    assert inner.envelope.subject == b"inner"
    assert (root.lines, inner.lines) == (5, 2)
    assert body(message, inner) == b"un\r\ndeux\r\n"


def test_the_lines_of_an_inner_message_without_body_are_those_of_its_header() -> None:
    message = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n--b--\r\n"
    )
    (part,) = scan(message).root.children
    assert body(message, part) == b"Subject: x\r\n"
    assert part.lines == 1


def test_parts_of_a_digest_are_messages_unless_they_say_otherwise() -> None:
    message = (
        b"Content-Type: multipart/digest; boundary=b\r\n\r\n"
        b"--b\r\n\r\nSubject: un\r\n\r\nbody\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n"
    )
    one, other = scan(message).root.children
    assert one.content.is_message
    assert one.children[0].envelope is not None
    assert other.content.media == b"text"


def test_an_encoded_message_is_octets_until_decoded() -> None:
    found = scan(
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA==\r\n"
    )
    assert (found.root.content.media, found.root.children) == (b"application", ())
    assert found.notes == (Note.ENCODED_MESSAGE,)


@pytest.mark.parametrize("parameter", [b"", b'; boundary=""', b"; boundary=" + b"x" * 201])
def test_a_multipart_without_a_boundary_we_may_use_is_one_text(parameter: bytes) -> None:
    found = scan(b"Content-Type: multipart/mixed%b\r\n\r\n--x\r\n\r\nbody" % parameter)
    assert (found.root.content.media, found.root.content.subtype) == (b"text", b"plain")
    assert found.notes == (Note.BOUNDARY,)


def test_a_boundary_that_begins_another_is_never_mistaken_for_it() -> None:
    message = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n\r\nx\r\n--b x\r\n--bb--\r\n--b--\r\n"
    )
    (inner,) = scan(message).root.children
    assert [body(message, leaf) for leaf in inner.children] == [b"x\r\n--b x"]


def test_a_boundary_that_looks_closed_is_its_own() -> None:
    message = b"Content-Type: multipart/mixed; boundary=b--\r\n\r\n--b--\r\n\r\nx\r\n--b----\r\n"
    assert [body(message, leaf) for leaf in scan(message).root.children] == [b"x"]


def test_an_outer_delimiter_ends_what_was_left_open_inside() -> None:
    message = (
        b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n"
        b"Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\nx\r\n--o\r\n\r\ny\r\n--o--\r\n--i\r\n"
    )
    inner, last = scan(message).root.children
    assert body(message, inner.children[0]) == b"x"
    assert body(message, last) == b"y"


def test_a_delimiter_inside_a_header_ends_the_part() -> None:
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: y\r\n--b\r\n--b--\r\n"
    one, other = scan(message).root.children
    assert (head(message, one), one.body_octets) == (b"X: y", 0)
    assert (other.header_octets, other.body_octets) == (0, 0)


def test_the_last_delimiter_needs_no_line_end() -> None:
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--"
    assert [body(message, leaf) for leaf in scan(message).root.children] == [b"x"]


def test_a_last_delimiter_that_opens_a_part_opens_an_empty_one() -> None:
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b"
    _, last = scan(message).root.children
    assert (last.header_offset, last.header_octets, last.body_octets) == (len(message), 0, 0)


def test_a_closed_multipart_has_no_more_parts() -> None:
    message = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\ny\r\n--b--"
    )
    assert [body(message, leaf) for leaf in scan(message).root.children] == [b"x"]


@pytest.mark.parametrize("blanks", [0, 40])
def test_the_longest_boundary_is_found_wherever_it_is_cut(blanks: int) -> None:
    boundary = b"b" * limits.MIME_BOUNDARY_OCTETS_MAX
    lines = (b"--%b" % boundary + b" " * blanks, b"--%b--" % boundary)
    message = b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n%b\r\n\r\nx\r\n%b\r\n" % (boundary, *lines)
    for at in range(len(message)):
        (part,) = cut(message, [at]).root.children
        assert body(message, part) == b"x"


def flattened(part: Part) -> list[Part]:
    return [part, *(each for child in part.children for each in flattened(child))]


def same(tree: Tree, part: Part, message: bytes) -> None:
    assert f"{part.content.media.decode()}/{part.content.subtype.decode()}" == tree.kind
    assert len(part.children) == len(tree.children)
    if not tree.children:
        assert body(message, part) == tree.body
        assert part.lines == tree.body.count(b"\n")
    for inner, child in zip(tree.children, part.children, strict=True):
        if tree.kind == "message/rfc822":
            assert child.envelope is not None
            assert child.envelope.subject == b"inner"
        same(inner, child, message)


@given(trees)
@settings(deadline=None)
def test_every_part_that_was_written_is_found_where_it_is(tree: Tree) -> None:
    message = tree.written()
    same(tree, scan(message).root, message)


def agree(found: Part, expected: Message, message: bytes) -> None:
    assert f"{found.content.media.decode()}/{found.content.subtype.decode()}" == expected.get_content_type()
    if expected.is_multipart():
        parts = expected.get_payload()
        assert isinstance(parts, list)
        assert len(found.children) == len(parts)
        for one, other in zip(found.children, parts, strict=True):
            assert isinstance(other, Message)
            agree(one, other, message)
    else:
        assert body(message, found) == expected.get_payload(decode=True)


@given(trees)
@settings(max_examples=60, deadline=None)
def test_the_standard_library_sees_the_same_parts_in_ordinary_messages(tree: Tree) -> None:
    message = tree.written()
    agree(scan(message).root, email.message_from_bytes(message, policy=policy.compat32), message)


def cut(message: bytes, cuts: list[int]) -> Structure:
    scanner = Scanner()
    edges = [0, *sorted(at % (len(message) + 1) for at in cuts), len(message)]
    for start, end in pairwise(edges):
        scanner.feed(message[start:end])
    return scanner.close()


@given(trees, st.lists(st.integers(0, 1 << 16), max_size=8))
@settings(deadline=None)
def test_results_do_not_depend_on_where_an_ordinary_message_was_cut(tree: Tree, cuts: list[int]) -> None:
    message = tree.written()
    assert cut(message, cuts) == scan(message)


pieces = st.sampled_from(
    [
        b"\r\n",
        b"\r",
        b"\n",
        b"--b",
        b"--c",
        b"--",
        b" ",
        b"x",
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: multipart/digest; boundary=c\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"y" * 300,
    ]
)


@given(st.lists(pieces, max_size=40).map(b"".join), st.lists(st.integers(0, 1 << 16), max_size=8))
@settings(max_examples=400, deadline=None)
def test_results_do_not_depend_on_where_nonsense_was_cut(message: bytes, cuts: list[int]) -> None:
    found = scan(message)
    assert cut(message, cuts) == found
    assert cut(message, list(range(len(message)))) == found
    for part in flattened(found.root):
        assert 0 <= part.header_offset <= part.body_offset <= len(message)
        assert part.header_offset + part.header_octets == part.body_offset
        assert part.body_offset + part.body_octets <= len(message)
        assert part.lines == message.count(b"\n", part.body_offset, part.body_offset + part.body_octets)


@pytest.mark.parametrize("after", [b"--b--\r\nepilogue\r\n\r\nmore\r\n", b"--b\r\n\r\nx\r\n--b--\r\n"])
def test_a_message_part_whose_header_a_delimiter_ends_holds_an_empty_message(after: bytes) -> None:
    head = b"Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    root = scan(head + b"one\r\ntwo\r\n--b\r\nContent-Type: message/rfc822\r\n" + after).root
    assert (root.header_octets, root.content.subtype) == (len(head), b"mixed")
    (within,) = root.children[0].children
    assert (within.header_octets, within.body_octets, within.lines) == (0, 0, 0)
