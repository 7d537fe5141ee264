"""Address lists in the shape of an ENVELOPE."""

from __future__ import annotations

from email.headerregistry import HeaderRegistry
from email.utils import formataddr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante import limits
from mssante.mime import addresses
from mssante.mime.addresses import AddressEntry

END = AddressEntry(None, None, None, None)


def plain(mailbox: bytes, host: bytes, name: bytes | None = None) -> AddressEntry:
    return AddressEntry(name, None, mailbox, host)


@pytest.mark.parametrize(
    ("value", "entries"),
    [
        (b"", ()),
        (b"a@b.fr", (plain(b"a", b"b.fr"),)),
        (b"<a@b.fr>", (plain(b"a", b"b.fr"),)),
        (b"Jean Test <a@b.fr>", (plain(b"a", b"b.fr", b"Jean Test"),)),
        (b'"Test, Jean" <a@b.fr>, c@d.fr', (plain(b"a", b"b.fr", b"Test, Jean"), plain(b"c", b"d.fr"))),
        (b'"a \\"b\\"" <a@b.fr>', (plain(b"a", b"b.fr", b'a "b"'),)),
        (b"a@b.fr (Jean (Jr) Test)", (plain(b"a", b"b.fr", b"Jean (Jr) Test"),)),
        (b"J. <a@b.fr> (c)", (plain(b"a", b"b.fr", b"J."),)),
        (b'"john doe"@b.fr', (plain(b"john doe", b"b.fr"),)),
        (b'"john".doe@b.fr', (plain(b"john.doe", b"b.fr"),)),
        (b"a @ b . fr", (plain(b"a", b"b.fr"),)),
        (b"a@[192.0.2.1]", (plain(b"a", b"[192.0.2.1]"),)),
        (b"<@x,@y:a@b.fr>", (AddressEntry(None, b"@x,@y", b"a", b"b.fr"),)),
        (b"team: a@b.fr, C <c@d.fr>;", (
            AddressEntry(None, None, b"team", None), plain(b"a", b"b.fr"), plain(b"c", b"d.fr", b"C"), END)),
        (b"Undisclosed recipients:;", (AddressEntry(None, None, b"Undisclosed recipients", None), END)),
        (b"team: a@b.fr", (AddressEntry(None, None, b"team", None), plain(b"a", b"b.fr"), END)),
        (b"nobody", (plain(b"nobody", b""),)),
        (b"<>", (plain(b"", b""),)),
        (b", ,a@b.fr,,", (plain(b"a", b"b.fr"),)),
        (b"A <a@b.fr, c@d.fr", (plain(b"a", b"b.fr", b"A"), plain(b"c", b"d.fr"))),
        (b"=?utf-8?q?=C3=89?= <a@b.fr>", (plain(b"a", b"b.fr", b"=?utf-8?q?=C3=89?="),)),
        (b"a@b.fr (unclosed", (plain(b"a", b"b.fr", b"unclosed"),)),
    ],
)  # fmt: skip
def test_an_address_list_is_read(value: bytes, entries: tuple[AddressEntry, ...]) -> None:
    assert addresses.parse(value) == entries


def test_addresses_beyond_the_limit_are_not_read() -> None:
    assert len(addresses.parse(b"a@b.fr," * 2000)) == limits.MIME_ADDRESSES_MAX


def test_the_text_for_search_is_decoded() -> None:
    entries = addresses.parse(b"=?utf-8?q?=C3=89lodie?= <e@b.fr>, group: a@b.fr;, nobody")
    assert addresses.text(entries) == "Élodie <e@b.fr>, group, a@b.fr, nobody"


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_nothing_written_in_an_address_raises(value: bytes) -> None:
    entries = addresses.parse(value)
    addresses.text(entries)
    assert len(entries) <= limits.MIME_ADDRESSES_MAX + 1


@given(st.text('()<>@,;:\\"[] ab.=?', max_size=60))
@settings(deadline=None)
def test_the_list_always_ends_its_groups(value: str) -> None:
    inside = False
    for entry in addresses.parse(value.encode()):
        if entry.host is None:
            assert inside == (entry.mailbox is None)
            inside = not inside
    assert not inside


names = st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters="="), max_size=20)
locals_ = st.from_regex(r"[a-z0-9]{1,8}(\.[a-z0-9]{1,8})?", fullmatch=True)


@given(st.lists(st.tuples(names.map(str.strip), locals_), min_size=1, max_size=5))
@settings(deadline=None)
def test_ordinary_lists_are_read_as_the_standard_library_reads_them(people: list[tuple[str, str]]) -> None:
    value = ", ".join(formataddr((" ".join(name.split()), f"{local}@b.mssante.fr")) for name, local in people)
    expected = HeaderRegistry()("to", value).addresses  # type: ignore[attr-defined]  # built at run time
    found = addresses.parse(value.encode())
    assert [((e.name or b"").decode(), e.address) for e in found] == [
        (a.display_name, a.addr_spec) for a in expected
    ]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "Dr",
                "L'h=",
                " ",
                "  ",
                "\t",
                "<",
                ">",
                "@",
                "a.b",
                ",",
                ";",
                ":",
                "(",
                ")",
                '"',
                "\\",
                "[",
                "\x00",
                "é",
            ]
        )
    )
)
def test_what_is_plain_is_read_as_the_reader_reads_it(pieces: list[str]) -> None:
    text = "".join(pieces)
    lists = (
        f"{text}, Dr A <a@b.fr>,{text}",
        f"{text}:<a@b.fr>, Dr <c@b.fr>{text}",
        f"x: {text}:<a@b.fr>;{text}",
    )
    for value in (text, f"{text}<a@b.fr>", f"Dr A <{text}@b.fr>", *lists):
        octets = value.encode("utf-8").strip(b" \t\r\n")
        slowly = addresses._AddressReader(octets, addresses.Reading(), quick=False).read()
        assert addresses.parse(octets) == slowly
