"""The DEK (data encryption key): the key of one message in one mailbox, and the metadata sealed under it.

Invariants: without its DEK nobody can read a message's content and header, so deleting the DEK shreds them
(the summary, which is under the mailbox's ListingKey after first use, is deleted with it: store.shredding); a
sealed piece of metadata opens only for its own message and purpose.
"""

from __future__ import annotations

from enum import StrEnum

from mssante.crypto.keys import KEY_OCTETS, LABEL_PREFIX, Cipher, NotAuthentic, derive, random_key
from mssante.crypto.padding import padded, unpadded
from mssante.model import MessageId


class Purpose(StrEnum):
    """What a sealed piece of metadata is for. The value is part of its key and of what is authenticated."""

    META = "meta"  # the summary, for listings: envelope, structure, exact size and date
    HEADER = "header"  # the top header
    ROUTE = "route"  # the sender and recipients of a queued message


class Dek:
    """A key of 32 random bytes. Its repr does not show them, and it cannot be pickled."""

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
        """Seals a piece of metadata, padded: the result's length tells its class only."""
        return Cipher(self.derive(purpose)).wrap(padded(plaintext), _aad(purpose, message))

    def open(self, purpose: Purpose, message: MessageId, sealed: bytes) -> bytes:
        """Opens what `seal` made for the same purpose and message. Raises NotAuthentic."""
        return unpadded(Cipher(self.derive(purpose)).unwrap(sealed, _aad(purpose, message)))

    def __repr__(self) -> str:
        return "Dek(***)"

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled")


def _aad(purpose: Purpose, message: MessageId) -> bytes:
    return LABEL_PREFIX + purpose.encode() + message
