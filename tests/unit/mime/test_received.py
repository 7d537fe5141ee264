"""Trace fields: true, foldable, and closed to what peers say of themselves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.mime import dates, header
from mssante.mime.received import received, return_path
from mssante.model import Address

AT = datetime(2026, 1, 1, 10, tzinfo=UTC)


def one(
    helo: str = "mx.b.fr",
    remote_address: str = "192.0.2.1",
    *,
    tls_version: str | None = None,
    peer_name: str | None = None,
) -> bytes:
    return received(
        helo=helo,
        remote_address=remote_address,
        by="mx.a.fr",
        protocol="ESMTPS",
        id="1f",
        at=AT,
        tls_version=tls_version,
        peer_name=peer_name,
    )


def test_a_received_field_says_from_whom_by_whom_and_how() -> None:
    written = received(
        helo="mx.b.fr",
        remote_address="192.0.2.1",
        by="mx.a.fr",
        protocol="ESMTPS",
        id="1f",
        at=AT,
        tls_version="TLSv1.3",
        peer_name="mx.b.fr",
        recipient=Address.parse("c@a.fr"),
    )
    assert written.replace(b"\r\n ", b" ") == (
        b"Received: from mx.b.fr ([192.0.2.1]) (TLSv1.3, client mx.b.fr) by mx.a.fr with ESMTPS id 1f "
        b"for <c@a.fr>; Thu, 01 Jan 2026 10:00:00 +0000\r\n"
    )
    assert all(len(line) <= 78 for line in written.split(b"\r\n"))


@pytest.mark.parametrize(
    ("address", "literal"),
    [
        ("192.0.2.1", b"[192.0.2.1]"),
        ("2001:db8::1", b"[IPv6:2001:db8::1]"),
        ("fe80::1%eth0", b"[IPv6:fe80::1]"),
        ("", b"unknown"),
    ],
)
def test_the_remote_address_is_a_literal(address: str, literal: bytes) -> None:
    assert b"(%b)" % literal in one(remote_address=address)


said = st.text(max_size=300) | st.text('()<>;"\\ \r\n:a', max_size=40)


@given(said, said)
@settings(deadline=None)
def test_what_a_peer_says_of_itself_stays_inside_the_field(helo: str, name: str) -> None:
    written = one(helo, tls_version="TLSv1.3", peer_name=name)
    (field,) = header.fields(written)
    assert (field.name, field.end) == (b"received", len(written))
    outside = header.without_comments(field.value)
    assert outside.endswith(b"by mx.a.fr with ESMTPS id 1f; " + dates.rfc5322(AT).encode())
    assert outside.count(b";") == 1
    assert not set(outside) & set(b'()"\\<>')
    assert all(len(line) <= 998 for line in written.split(b"\r\n"))


def test_the_return_path_of_a_notice_is_null() -> None:
    assert return_path(None) == b"Return-Path: <>\r\n"
    assert return_path(Address.parse("a@b.fr")) == b"Return-Path: <a@b.fr>\r\n"
