"""Trace fields (RFC 5321 §4.4): Received, written on the way in, and Return-Path, written at final delivery.

Invariants: nothing a peer says (its EHLO name, its certificate's name) can end a comment or the field;
no secret, no recipient beyond the one given.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address

from mssante.mime import dates, writing
from mssante.model import Address

_NOT_IN_DOMAIN = re.compile(r"[^A-Za-z0-9.:\[\]_-]")
_NOT_IN_COMMENT = re.compile(r'[()"\\]')


def received(
    *,
    helo: str,
    remote_address: str,
    by: str,
    protocol: str,
    id: str,
    at: datetime,
    tls_version: str | None = None,
    peer_name: str | None = None,
    recipient: Address | None = None,
) -> bytes:
    """A Received field, CRLF included. `protocol`: ESMTP, ESMTPS, ESMTPSA (RFC 3848); `peer_name`: the common
    name of the verified client certificate; `recipient` only when there is one (RFC 5321 §7.2)."""
    hop = _hop(
        helo=helo,
        remote_address=remote_address,
        by=by,
        protocol=protocol,
        tls_version=tls_version,
        peer_name=peer_name,
    )
    clauses = [hop, f"id {_domain(id)}"]
    if recipient is not None:
        clauses.append(f"for <{recipient}>")
    return writing.field("Received", f"{' '.join(clauses)}; {dates.rfc5322(at)}")


@lru_cache(maxsize=256)  # it is the same for all letters of a session, and for most of a peer
def _hop(
    *, helo: str, remote_address: str, by: str, protocol: str, tls_version: str | None, peer_name: str | None
) -> str:
    clauses = [f"from {_domain(helo)} ({_literal(remote_address)})"]
    if tls_version:
        client = f", client {_comment(peer_name)}" if peer_name else ""
        clauses.append(f"({_comment(tls_version)}{client})")
    clauses.append(f"by {_domain(by)} with {_domain(protocol)}")
    return " ".join(clauses)


def return_path(sender: Address | None) -> bytes:
    """A Return-Path field, CRLF included; None is the null reverse-path."""
    return b"Return-Path: <%b>\r\n" % (str(sender).encode("ascii") if sender else b"")


def _domain(text: str) -> str:
    return _NOT_IN_DOMAIN.sub("?", text)[:255] or "unknown"


def _comment(text: str) -> str:
    return _NOT_IN_COMMENT.sub("?", writing.clean(text, characters_max=200))


def _literal(remote_address: str) -> str:
    """RFC 5321 §4.1.3."""
    try:
        address = ip_address(remote_address.partition("%")[0])
    except ValueError:
        return "unknown"
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"
