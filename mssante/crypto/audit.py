"""Sealing what the journal tells, so that whoever writes it down cannot read it back later.

A process that receives mail has the public half of the audit key. With it the process seals a data key of its
own, once a day, and with that data key each line of the journal: an HPKE for every line would cost as much
as sealing a whole letter's key. Only the broker, which has the root key, gets the secret half.

Invariants: a line opens only in its mailbox, under its number; of a line, the length tells a class only,
and the same one whoever brought the letter; what a process still holds is the data key of the day, in memory,
and so nothing that was written on another day or by another process.
Format of a line: form (1) ‖ nonce (12) ‖ ciphertext of the padded text ‖ tag (16). Text: Unix seconds (8,
big-endian), then the detail in UTF-8.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from cryptography.exceptions import InvalidTag

from mssante.crypto.envelope import Suite, hpke_of, private_of, public_of, raw_public_of
from mssante.crypto.keys import LABEL_PREFIX, Cipher, NotAuthentic, derive, random_id, random_key
from mssante.crypto.padding import padded, unpadded
from mssante.limits import PADDING_STEP_OF_DETAIL
from mssante.model import MailboxId

_SUITE = Suite.MLKEM768_X25519
_SECONDS = struct.Struct(">q")
_PLACE = struct.Struct(">B16sQ")
_SEED_LABELS = ("audit-x25519", "audit-mlkem-d", "audit-mlkem-z")


class LineForm(IntEnum):
    """Which hash a sealed line of the journal has (store.chain). The numbers are stored."""

    SEALED = 1  # the hash covers the sealed octets: it can be checked without the audit key
    SEALED_LATER = 2  # written in clear by an earlier version: the hash covers the clear text inside


class LineText(NamedTuple):
    """What is sealed of a line: when it was written, to the second, and its detail (JSON)."""

    at: int
    detail: str


@dataclass(frozen=True, slots=True)
class SealedLineKey:
    """A data key as it is stored. `id` is a random number of 63 bits."""

    id: int
    suite: int
    ciphertext: bytes = field(repr=False)


class LineKey:
    """A data key: seals the lines of one process and day."""

    __slots__ = ("_cipher", "id")

    def __init__(self, id_: int, key: bytes) -> None:
        self.id = id_
        self._cipher = Cipher(key)

    def seal(self, form: LineForm, mailbox: MailboxId, n: int, text: LineText) -> bytes:
        """Seals what the line number `n` of a mailbox's journal tells."""
        octets = padded(_SECONDS.pack(text.at) + text.detail.encode(), PADDING_STEP_OF_DETAIL)
        return bytes((form,)) + self._cipher.wrap(octets, _place(form, mailbox, n))

    def open(self, mailbox: MailboxId, n: int, sealed: bytes) -> LineText:
        """Raises NotAuthentic."""
        if not sealed:
            raise NotAuthentic
        octets = unpadded(self._cipher.unwrap(sealed[1:], _place(sealed[0], mailbox, n)))
        return LineText(_SECONDS.unpack_from(octets)[0], octets[_SECONDS.size :].decode())

    def __repr__(self) -> str:
        return f"LineKey({self.id})"

    def __reduce__(self) -> str:
        raise TypeError("keys are not pickled")


@dataclass(frozen=True, slots=True)
class AuditPublicKey:
    """The half that seals: `public` is the raw bytes."""

    public: bytes = field(repr=False)

    def draw(self) -> tuple[LineKey, SealedLineKey]:
        """A new data key, and what is stored of it. Takes 0.1 ms."""
        key, id_ = random_key(), int.from_bytes(random_id()[:8], "big") >> 1
        sealed = hpke_of(_SUITE).encrypt(key, public_of(_SUITE, self.public), _info(id_))
        return LineKey(id_, key), SealedLineKey(id_, _SUITE, sealed)


class AuditSecretKey:
    """The half that opens. It is derived from a seed of 32 random octets, which the key store keeps wrapped
    by the root key."""

    __slots__ = ("_private", "public")

    def __init__(self, seed: bytes) -> None:
        secret = b"".join(derive(seed, label) for label in _SEED_LABELS)
        self._private = private_of(_SUITE, secret)
        self.public = AuditPublicKey(raw_public_of(_SUITE, secret))

    def open(self, sealed: SealedLineKey) -> LineKey:
        """Raises NotAuthentic."""
        if sealed.suite != _SUITE:
            raise NotAuthentic
        try:
            key = hpke_of(_SUITE).decrypt(sealed.ciphertext, self._private, _info(sealed.id))
        except (InvalidTag, ValueError):
            raise NotAuthentic from None
        return LineKey(sealed.id, key)

    def __repr__(self) -> str:
        return "AuditSecretKey(***)"

    def __reduce__(self) -> str:
        raise TypeError("keys are not pickled")


def _info(id_: int) -> bytes:
    return LABEL_PREFIX + b"audit-key" + struct.pack(">HQ", _SUITE, id_)


def _place(form: int, mailbox: MailboxId, n: int) -> bytes:
    return LABEL_PREFIX + b"journal" + _PLACE.pack(form, mailbox, n)
