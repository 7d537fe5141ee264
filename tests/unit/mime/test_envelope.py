"""What is kept of an envelope, and its first addresses, read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssante.mime import addresses
from mssante.mime.content import EnvelopeFields
from mssante.mime.envelope import AddressField, EnvelopeValues, first_address
from mssante.mime.packed import Packed, unpack
from tests.unit.imap.spoken import fastest

_VALUE = st.lists(
    st.sampled_from(
        [b"Marie ", b'"Dr \\"A\\", x" ', b"<a@b.fr>", b"c@d.fr", b", ", b"equipe: ", b";", b"(x) ", b"\xe9",
         b"\r\n ", b'"\xc3\xa9 {3}" ', b"\\", b"<@r:l@h>", b"{4}", b'"']
    ),
    max_size=6,
).map(b"".join)  # fmt: skip


def packed(fields: EnvelopeFields) -> Packed:
    return EnvelopeValues.of(fields).packed()


@given(st.binary(max_size=8), st.binary(max_size=12), _VALUE, _VALUE, _VALUE)
def test_what_was_rendered_is_read(date: bytes, subject: bytes, author: bytes, to: bytes, cc: bytes) -> None:
    fields = EnvelopeFields(date=date, subject=subject, from_=author, sender=b"s@x", to=to, cc=cc)
    envelope = packed(fields)
    for field, value in ((AddressField.FROM, author), (AddressField.TO, to), (AddressField.CC, cc)):
        entries = addresses.parse(value) if value else ()
        found = first_address(envelope, field)
        if not entries:
            assert found is None
        else:
            first = entries[0]
            assert found is not None
            for one, other in (
                (found.name, first.name),
                (found.mailbox, first.mailbox),
                (found.host, first.host),
            ):
                assert one == (None if other is None else other.replace(b"\0", b""))


def test_a_group_is_called_by_its_name() -> None:
    envelope = packed(EnvelopeFields(from_=b"Cardiologie: a@b.fr, c@d.fr;"))
    found = first_address(envelope, AddressField.FROM)
    assert found is not None
    assert (found.name, found.mailbox, found.host) == (None, b"Cardiologie", None)


@pytest.mark.parametrize(
    "octets",
    [b"", b"()", b"NIL", b"(NIL NIL", b"(NIL NIL ((NIL))", b"=ss((ssss))\0a\0b", b"=--s((\0", b"\xff"],
)
def test_what_is_no_envelope_has_no_address(octets: bytes) -> None:
    assert first_address(Packed(octets), AddressField.FROM) is None


def test_an_envelope_is_kept_in_its_own_words() -> None:
    fields = EnvelopeFields(subject=b'a "b" \\c', from_=b"Marie <m@b.fr>", to=b"g: c@d.fr;", message_id=b"")
    kept = packed(fields)
    assert kept == b'~-s((s-ss))()()((--s-)(--ss)(----))()()-s\0a "b" \\c\0Marie\0m\0b.fr\0g\0c\0d.fr\0'
    assert EnvelopeValues.of_tree(unpack(kept)) == EnvelopeValues.of(fields)


def test_nul_is_left_out() -> None:
    kept = packed(EnvelopeFields(date=b"\0", subject=b"a\0b"))
    assert unpack(kept)[:2] == (b"", b"ab")
    assert unpack(packed(EnvelopeFields(subject=b"\0\0")))[1] == b""


def test_a_thousand_addresses_before_cost_little() -> None:
    many = b", ".join(b"Nom %d <a%d@b.fr>" % (n, n) for n in range(1000))
    envelope = packed(EnvelopeFields(from_=many, sender=many, reply_to=many, to=many, cc=b"x@y"))
    assert fastest(lambda: first_address(envelope, AddressField.CC)) < 0.1
    found = first_address(envelope, AddressField.CC)
    assert found is not None
    assert found.mailbox == b"x"
