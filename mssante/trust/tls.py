"""TLS contexts: what a handshake must satisfy. Whether a peer is trusted is decided later, by `verify_peer`.

Invariants: TLS 1.2 or 1.3, forward-secret suites (facts §2), no compression, no renegotiation, no tickets.
An expired certificate passes the handshake (NO_CHECK_TIME), so that `verify_peer` can refuse it and say why.
A chain to an unknown authority fails the handshake, and then only OpenSSL's error says why. OpenSSL also
requires that an EKU, if there is one, fits the direction; no rule of ours can relax that. Whoever resumes a
session shows no certificate anew: `peer_chain` gives those of the handshake that began the session, and the
caller judges them as they stand today.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mssante.trust.path import Anchors

# The suites of ECO.1.1.3 (facts §2) for RSA certificates, and AEAD suites of the same strength for P-256.
SUITES = ":".join(
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-SHA384",
        "ECDHE-RSA-AES128-SHA256",
        "@SECLEVEL=2",  # no RSA below 2048 bits, no SHA-1 signature, whatever the system's default
    )
)
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: the ssl module has no name for it


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsCredentials:
    """Two PEM files: our certificate with its issuing authorities, and its key."""

    chain_file: Path
    key_file: Path


class PeerListenerContexts:
    """The server side of mutual TLS. `take()` gives the context for one connection.

    With TLS 1.3 and no tickets no session can be resumed, so a context can be used again. After a TLS 1.2
    handshake the context holds a session that could be resumed by its id, and the ssl module has no option
    against that. The next connection then gets a new context, which takes one or two milliseconds. Each
    listener has its own. Two connections may still share a context when both begin before either has made its
    handshake; the later one may then resume the session of the other (see `peer_chain`)."""

    def __init__(self, credentials: TlsCredentials, anchors: Anchors) -> None:
        self._credentials = credentials
        self._authorities = _der(anchors)
        self._context = self._made()

    def take(self) -> ssl.SSLContext:
        if self._context.session_stats()["number"]:
            self._context = self._made()
        return self._context

    def _made(self) -> ssl.SSLContext:
        context = _context(ssl.PROTOCOL_TLS_SERVER, self._credentials)
        _ask_for_certificate(context, self._authorities, ssl.CERT_OPTIONAL)
        return context


def peer_client_context(credentials: TlsCredentials, anchors: Anchors) -> ssl.SSLContext:
    """The client side of mutual TLS. One context serves every connection, because a client resumes a session
    only if it is given one. The host name is not checked: a peer is known by its DN and not by DNS."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT, credentials)
    context.check_hostname = False
    _ask_for_certificate(context, _der(anchors), ssl.CERT_REQUIRED)
    return context


def user_server_context(credentials: TlsCredentials) -> ssl.SSLContext:
    """For submission and IMAP. The client is not asked for a certificate. Each listener has its own."""
    return _context(ssl.PROTOCOL_TLS_SERVER, credentials)


def peer_chain(tls: ssl.SSLObject | ssl.SSLSocket) -> list[bytes]:
    """The certificates that a peer presented (DER, its own first); empty when it presented none.

    In a resumed session they are those of the handshake that began it: moments ago, in the same context. Who
    resumes knows that session's secret, so it is the same peer; whether it is trusted must be judged anew."""
    leaf = tls.getpeercert(binary_form=True)
    if leaf is None:
        return []
    return [leaf, *(der for der in _unverified_chain(tls) if der != leaf)]


def openssl_reason(error: ssl.SSLError) -> str:
    """OpenSSL's own words: `CERTIFICATE_VERIFY_FAILED: certificate has expired`."""
    detail = getattr(error, "verify_message", "")
    return f"{error.reason or type(error).__name__}: {detail}" if detail else str(error.reason or error)


def _unverified_chain(tls: Any) -> Sequence[bytes]:
    """SSLObject.get_unverified_chain is public since Python 3.13; before, only the inner object has it."""
    if hasattr(tls, "get_unverified_chain"):
        found: Sequence[bytes] = tls.get_unverified_chain()
        return found
    # Without a chain, the certificate alone is enough when its issuing authority is configured.
    chain = tls._sslobj.get_unverified_chain() or ()
    return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in chain]


def _context(protocol: int, credentials: TlsCredentials) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES)
    context.options |= (
        ssl.OP_NO_COMPRESSION
        | ssl.OP_NO_RENEGOTIATION
        | ssl.OP_NO_TICKET
        | ssl.OP_CIPHER_SERVER_PREFERENCE
        | ssl.OP_SINGLE_ECDH_USE
    )
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    context.load_cert_chain(credentials.chain_file, credentials.key_file)
    return context


def _ask_for_certificate(context: ssl.SSLContext, authorities: bytes, mode: ssl.VerifyMode) -> None:
    context.load_verify_locations(cadata=authorities)
    context.verify_mode = mode
    context.verify_flags |= _NO_CHECK_TIME


def _der(anchors: Anchors) -> bytes:
    return b"".join(certificate.der for certificate in anchors.issuers)
