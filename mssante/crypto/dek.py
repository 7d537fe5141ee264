"""The key of one message in one mailbox, and the metadata sealed under it.

Invariants: deleting a message's DEK makes its content and its header unreadable (its summary, which after
first use lies under the mailbox's ListingKey, goes with it: store.shredding); a metadata blob opens only
for its own message and purpose.
"""

from __future__ import annotations

from enum import StrEnum

from mssante.crypto.keys import KEY_OCTETS, LABEL_PREFIX, Cipher, NotAuthentic, derive, random_key
from mssante.model import MessageId


class Purpose(StrEnum):
    """What a metadata blob is for. The value is part of its key and of what it authenticates."""

    META = "meta"  # the summary: envelope, structure, exact size and date: what a listing needs
    HEADER = "header"  # the top header
    ROUTE = "route"  # who a queued message is from and to


class Dek:
    """32 random bytes behind a name that never shows them."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_OCTETS:
            raise NotAuthentic
        self._key = key

    @classmethod
    def draw(cls) -> Dek:
        return cls(random_key())

    @property
    def key(self) -> bytes:
        """The key itself, for `envelope` to seal."""
        return self._key

    def derive(self, label: str) -> bytes:
        """A key for one use of this DEK."""
        return derive(self._key, label)

    def seal(self, purpose: Purpose, message: MessageId, plaintext: bytes) -> bytes:
        """A metadata blob: 28 bytes longer than `plaintext`."""
        return Cipher(self.derive(purpose)).wrap(plaintext, _aad(purpose, message))

    def open(self, purpose: Purpose, message: MessageId, sealed: bytes) -> bytes:
        """Raises NotAuthentic."""
        return Cipher(self.derive(purpose)).unwrap(sealed, _aad(purpose, message))

    def __repr__(self) -> str:
        return "Dek(***)"

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled")


def _aad(purpose: Purpose, message: MessageId) -> bytes:
    return LABEL_PREFIX + purpose.encode() + message
