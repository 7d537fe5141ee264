"""Closing a message's DEK for a mailbox: sealed to its public key, later wrapped with a symmetric key.

Delivery knows only the public half of a mailbox's key pair, and seals the DEK to it (HPKE, RFC 9180). When a
person first opens the message, the DEK is wrapped again with a symmetric key of the mailbox, because that
opens a hundred times faster. The summary moves to the listing key for the same reason: a listing then needs
no DEK.

Invariants: delivery needs no secret key; the context binds version, purpose, suite, mailbox, epoch, message
and blob, so that a sealed key that was moved elsewhere does not open; the suite in use is the hybrid one
(ML-KEM-768 with X25519), because health data must stay secret for decades, also from a quantum computer.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from mssante.crypto.dek import Dek, Purpose
from mssante.crypto.keys import ID_OCTETS, Cipher, NotAuthentic
from mssante.crypto.padding import padded, unpadded
from mssante.limits import PUBLIC_KEYS_REMEMBERED_MAX
from mssante.model import BlobId, MailboxId, MessageId

_MLKEM768_PUBLIC_OCTETS = 1184  # FIPS 203 §8, table 3
_X25519_OCTETS = 32


class Suite(IntEnum):
    """The algorithms that close a DEK. The numbers are stored, so they never change their meaning."""

    X25519 = 1  # DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM
    MLKEM768_X25519 = 2  # the hybrid KEM, HKDF-SHA256, AES-256-GCM
    AES256_GCM = 256  # a symmetric wrap under the mailbox's own key


class EnvelopeForm(StrEnum):
    """SEALED to a public key at delivery; WRAPPED with the mailbox's symmetric key at first use."""

    SEALED = "sealed"
    WRAPPED = "wrapped"


# Looking up here saves a listing a microsecond for each call of an enum.
_SUITES = {suite.value: suite for suite in Suite}
_FORMS = {form.value: form for form in EnvelopeForm}


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A closed DEK, as it is stored beside its message."""

    epoch: int
    suite: Suite
    form: EnvelopeForm
    ciphertext: bytes = field(repr=False)

    @classmethod
    def stored(cls, epoch: int, suite: int, form: str, ciphertext: bytes) -> SealedKey:
        """Makes one from the columns of a row. If this program does not know its suite or form, the result
        opens nothing: that message cannot be read, but the listing around it can."""
        known_suite, known_form = _SUITES.get(suite), _FORMS.get(form)
        if known_suite is None or known_form is None:
            return cls(-1, Suite.AES256_GCM, EnvelopeForm.WRAPPED, b"")
        return cls(epoch, known_suite, known_form, ciphertext)


@dataclass(frozen=True, slots=True)
class Closed:
    """A message's DEK and summary, closed for one mailbox. The summary is sealed under the ListingKey of the
    epoch `listing_epoch`; if that is None, under the DEK, as delivery leaves it."""

    key: SealedKey
    summary_ct: bytes = field(repr=False)
    listing_epoch: int | None


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of a mailbox's key pair in one epoch, which is all that delivery needs. `public` is the
    raw bytes."""

    mailbox: MailboxId
    epoch: int
    suite: Suite
    public: bytes = field(repr=False)

    def closed(self, message: MessageId, blob: BlobId, dek: Dek, summary: bytes) -> Closed:
        """Closes a DEK and a summary so that only the mailbox's secret half opens them."""
        sealed = dek.seal(Purpose.META, message, summary)
        return Closed(seal_dek(self, message, blob, dek), sealed, None)


def context(
    purpose: str, *, suite: int, mailbox: MailboxId, epoch: int, message: MessageId, blob: BlobId
) -> bytes:
    """The bytes that a closed DEK is bound to: "mssop/v1\\0" ‖ len(purpose) ‖ purpose ‖ suite (2) ‖
    mailbox (16) ‖ epoch (4) ‖ message (16) ‖ blob (16), with numbers big-endian."""
    return _place(_context_of_epoch(purpose, suite=suite, mailbox=mailbox, epoch=epoch), message, blob)


