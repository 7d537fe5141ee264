"""Drawing keys, deriving keys, and the one cipher we use, AES-256-GCM.

Invariants: only `Cipher.encrypt` and `Cipher.decrypt` call AES-GCM (K3); a pair of key and nonce is used only
once, because the nonce is either a counter under a key made for that one content, or 96 random bits; whatever
does not open raises NotAuthentic, without saying why.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

KEY_OCTETS = 32
ID_OCTETS = 16
NONCE_OCTETS = 12
TAG_OCTETS = 16
LABEL_PREFIX = b"mssop/v1/"


class NotAuthentic(Exception):
    """A ciphertext is damaged, was moved, or was sealed for something else. Callers answer with
    Reason.CORRUPTION."""


class NonceReused(AssertionError):
    """Two contents were sealed under one key and nonce, which only a bug can do. Raised while nonces are
    watched."""


_watched: dict[tuple[bytes, bytes], bytes] | None = None


def watch_nonces() -> None:
    """From now on remembers each pair of key and nonce, and raises NonceReused when a second content is
    sealed under it. For tests only, because memory grows with every sealing."""
    global _watched
    _watched = {}


def random_key() -> bytes:
    """32 random bytes from the kernel."""
    return os.urandom(KEY_OCTETS)


def random_id() -> bytes:
    """16 random bytes from the kernel."""
    return os.urandom(ID_OCTETS)


def derive(key: bytes, label: str) -> bytes:
    """A key derived from a uniformly random one: HKDF-Expand-SHA256 (RFC 5869 §2.3) with the info
    "mssop/v1/<label>"."""
    return HKDFExpand(SHA256(), KEY_OCTETS, LABEL_PREFIX + label.encode()).derive(key)


def octets_of(stored: object) -> bytes:
    """What a column of octets holds. SQLite takes any value into any column: what is no octets is none, and
    then opens or proves nothing."""
    return bytes(stored) if isinstance(stored, bytes | memoryview) else b""


def mac(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA256."""
    return hmac.digest(key, data, "sha256")


class Cipher:
    """AES-256-GCM under one key of 32 bytes."""

    __slots__ = ("_aes", "_mark")

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_OCTETS
        self._aes = AESGCM(key)
        self._mark = hashlib.sha256(key).digest() if _watched is not None else b""

    def encrypt(self, nonce: bytes, plaintext: bytes | bytearray | memoryview, aad: bytes) -> bytes:
        """Returns ciphertext and tag. The caller must never use a nonce twice: see `wrap` and `stream`."""
        sealed = self._aes.encrypt(nonce, plaintext, aad)
        if _watched is not None and _watched.setdefault((self._mark, nonce), sealed) != sealed:
            raise NonceReused
        return sealed

    def decrypt(self, nonce: bytes, sealed: bytes | memoryview, aad: bytes) -> bytes:
        """Raises NotAuthentic."""
        try:
            return self._aes.decrypt(nonce, sealed, aad)
        except (InvalidTag, ValueError):
            raise NotAuthentic from None

    def wrap(self, plaintext: bytes, aad: bytes) -> bytes:
        """Encrypts under a random nonce and returns nonce, ciphertext and tag, 28 bytes more than
        `plaintext`. At most 2^32 times for one key, so that the same nonce is hardly ever drawn twice."""
        nonce = os.urandom(NONCE_OCTETS)
        return nonce + self.encrypt(nonce, plaintext, aad)

    def unwrap(self, wrapped: bytes, aad: bytes) -> bytes:
        """Decrypts what `wrap` returned. Raises NotAuthentic."""
        return self.decrypt(wrapped[:NONCE_OCTETS], wrapped[NONCE_OCTETS:], aad)
