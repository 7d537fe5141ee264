"""How a PostgreSQL server must prove its identity, read from the parameters of its URL.

The parameters are those of libpq, as PostgreSQL's manual describes them. Invariants: a server that is not on
this machine (a Unix socket or loopback) is reached with `sslmode=verify-full` or not at all, so that no
password and no ciphertext goes to somebody in between; a parameter we do not know is refused.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Iterator
from typing import Any

from sqlalchemy import URL

from mssante.database.faults import CannotOpen

_VERIFY_FULL = "verify-full"
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", _VERIFY_FULL)
_TLS_WORDS = ("sslmode", "sslrootcert", "sslcert", "sslkey")
_WORDS = ("host", "port", "passfile", *_TLS_WORDS)


def proven(url: URL) -> tuple[URL, dict[str, Any]]:
    """The URL without its TLS parameters, and the arguments that asyncpg's `connect` takes instead. Raises
    CannotOpen for a distant host that would not have to prove its identity, a file that cannot be read, or a
    parameter or value that does not exist."""
    for word in url.query:
        if word not in _WORDS:
            raise CannotOpen(f"the URL of PostgreSQL has {word}: it takes {', '.join(_WORDS)}")
    mode = _word(url, "sslmode") or os.environ.get("PGSSLMODE", "")
    if mode and mode not in _MODES:
        raise CannotOpen(f"sslmode is one of {', '.join(_MODES)}")
    far = [host for host in _hosts(url) if not _is_here(host)]
    if far and mode not in ("", _VERIFY_FULL):
        raise CannotOpen(
            f"PostgreSQL at {far[0]} needs sslmode={_VERIFY_FULL}: else anybody can stand for it"
        )
    plain = url.difference_update_query(_TLS_WORDS)
    if far or mode in ("require", "verify-ca", _VERIFY_FULL):
        return plain, {"ssl": _context(url, mode or _VERIFY_FULL)}
    return plain, {} if not mode else {"ssl": False if mode == "disable" else mode}


def _hosts(url: URL) -> Iterator[str]:
    """The hosts a URL names; an empty name stands for PostgreSQL's default Unix socket."""
    named = url.query.get("host", ())
    for text in (url.host or "", *((named,) if isinstance(named, str) else named)):
        yield from (
            host.rpartition(":")[0] or host if host.count(":") == 1 else host for host in text.split(",")
        )
    if url.host is None and not named:
        yield from os.environ.get("PGHOST", "").split(",")


def _is_here(host: str) -> bool:
    """A Unix socket, or this machine's loopback."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _word(url: URL, name: str) -> str:
    value = url.query.get(name, "")
    return value if isinstance(value, str) else value[-1]


def _context(url: URL, mode: str) -> ssl.SSLContext:
    authorities = _word(url, "sslrootcert") or os.environ.get("PGSSLROOTCERT", "")
    try:
        context = ssl.create_default_context(
            cafile=authorities if authorities not in ("", "system") else None
        )
        if certificate := _word(url, "sslcert"):
            context.load_cert_chain(certificate, _word(url, "sslkey") or None)
    except (OSError, ssl.SSLError) as error:
        raise CannotOpen(f"PostgreSQL: {authorities or certificate}: {error.strerror or error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = mode == _VERIFY_FULL
    if mode == "require" and not authorities:
        context.verify_mode = ssl.CERT_NONE  # what libpq means by `require`; only for loopback
    return context
