"""What is filled into a prepared text comes out as if it were written value by value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssante.imap.grammar import encode, templates
from mssante.imap.grammar.envelope import render
from mssante.imap.grammar.templates import PLAIN_WRITER, Templates, ValueWriter
from mssante.mime.packed import Packed, Tree, pack, unpack
from mssante.reasons import Refused
from tests.unit.imap.spoken import fastest

_OCTETS = st.binary(max_size=12) | st.sampled_from(
    [b"plain", b"", b"%b", b'"%b"', b"7", b"NIL", b"a\tb", b"\x7f"]
)
_NSTRING = st.none() | _OCTETS
_LIST = st.lists(st.tuples(_NSTRING, _NSTRING, _NSTRING, _NSTRING), max_size=3).map(tuple)
_ENVELOPES = st.tuples(_NSTRING, _NSTRING, _LIST, _LIST, _LIST, _LIST, _LIST, _LIST, _NSTRING, _NSTRING)
ENVELOPE = b"Thu, 01 Jan 2026 10:11:12 +0100", b"Compte rendu", ((b"A", None, b"a", b"b.fr"),), (), (), (
    (b"B", None, b"b", b"c.fr"),), (), (), None, b"<1@b.fr>"  # fmt: skip


@given(_ENVELOPES)
def test_a_filled_text_is_what_rendering_gives(tree: Tree) -> None:
    prepared = Templates(render)
    for _ in range(2):  # made, and known
        assert prepared.written(pack(tree)) == render(unpack(pack(tree)), PLAIN_WRITER)


def numbers(tree: Tree, writer: ValueWriter) -> bytes:
    return b"(%b %b %b)" % (writer.number(tree[1]), writer.nstring(tree[0]), writer.number(tree[1]))


@pytest.mark.parametrize(("octets", "written"), [(b"a", b'(12 "a" 12)'), (b"\xe9", b"(12 {1}\r\n\xe9 12)")])
def test_a_number_is_never_quoted(octets: bytes, written: bytes) -> None:
    assert Templates(numbers).written(pack((octets, 12))) == written


def test_one_value_and_none_at_all_are_written() -> None:
    one = Templates(lambda tree, writer: writer.nstring(tree[0]))
    assert one.written(pack((b"a",))) == b'"a"'
    assert one.written(pack((None,))) == encode.NIL


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "IMAP_TEMPLATES_REMEMBERED_MAX", 10)
    count = Templates(lambda tree, writer: b" ".join(map(writer.nstring, tree)))
    for n in range(100):
        assert count.written(pack((b"a",) * n)) == b" ".join([b'"a"'] * n)
        assert len(count._known) <= 10
    long = pack((b"a",) * 600)
    assert count.written(long) == b" ".join([b'"a"'] * 600)
    assert len(count._known) <= 10


@pytest.mark.parametrize("octets", [b"", b"ss\0a\0b", b"=x", b"=(", b"=)", b"=ss", b"~\xe9", b"~sx\0a\0b"])
def test_what_is_no_packed_tree_is_refused(octets: bytes) -> None:
    with pytest.raises(Refused):
        unpack(Packed(octets))


def test_ten_thousand_envelopes_are_written_in_thirty_milliseconds() -> None:
    packed, prepared = pack(ENVELOPE), Templates(render)
    assert fastest(lambda: [prepared.written(packed) for _ in range(10_000)]) < 0.030