def _context_of_epoch(purpose: str, *, suite: int, mailbox: MailboxId, epoch: int) -> bytes:
    assert len(mailbox) == ID_OCTETS
    purposed = bytes((len(purpose),)) + purpose.encode()
    return b"mssop/v1\0" + purposed + struct.pack(">H", suite) + mailbox + struct.pack(">I", epoch)


def _place(context_of_epoch: bytes, message: MessageId, blob: BlobId) -> bytes:
    assert len(message) == len(blob) == ID_OCTETS  # otherwise two places could give the same bytes
    return context_of_epoch + message + blob


def draw_key_pair(suite: Suite = Suite.MLKEM768_X25519) -> tuple[bytes, bytes]:
    """A new key pair as raw (secret, public). In the hybrid suite, secret = X25519 (32) ‖ ML-KEM seed (64)
    and public = ML-KEM (1184) ‖ X25519 (32)."""
    secret = X25519PrivateKey.generate().private_bytes_raw()
    if suite is Suite.MLKEM768_X25519:
        secret += MLKEM768PrivateKey.generate().private_bytes_raw()
    return secret, raw_public_of(suite, secret)


def raw_public_of(suite: Suite, secret: bytes) -> bytes:
    """The public half of a key pair, raw, from its raw secret half."""
    public = X25519PrivateKey.from_private_bytes(secret[:_X25519_OCTETS]).public_key().public_bytes_raw()
    if suite is Suite.X25519:
        return public
    lattice = MLKEM768PrivateKey.from_seed_bytes(secret[_X25519_OCTETS:])
    return lattice.public_key().public_bytes_raw() + public


def public_half(suite: Suite, secret: bytes) -> bytes:
    """The public half of a secret that `draw_key_pair` drew. Raises NotAuthentic."""
    try:
        public = X25519PrivateKey.from_private_bytes(secret[:_X25519_OCTETS]).public_key().public_bytes_raw()
        if suite is Suite.MLKEM768_X25519:
            lattice = MLKEM768PrivateKey.from_seed_bytes(secret[_X25519_OCTETS:])
            return lattice.public_key().public_bytes_raw() + public
    except ValueError:
        raise NotAuthentic from None
    return public


def seal_dek(key: PublicKey, message: MessageId, blob: BlobId, dek: Dek) -> SealedKey:
    """Seals a DEK so that only the mailbox's secret half opens it. Takes 0.1 ms."""
    info = context("dek", suite=key.suite, mailbox=key.mailbox, epoch=key.epoch, message=message, blob=blob)
    ciphertext = hpke_of(key.suite).encrypt(dek.key, public_of(key.suite, key.public), info)
    return SealedKey(key.epoch, key.suite, EnvelopeForm.SEALED, ciphertext)


class SecretKey:
    """The secret half of a mailbox's key pair in one epoch, parsed once."""

    __slots__ = ("_epoch", "_mailbox", "_private", "_suite")

    def __init__(self, *, mailbox: MailboxId, epoch: int, suite: Suite, secret: bytes) -> None:
        self._mailbox = mailbox
        self._epoch = epoch
        self._suite = suite
        self._private = private_of(suite, secret)

    def open_dek(self, message: MessageId, blob: BlobId, sealed: SealedKey) -> Dek:
        """Opens what `seal_dek` made. Takes 0.1 ms. Raises NotAuthentic."""
        if (
            sealed.form is not EnvelopeForm.SEALED
            or sealed.suite is not self._suite
            or sealed.epoch != self._epoch
        ):
            raise NotAuthentic
        info = context(
            "dek", suite=self._suite, mailbox=self._mailbox, epoch=self._epoch, message=message, blob=blob
        )
        try:
            return Dek(hpke_of(self._suite).decrypt(sealed.ciphertext, self._private, info))
        except (InvalidTag, ValueError):
            raise NotAuthentic from None

    def __repr__(self) -> str:
        return "SecretKey(***)"


