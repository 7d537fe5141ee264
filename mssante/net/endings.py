"""How a conversation over a Stream ends before it is done, as whoever reads from it is told."""

from __future__ import annotations


class PlaintextPipelined(ConnectionError):
    """Clear text followed the command that asks for TLS (RFC 3207 §4.2); the connection is closed."""


class HandshakeFailed(ConnectionError):
    """The handshake failed, which was reported; the connection is closed. `args[0]` is OpenSSL's reason."""


class Stopping(Exception):
    """The server is stopping: say goodbye and end. Only reads raise it, so it never interrupts a command."""
