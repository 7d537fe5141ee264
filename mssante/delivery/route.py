"""The envelope of a queued message: its sender and recipients, sealed under the message's own key (DEK).

Whoever can write the database can make a DEK and seal it to the queue's public key. So an envelope has a
proof that our reception wrote it, with a key that is not in that database.

Invariants: nothing here can be read without the queue's key; the proof is of this message, content and DEK,
and whoever lacks the key makes none; a sealed envelope, address or reply cannot be
mistaken for one of the others; the first octet is the version of the layout (project format).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

import msgpack

from mssante.crypto import Dek, NotAuthentic, Purpose
from mssante.crypto.keys import mac
from mssante.model import Address, BlobId, Domain, Malformed, MessageId, PersonId

_ENVELOPE, _ADDRESS, _REPLY = b"\x01e", b"\x01a", b"\x01r"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The sender; two facts about the content: `size` in octets, and `eight_bit`, whether one of them is
    above 127; when the letter was queued, in Unix seconds; and the proof that we queued it (`route_proof`).
    The last two are None in a route of an earlier version."""

    sender: Address | None = field(repr=False)
    size: int
    eight_bit: bool
    queued_at: int | None
    proof: bytes | None = field(repr=False)

    def seal(self, dek: Dek, message: MessageId) -> bytes:
        sender = str(self.sender) if self.sender else ""
        packed: bytes = msgpack.packb((sender, self.size, self.eight_bit, self.queued_at, self.proof))
        return dek.seal(Purpose.ROUTE, message, _ENVELOPE + packed)

    @classmethod
    def open(cls, dek: Dek, message: MessageId, sealed: bytes) -> Route:
        """Raises NotAuthentic."""
        try:
            sender, size, eight_bit, *later = msgpack.unpackb(_opened(dek, message, sealed, _ENVELOPE))
            return cls(
                sender=Address.parse(sender) if sender else None,
                size=size,
                eight_bit=eight_bit,
                queued_at=later[0] if later else None,
                proof=later[1] if len(later) > 1 else None,
            )
        except (ValueError, TypeError, msgpack.UnpackException):  # Malformed is a ValueError
            raise NotAuthentic from None

    def proved(self, secret: bytes, dek: Dek, message: MessageId, blob: BlobId) -> bool:
        """Whether our reception queued this letter."""
        right = route_proof(secret, dek, message, blob)
        return isinstance(self.proof, bytes) and hmac.compare_digest(self.proof, right)


def route_proof(secret: bytes, dek: Dek, message: MessageId, blob: BlobId) -> bytes:
    """32 bytes that only who has `secret` can make. What else is sealed under this DEK (the recipients, the
    content) is ours then too, because nobody else ever had the DEK."""
    return mac(secret, b"queued\0" + message + blob + dek.derive("queued"))


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
    """32 bytes that are the same for all recipients of a domain. They do not reveal the domain to whoever
    lacks `secret`."""
    return mac(secret, b"destination\0" + domain.name.encode("ascii"))


def person_tag(secret: bytes, person: PersonId) -> bytes:
    """32 bytes that are the same for all that a person queues, and that tell nothing to whoever lacks
    `secret`."""
    return mac(secret, b"person\0" + person.encode())


def sender_tag(secret: bytes, sender: Address) -> bytes:
    """As `person_tag`, for all that is queued from one of our addresses."""
    return mac(secret, b"sender\0" + sender.key.encode("ascii"))


def _opened(dek: Dek, message: MessageId, sealed: bytes, kind: bytes) -> bytes:
    plaintext = dek.open(Purpose.ROUTE, message, sealed)
    if not plaintext.startswith(kind):
        raise NotAuthentic
    return plaintext[len(kind) :]
