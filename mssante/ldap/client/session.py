"""One connection to an LDAP server for one question: it connects, starts TLS, binds, reads pages, closes.

Invariants: OpenSSL verifies the server's chain and name before we bind or ask anything; clear text is used
only on loopback; a password is sent only together with a DN, and outside loopback only under TLS; an
incomplete answer is an error, except for a search, where the first entries are enough.
"""

from __future__ import annotations

import ipaddress
import math
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ldap3 import ANONYMOUS, DEREF_NEVER, NONE, SIMPLE, SUBTREE, SYNC, Connection, Server, Tls

from mssante.ldap.client.framing import FramedSocket
from mssante.ldap.grammar.values import Found, RawEntry
from mssante.limits import LDAP_PAGE_ENTRIES, LDAP_REFERENCES_MAX, LDAP_SECONDS_MAX
from mssante.model import Malformed, Secret
from mssante.reasons import Passing, Reason

_SUCCESS, _SIZE_LIMIT = 0, 4  # RFC 4511 appendix A
_PAGED = "1.2.840.113556.1.4.319"  # RFC 2696


class Transport(Enum):
    TLS = "ldaps"
    START_TLS = "starttls"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapTarget:
    """Which directory to ask, where in it to look, and as whom to bind. Make one with `parse`."""

    host: str
    port: int
    transport: Transport
    base_dn: str
    ca_file: Path | None
    bind_dn: str | None
    password: Secret | None
    page_entries: int = LDAP_PAGE_ENTRIES

    @classmethod
    def parse(
        cls,
        url: str,
        *,
        base_dn: str,
        ca_file: Path | None = None,
        bind_dn: str | None = None,
        password: Secret | None = None,
    ) -> LdapTarget:
        """`ldaps://host[:port]` means TLS. `ldap://host[:port]` means that StartTLS is required, except for a
        loopback host without `ca_file`, where the connection is plain. Without `ca_file` the system's
        authorities are trusted.

        Raises Malformed for another URL, or for a DN without its password, or the reverse."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise Malformed("not an LDAP URL") from None
        if parts.scheme not in {"ldap", "ldaps"} or not host or parts.path.strip("/") or parts.query:
            raise Malformed("not an LDAP URL: ldaps://host[:port] or ldap://host[:port]")
        if parts.username is not None:
            raise Malformed("no password in a URL")
        if bool(bind_dn) != bool(password and password.value):
            # RFC 4513 §5.1.2: a bind with a DN and no password would be anonymous.
            raise Malformed("a bind DN goes with a password")
        if parts.scheme == "ldaps":
            transport = Transport.TLS
        elif _is_loopback(host) and ca_file is None:
            transport = Transport.PLAIN
        else:
            transport = Transport.START_TLS
        return cls(
            host=host,
            port=port or (636 if transport is Transport.TLS else 389),
            transport=transport,
            base_dn=base_dn,
            ca_file=ca_file,
            bind_dn=bind_dn or None,
            password=password,
        )


class LdapSession:
    """Used by one thread; `abort` may be called by another."""

    def __init__(self, target: LdapTarget, *, seconds: float) -> None:
        self._target = target
        self._deadline = time.monotonic() + seconds
        # ldap3 wants whole seconds. They limit what FramedSocket does not see: connecting and TLS.
        patience = max(1, min(LDAP_SECONDS_MAX, math.ceil(seconds)))
        server = Server(
            target.host,
            port=target.port,
            use_ssl=target.transport is Transport.TLS,
            get_info=NONE,
            allowed_referral_hosts=[],
            connect_timeout=patience,
            tls=_VerifiedTls(target) if target.transport is not Transport.PLAIN else None,
        )
        self._connection = Connection(
            server,
            user=target.bind_dn,
            password=target.password.value if target.password else None,
            authentication=SIMPLE if target.bind_dn else ANONYMOUS,
            client_strategy=SYNC,
            auto_referrals=False,
            auto_range=False,
            check_names=False,
            read_only=True,
            receive_timeout=patience,
        )

    def open(self) -> None:
        """Connects, starts TLS, binds. Raises what ldap3, ssl or the socket raise, and Passing when the bind
        fails."""
        connection = self._connection
        connection.open(read_server_info=False)
        self._bound_socket()
        if self._target.transport is Transport.START_TLS:
            connection.start_tls(read_server_info=False)
            self._bound_socket()
        # A second check, in case ldap3 has no TLS after all: a password must never be sent then.
        if self._target.transport is not Transport.PLAIN and not isinstance(
            connection.socket.plain, ssl.SSLSocket
        ):
            raise Passing(Reason.DIRECTORY_UNAVAILABLE, "no TLS")
        if self._target.bind_dn and not connection.bind(read_server_info=False):
            raise Passing(Reason.DIRECTORY_UNAVAILABLE, f"bind: {_description(connection.result)}")

    def entries(
        self, search_filter: str, attributes: Sequence[str], *, at_most: int, partial: bool = False
    ) -> Iterator[Found]:
        """What the filter finds under the base DN, page after page.

        Beyond `at_most` entries, or when the server stops early: ends there if `partial`, otherwise raises
        Passing."""
        count, cookie = 0, None
        while True:
            result, found = self._page(search_filter, attributes, cookie)
            if result["type"] != "searchResDone":  # ldap3 accepts any kind of result as the end of a search
                raise Passing(Reason.DIRECTORY_UNAVAILABLE, "search: not its result")
            for one in found:
                if count == at_most:
                    if partial:
                        return
                    raise Passing(Reason.DIRECTORY_UNAVAILABLE, "too many entries")
                count += 1
                yield one
            if result["result"] == _SIZE_LIMIT and partial:
                return
            if result["result"] != _SUCCESS:
                raise Passing(Reason.DIRECTORY_UNAVAILABLE, f"search: {_description(result)}")
            cookie = _cookie(result)
            if not cookie:
                return

    def abort(self) -> None:
        """Ends the connection while another thread uses it."""
        framed = self._connection.socket
        if framed is not None:
            with suppress(OSError):
                framed.shutdown(2)

    def close(self) -> None:
        """Closes without an unbind, because sending one might make us wait."""
        self._connection.strategy.close()
        unfinished = self._connection.socket  # ldap3 leaves it open when the TLS handshake fails
        if unfinished is not None:
            unfinished.close()

    def _page(
        self, search_filter: str, attributes: Sequence[str], cookie: bytes | None
    ) -> tuple[dict[str, Any], list[Found]]:
        connection = self._connection
        connection.search(
            self._target.base_dn,
            search_filter,
            SUBTREE,
            dereference_aliases=DEREF_NEVER,
            attributes=list(attributes),
            paged_size=self._target.page_entries,
            paged_criticality=True,  # a server that cannot page must not send everything at once
            paged_cookie=cookie,
            auto_escape=False,
        )
        found = [
            (str(response["dn"]), _raw(response["raw_attributes"]))
            for response in connection.response or ()
            if response["type"] == "searchResEntry"  # references are not followed
        ]
        return connection.result, found

    def _bound_socket(self) -> None:
        plain = self._connection.socket
        if isinstance(plain, FramedSocket):
            return
        self._connection.socket = FramedSocket(
            plain,
            deadline=self._deadline,
            messages_max=self._target.page_entries + LDAP_REFERENCES_MAX,
        )


class _VerifiedTls(Tls):
    """ldap3's TLS, but OpenSSL checks the host name, instead of ldap3's own matching."""

    def __init__(self, target: LdapTarget) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._host = target.host
        self._context = ssl.create_default_context(cafile=str(target.ca_file) if target.ca_file else None)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2

    def wrap_socket(self, connection: Connection, do_handshake: bool = False) -> None:
        plain = connection.socket
        if isinstance(plain, FramedSocket):
            plain = plain.plain
        connection.socket = self._context.wrap_socket(plain, server_hostname=self._host)


def _raw(attributes: dict[str, list[bytes] | None]) -> RawEntry:
    return {name.lower(): tuple(values or ()) for name, values in attributes.items()}


def _cookie(result: dict[str, Any]) -> bytes | None:
    control = (result.get("controls") or {}).get(_PAGED)
    cookie = control["value"]["cookie"] if control else None
    return bytes(cookie) if cookie else None


def _description(result: dict[str, Any] | None) -> str:
    """The name of a result code, which is a word of the RFC and never the server's own text."""
    return str((result or {}).get("description", "no result"))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
