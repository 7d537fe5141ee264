"""What a queued message is about besides its content: sender and recipients, sealed under the message's DEK.

Invariants: nothing here is readable without the queue's key; an envelope, an address and a reply are never
taken for each other; the layout (project format) is versioned by its first octet.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgpack

from mssante.crypto import Dek, NotAuthentic, Purpose
from mssante.crypto.keys import mac
from mssante.model import Address, Domain, Malformed, MessageId

_ENVELOPE, _ADDRESS, _REPLY = b"\x01e", b"\x01a", b"\x01r"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`size` in octets of the content, `eight_bit` whether one of them is above 127."""

    sender: Address | None = field(repr=False)
    size: int
    eight_bit: bool

    def seal(self, dek: Dek, message: MessageId) -> bytes:
        sender = str(self.sender) if self.sender else ""
        packed: bytes = msgpack.packb((sender, self.size, self.eight_bit))
        return dek.seal(Purpose.ROUTE, message, _ENVELOPE + packed)

    @classmethod
    def open(cls, dek: Dek, message: MessageId, sealed: bytes) -> Route:
        """Raises NotAuthentic."""
        try:
            sender, size, eight_bit = msgpack.unpackb(_opened(dek, message, sealed, _ENVELOPE))
            return cls(sender=Address.parse(sender) if sender else None, size=size, eight_bit=eight_bit)
        except (ValueError, TypeError, msgpack.UnpackException):  # Malformed is a ValueError
            raise NotAuthentic from None


def seal_address(dek: Dek, message: MessageId, address: Address) -> bytes:
    return dek.seal(Purpose.ROUTE, message, _ADDRESS + str(address).encode("ascii"))


def open_address(dek: Dek, message: MessageId, sealed: bytes) -> Address:
    """Raises NotAuthentic."""
    try:
        return Address.parse(_opened(dek, message, sealed, _ADDRESS).decode("ascii"))
    except (Malformed, UnicodeDecodeError):
        raise NotAuthentic from None


def seal_reply(dek: Dek, message: MessageId, reply: str) -> bytes:
    return dek.seal(Purpose.ROUTE, message, _REPLY + reply.encode())


def destination_tag(secret: bytes, domain: Domain) -> bytes:
    """32 bytes that group the recipients of one domain and, without `secret`, do not tell which."""
    return mac(secret, b"destination\0" + domain.name.encode("ascii"))


def _opened(dek: Dek, message: MessageId, sealed: bytes, kind: bytes) -> bytes:
    plaintext = dek.open(Purpose.ROUTE, message, sealed)
    if not plaintext.startswith(kind):
        raise NotAuthentic
    return plaintext[len(kind) :]
