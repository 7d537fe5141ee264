"""Two hundred hostile searches against a recording server: on the wire, one shape (attack catalogue D1)."""

from __future__ import annotations

import random

import pytest

from mssante.annuaire.ldap import LdapDirectory
from mssante.demo.annuaire import BASE_DN
from mssante.ldap.client.session import LdapTarget
from mssante.model import Address, Malformed
from tests.support.ldap.fake_ldap import SEARCH, Conversation, done, fake_ldap

_PIECES = (
    "*", "(", ")", "\\", "|", "&", "!", "=", "~=", ">=", ":=", "*)(", ")(|(", "\\2a", "\\00", "\\", "%2a",
    "uid", "mssResponsable", "objectClass=*", "a", "é", "＊", "（", "\u00a0", "\u2028", "'", '"', "/", "#",
    ",", "+", "<", ">", ";", "cn=admin", "1.2.3:dn:=", "x" * 40, "😀", "\u0301",
)  # fmt: skip


def _payloads() -> list[str]:
    source = random.Random(20260101)
    fixed = [
        "*)(uid=*))(|(uid=*",
        "*)(mssListeRouge=TRUE",
        "moreau)(!(mssListeRouge=TRUE",
        "admin)(&)",
        "a*b*c*d",
        "\\2a\\29\\28",
        "abc)",
        "(((",
    ]
    made = ["".join(source.choices(_PIECES, k=source.randint(2, 6))) for _ in range(192)]
    # One word each, long enough to be asked.
    return ["".join(payload.split()) + "(*)" for payload in fixed + made]


Tree = tuple[int, tuple["Tree", ...] | bytes]


def _tree(octets: bytes) -> tuple[Tree, bytes]:
    """The BER value at the head of `octets`, constructed ones opened, and what follows it."""
    tag, length, start = octets[0], octets[1], 2
    if length & 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(octets[2:start], "big")
    content, rest = octets[start : start + length], octets[start + length :]
    if not tag & 0x20:
        return (tag, content), rest
    children = []
    while content:
        child, content = _tree(content)
        children.append(child)
    return (tag, tuple(children)), rest


def _put(tree: Tree, old: bytes, new: bytes) -> Tree:
    tag, content = tree
    if isinstance(content, bytes):
        return tag, new if content == old else content
    return tag, tuple(_put(child, old, new) for child in content)


def _filter_of(request: bytes) -> Tree:
    (_, message), _ = _tree(request)
    assert not isinstance(message, bytes)
    operation = message[1][1]
    assert not isinstance(operation, bytes)
    return operation[6]  # RFC 4511 §4.5.1: filter is the seventh field


async def test_two_hundred_payloads_keep_the_shape_of_the_template() -> None:
    asked: list[bytes] = []

    def script(conversation: Conversation) -> None:
        for number, tag, whole in conversation.requests():
            if tag == SEARCH:
                asked.append(whole)
                conversation.send(done(number))

    with fake_ldap(script) as fake:
        directory = LdapDirectory(LdapTarget.parse(fake.url, base_dn=BASE_DN))
        await directory.search("benign", 1)
        template = _filter_of(asked.pop())
        payloads = _payloads()
        assert len(set(payloads)) > 190
        for payload in payloads:
            assert await directory.search(payload, 1) == ()
            assert _filter_of(asked.pop()) == _put(template, b"benign", payload.encode())
        assert not asked
        # An address is asked for whole, its specials included (RFC 5321 atext has `*` and `|`).
        await directory.mailbox(Address.parse("a*b@x.test"))
        template = _filter_of(asked.pop())
        await directory.mailbox(Address.parse("{*}|!&=#~@x.test"))
        assert _filter_of(asked.pop()) == _put(template, b"a*b@x.test", b"{*}|!&=#~@x.test")
        for refused in ("a\0bc", "abc\x07", "x" * 10_240):
            with pytest.raises(Malformed):
                await directory.search(refused, 1)
        assert not asked
        await directory.aclose()
