"""What the broker signs of a mailbox: its address, its kind, and its public key in an epoch.

Whoever can write the mail database could otherwise put a key pair of their own there, or exchange two
addresses, and read what comes in from then on. Signatures are Ed25519 (RFC 8032). Invariants: the octets that
are signed name their purpose and version and can be read in one way only (each field has its length before
it); verifying needs no secret; a statement that does not verify raises.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mssante.crypto.envelope import PublicKey
from mssante.crypto.keys import LABEL_PREFIX, NotAuthentic
from mssante.limits import PUBLIC_KEYS_REMEMBERED_MAX
from mssante.model import Address, MailboxId, MailboxKind

_SIGNATURE_OCTETS = 64  # RFC 8032 §5.1.6
_PURPOSE = LABEL_PREFIX + b"mailbox\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxIdentity:
    """Which mailbox it is. `address` is None for the operator's outbox, and for nothing else: ValueError."""

    mailbox: MailboxId
    address: Address | None
    kind: MailboxKind

    def __post_init__(self) -> None:
        if (self.address is None) != (self.kind is MailboxKind.QUEUE):
            raise ValueError("an address for the outbox, or none for a mailbox")


@dataclass(frozen=True, slots=True)
class MailboxStatement:
    """That a mailbox is the one at its address, and that its letters are sealed to `key`."""

    identity: MailboxIdentity
    key: PublicKey

    def octets(self) -> bytes:
        """What is signed (project format, frozen in tests/vectors/statements-v1.json): "mssop/v1/mailbox\\0",
        then address, mailbox, kind, epoch (4), suite (2) and public key, each with its length (4) before it;
        numbers big-endian, no address for the outbox."""
        assert self.key.mailbox == self.identity.mailbox
        address = self.identity.address
        fields = (
            str(address).encode("ascii") if address is not None else b"",
            self.identity.mailbox,
            self.identity.kind.value.encode("ascii"),
            struct.pack(">I", self.key.epoch),
            struct.pack(">H", self.key.suite),
            self.key.public,
        )
        return _PURPOSE + b"".join(struct.pack(">I", len(each)) + each for each in fields)


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A statement and its signature, as they come out of the broker and go into the mail database."""

    statement: MailboxStatement
    signature: bytes = field(repr=False)


class StatementSigner:
    """The private half, which only the broker holds. It is made of 32 random bytes."""

    __slots__ = ("_private", "public")

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._private.public_key().public_bytes_raw()

    def sign(self, statement: MailboxStatement) -> SignedStatement:
        return SignedStatement(statement, self._private.sign(statement.octets()))

    def __repr__(self) -> str:
        return "StatementSigner(***)"


class StatementVerifier:
    """The verifying half, which is no secret. It remembers what it has verified, as a hash, so that a
    statement costs its 0.2 ms once and not for each letter."""

    __slots__ = ("_public", "_verified")

    def __init__(self, public: bytes) -> None:
        self._public = Ed25519PublicKey.from_public_bytes(public)
        self._verified: set[bytes] = set()

    def verify(self, signed: SignedStatement) -> None:
        """Raises NotAuthentic unless our broker signed exactly this."""
        if len(signed.signature) != _SIGNATURE_OCTETS:
            raise NotAuthentic
        octets = signed.statement.octets()
        mark = hashlib.sha256(signed.signature + octets).digest()
        if mark in self._verified:
            return
        try:
            self._public.verify(signed.signature, octets)
        except InvalidSignature:
            raise NotAuthentic from None
        if len(self._verified) >= PUBLIC_KEYS_REMEMBERED_MAX:
            self._verified.clear()
        self._verified.add(mark)