class WrappingKey:
    """The symmetric key K_wrap of a mailbox in one epoch. A DEK wrapped with it opens in a microsecond."""

    __slots__ = ("_cipher", "_context", "_epoch")

    def __init__(self, key: bytes, *, mailbox: MailboxId, epoch: int) -> None:
        self._cipher = Cipher(key)
        self._epoch = epoch
        self._context = _context_of_epoch("dek", suite=Suite.AES256_GCM, mailbox=mailbox, epoch=epoch)

    def wrap_dek(self, message: MessageId, blob: BlobId, dek: Dek) -> SealedKey:
        wrapped = self._cipher.wrap(dek.key, _place(self._context, message, blob))
        return SealedKey(self._epoch, Suite.AES256_GCM, EnvelopeForm.WRAPPED, wrapped)

    def unwrap_dek(self, message: MessageId, blob: BlobId, wrapped: SealedKey) -> Dek:
        """Raises NotAuthentic."""
        if (wrapped.form, wrapped.suite, wrapped.epoch) != (
            EnvelopeForm.WRAPPED,
            Suite.AES256_GCM,
            self._epoch,
        ):
            raise NotAuthentic
        return Dek(self._cipher.unwrap(wrapped.ciphertext, _place(self._context, message, blob)))

    def __repr__(self) -> str:
        return "WrappingKey(***)"


class ListingKey:
    """The symmetric key K_listing of a mailbox in one epoch. A summary sealed under it opens in two
    microseconds, without its DEK. That happens at first use; the summary is deleted together with the DEK."""

    __slots__ = ("_cipher", "_context")

    def __init__(self, key: bytes, *, mailbox: MailboxId, epoch: int) -> None:
        self._cipher = Cipher(key)
        self._context = _context_of_epoch("listing", suite=Suite.AES256_GCM, mailbox=mailbox, epoch=epoch)

    def seal(self, message: MessageId, blob: BlobId, summary: bytes) -> bytes:
        """Seals a summary, padded: the result's length tells its class only."""
        return self._cipher.wrap(padded(summary), _place(self._context, message, blob))

    def open(self, message: MessageId, blob: BlobId, sealed: bytes) -> bytes:
        """Raises NotAuthentic."""
        return unpadded(self._cipher.unwrap(sealed, _place(self._context, message, blob)))

    def __repr__(self) -> str:
        return "ListingKey(***)"


def private_of(suite: Suite, secret: bytes) -> X25519PrivateKey | hpke.MLKEM768X25519PrivateKey:
    """The key of raw bytes as `draw_key_pair` made them."""
    classical = X25519PrivateKey.from_private_bytes(secret[:_X25519_OCTETS])
    if suite is Suite.X25519:
        return classical
    lattice = MLKEM768PrivateKey.from_seed_bytes(secret[_X25519_OCTETS:])
    return hpke.MLKEM768X25519PrivateKey(lattice, classical)


@lru_cache(maxsize=4)
def hpke_of(suite: Suite) -> hpke.Suite:
    kem = hpke.KEM.MLKEM768_X25519 if suite is Suite.MLKEM768_X25519 else hpke.KEM.X25519
    return hpke.Suite(kem, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


@lru_cache(maxsize=PUBLIC_KEYS_REMEMBERED_MAX)
def public_of(suite: Suite, public: bytes) -> X25519PublicKey | hpke.MLKEM768X25519PublicKey:
    """The key of raw bytes as `draw_key_pair` made them."""
    classical = X25519PublicKey.from_public_bytes(public[-_X25519_OCTETS:])
    if suite is Suite.X25519:
        return classical
    lattice = MLKEM768PublicKey.from_public_bytes(public[:_MLKEM768_PUBLIC_OCTETS])
    return hpke.MLKEM768X25519PublicKey(lattice, classical)
