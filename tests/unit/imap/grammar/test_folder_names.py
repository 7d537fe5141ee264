"""Folder names: modified UTF-7, one spelling for each (row I13)."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mssante.imap.grammar import commands, folder_names
from mssante.imap.grammar.commands import Request
from mssante.imap.grammar.events import Rejected
from mssante.model import Malformed
from tests.unit.imap.spoken import logged_in, only


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("INBOX", b"INBOX"),
        ("Projet é&", b"Projet &AOk-&-"),
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501 §5.1.3
        ("Éléments envoyés", b"&AMk-l&AOk-ments envoy&AOk-s"),
        ("😀", b"&2D3eAA-"),
        ("&", b"&-"),
        ("a\tb", b"a&AAk-b"),
    ],
)
def test_a_name_and_its_octets(name: str, octets: bytes) -> None:
    assert folder_names.encode(name) == octets
    assert folder_names.decode(octets) == name


@given(st.text())
@example("é&é")
@example("\x7f")
def test_every_name_comes_back(name: str) -> None:
    octets = folder_names.encode(name)
    assert all(0x20 <= octet <= 0x7E for octet in octets)
    assert folder_names.decode(octets) == name


@given(st.binary(max_size=40) | st.from_regex(rb"(a|&|-|[A-Za-z0-9+,]){0,20}", fullmatch=True))
def test_what_decodes_has_one_spelling(octets: bytes) -> None:
    folder_names.decode_leniently(octets)
    try:
        name = folder_names.decode(octets)
    except Malformed:
        return
    assert folder_names.encode(name) == octets


@pytest.mark.parametrize(
    "octets",
    [
        b"&", b"&A", b"&AOk", b"&AOl-", b"&AGE-", b"&AOk-&AOk-", b"&2D0-", b"&AOk=-", b"&AA-",
        b"\xc3\xa9", b"a\x00", b"a\n", b"&!-", b"R&D", b"&/-",
    ],
)  # fmt: skip
def test_malformed_modified_utf7_is_refused(octets: bytes) -> None:
    with pytest.raises(Malformed):
        folder_names.decode(octets)


def test_a_lenient_reading_keeps_what_it_cannot_read() -> None:
    assert folder_names.decode_leniently(b"R&D") == "R&D"
    assert folder_names.decode_leniently(b"&AOk-t&AOk") == "ét&AOk"
    assert folder_names.decode_leniently("été".encode()) == "été"
    assert folder_names.decode_leniently(b"&2D0-x") == "&2D0-x"


def test_inbox_is_one_folder() -> None:
    assert {folder_names.canonical(name) for name in ("inbox", "INBOX", "iNbOx")} == {"INBOX"}
    assert folder_names.canonical("inbox/Sub") == "INBOX/Sub"
    assert folder_names.canonical("Inboxes") == "Inboxes"
    assert folder_names.canonical("a/inbox") == "a/inbox"


TRICKS = [
    "../x", "..", "/etc/passwd", "a/../b", "C:\\x", "~root", "%", "*", "a*b%", '"', "\\", "x" * 512,
    "é" * 256, " ", "a ", "(x)", "{5}", "{5+}", "]", "NIL", "INBOX", "&", "con", ".", "$(id)",
    "' OR 1=1", "<x>", "\u202ex", "x" * 513, "é" * 257,
    "a//b", "a/", "/", "", "a\0b", "a\r\nb NOOP", "\x1b[2J",
]  # fmt: skip


@pytest.mark.parametrize("name", TRICKS)
def test_a_tricky_name_is_data_or_cannot_be_given(name: str) -> None:
    octets = folder_names.encode(name)
    event = only(logged_in(), b"a CREATE {%d+}\r\n%b\r\n" % (len(octets), octets))
    if isinstance(event, Rejected):
        assert event.code == "CANNOT"
        assert name in TRICKS[TRICKS.index("x" * 513) :] or name.startswith("/")
    else:
        assert event == Request("a", commands.Create(name.removesuffix("/"), None))
