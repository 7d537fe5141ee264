"""The epochs of a mailbox: how their secrets are drawn, wrapped by the root key, and opened.

An epoch is one generation of a mailbox's keys; a rotation adds a new one. Invariants: the mailbox's key in an
epoch (MEK) is 32 random bytes; every other secret of the epoch is derived from it or wrapped by it; each wrap
is bound to its mailbox and epoch, that of the MEK also to its root key (docs/architecture.md, Keys).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from mssante.crypto.envelope import (
    ListingKey,
    PublicKey,
    SecretKey,
    Suite,
    WrappingKey,
    draw_key_pair,
    public_half,
)
from mssante.crypto.keys import LABEL_PREFIX, Cipher, NotAuthentic, derive, mac, random_key
from mssante.crypto.padding import padded, unpadded
from mssante.keys.root_key import RootKey
from mssante.model import MailboxId


@dataclass(frozen=True, slots=True)
class ClosedEpoch:
    """An epoch as the key store keeps it, with its secrets wrapped."""

    public: PublicKey
    rk_id: int
    wrapped_mek: bytes = field(repr=False)
    wrapped_kem_secret: bytes = field(repr=False)


class OpenEpoch:
    """The keys of one epoch. The HPKE secret is parsed when it is first needed."""

    __slots__ = ("_index", "_kem_secret", "_mek", "_names", "_public", "_tags", "listing", "wrapping")

    def __init__(self, public: PublicKey, mek: bytes, kem_secret: bytes) -> None:
        self._public = public
        self._mek = mek
        self._kem_secret: bytes | SecretKey = kem_secret
        self._index = Cipher(derive(mek, "index"))
        self._names = Cipher(derive(mek, "name"))
        self._tags = derive(mek, "name-tag")
        self.wrapping = WrappingKey(derive(mek, "wrap"), mailbox=public.mailbox, epoch=public.epoch)
        self.listing = ListingKey(derive(mek, "listing"), mailbox=public.mailbox, epoch=public.epoch)

    @property
    def secret(self) -> SecretKey:
        """The secret half of the HPKE key pair."""
        if isinstance(self._kem_secret, bytes):
            public = self._public
            self._kem_secret = SecretKey(
                mailbox=public.mailbox, epoch=public.epoch, suite=public.suite, secret=self._kem_secret
            )
        return self._kem_secret

    def require_public_half(self) -> None:
        """Raises NotAuthentic unless the public half belongs to the secret one. To be called before the
        secret is used: it is then kept in another form."""
        assert isinstance(self._kem_secret, bytes)
        if public_half(self._public.suite, self._kem_secret) != self._public.public:
            raise NotAuthentic

    def seal_name(self, kind: str, name: str) -> bytes:
        """The epoch's number (4), then the sealed name."""
        number = struct.pack(">I", self._public.epoch)
        return number + self._names.wrap(padded(name.encode()), self._name_aad(kind))

    def open_name(self, kind: str, sealed: bytes) -> str:
        """Raises NotAuthentic."""
        return unpadded(self._names.unwrap(sealed[4:], self._name_aad(kind))).decode()

    def name_tag(self, kind: str, name: str) -> bytes:
        """32 bytes, the same for the same kind and name. A unique index in the database holds them instead of
        the name."""
        return mac(self._tags, kind.encode() + b"\0" + name.encode())

    def seal_segment(self, id_: int, words: bytes) -> bytes:
        """Seals a segment of the search index, which then opens only under the same `id_` (63 bits)."""
        return self._index.wrap(padded(words), self._segment_aad(id_))

    def open_segment(self, id_: int, sealed: bytes) -> bytes:
        """Raises NotAuthentic."""
        return unpadded(self._index.unwrap(sealed, self._segment_aad(id_)))

    def _segment_aad(self, id_: int) -> bytes:
        return LABEL_PREFIX + b"index" + self._public.mailbox + struct.pack(">IQ", self._public.epoch, id_)

    def _name_aad(self, kind: str) -> bytes:
        place = self._public.mailbox + struct.pack(">I", self._public.epoch)
        return LABEL_PREFIX + b"name" + place + kind.encode()

    def __repr__(self) -> str:
        return f"OpenEpoch({self._public.epoch})"


def epoch_of_name(sealed: bytes) -> int:
    """Which epoch a sealed name belongs to. Raises NotAuthentic."""
    if len(sealed) < 4:
        raise NotAuthentic
    number: int = struct.unpack_from(">I", sealed)[0]
    return number


def draw_epoch(root: RootKey, mailbox: MailboxId, number: int) -> ClosedEpoch:
    """Draws the secrets of a new epoch and wraps them."""
    suite = Suite.MLKEM768_X25519
    mek = random_key()
    secret, public = draw_key_pair(suite)
    key = PublicKey(mailbox, number, suite, public)
    return ClosedEpoch(
        key,
        root.id,
        root.wrap(mek, _mek_aad(root.id, key)),
        Cipher(derive(mek, "wrap")).wrap(secret, _kem_aad(key)),
    )


def open_epoch(root: RootKey, closed: ClosedEpoch) -> OpenEpoch:
    """Raises NotAuthentic."""
    if closed.rk_id != root.id:
        raise NotAuthentic
    mek = root.unwrap(closed.wrapped_mek, _mek_aad(root.id, closed.public))
    secret = Cipher(derive(mek, "wrap")).unwrap(closed.wrapped_kem_secret, _kem_aad(closed.public))
    return OpenEpoch(closed.public, mek, secret)


def _mek_aad(rk_id: int, key: PublicKey) -> bytes:
    return LABEL_PREFIX + b"mek" + struct.pack(">I", rk_id) + key.mailbox + struct.pack(">I", key.epoch)


def _kem_aad(key: PublicKey) -> bytes:
    return LABEL_PREFIX + b"kem" + key.mailbox + struct.pack(">IH", key.epoch, key.suite)
