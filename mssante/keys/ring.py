"""The ring: what a person gets when a mailbox is opened for them, and what opens its keys while access lasts.

Invariants: a ring that is not alive opens nothing; it never shows a mailbox's key; the ring of a mailbox
opens only what was sealed for that mailbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mssante.clock import Clock
from mssante.crypto.dek import Dek, Purpose
from mssante.crypto.envelope import Closed, EnvelopeForm, SealedKey
from mssante.crypto.keys import NotAuthentic
from mssante.keys.epochs import OpenEpoch, epoch_of_name
from mssante.limits import KEYS_OPENED_INLINE_MAX, KEYS_UNWRAPPED_INLINE_MAX
from mssante.model import BlobId, MailboxId, MessageId, PersonId
from mssante.reasons import Reason, Refused


class Role(StrEnum):
    """FULL may do everything that an owner may; READ may change nothing."""

    FULL = "full"
    READ = "read"


class SignIn:
    """Proof that a person gave the right password. Only the broker that made it accepts it."""

    __slots__ = ("__weakref__", "alive", "evidence", "person")

    def __init__(self, person: PersonId, *, evidence: str) -> None:
        self.person = person
        self.alive = True
        self.evidence = evidence  # the stored hash that the password was checked with

    def __repr__(self) -> str:
        return f"SignIn({self.person!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One person's access to one mailbox, from `since` (included) to `until` (excluded, None: no end)."""

    person: PersonId
    mailbox: MailboxId
    role: Role
    since: datetime
    until: datetime | None

    def in_force(self, now: datetime) -> bool:
        return self.since <= now and not self.over(now)

    def over(self, now: datetime) -> bool:
        """Whether it had an end, which has come."""
        return self.until is not None and self.until <= now


class Ring:
    """The keys of one open mailbox, usable as long as it is `alive`."""

    __slots__ = (
        "__weakref__",
        "_clock",
        "_ended",
        "_epochs",
        "_login",
        "_newest",
        "grant",
        "mailbox",
        "role",
    )

    def __init__(
        self,
        mailbox: MailboxId,
        epochs: Mapping[int, OpenEpoch],
        *,
        clock: Clock,
        login: SignIn | None,
        grant: Grant | None,
    ) -> None:
        self.mailbox = mailbox
        self.grant = grant
        self.role = grant.role if grant else Role.FULL
        self._epochs = dict(epochs)
        self._newest = max(self._epochs)
        self._clock = clock
        self._login = login
        self._ended = False

    @property
    def person(self) -> PersonId | None:
        """The person who holds it; None for the operator's own outbox."""
        return self._login.person if self._login else None

    @property
    def alive(self) -> bool:
        """False once the access was revoked or has expired, or the password has changed. Sessions check it
        before each command, and end when it is False."""
        return (
            not self._ended
            and (self._login is None or self._login.alive)
            and (self.grant is None or self.grant.until is None or not self.grant.over(self._clock.now()))
        )

    def unwrap(self, message: MessageId, blob: BlobId, key: SealedKey) -> Dek:
        """Opens a DEK in either form. Raises NotAuthentic, or Refused(NOT_PERMITTED) when not alive."""
        self._require_alive()
        return self._opened(message, blob, key)

    async def unwrap_many(self, keys: Sequence[tuple[MessageId, BlobId, SealedKey]]) -> list[Dek | None]:
        """As `unwrap`, for many messages. Returns None where a key does not open, so that one damaged message
        does not hide the others. Works in a thread when there are many, to keep the event loop free."""
        self._require_alive()
        sealed = sum(1 for _, _, key in keys if key.form is EnvelopeForm.SEALED)
        if sealed <= KEYS_OPENED_INLINE_MAX and len(keys) <= KEYS_UNWRAPPED_INLINE_MAX:
            return self._opened_each(keys)
        return await asyncio.to_thread(self._opened_each, keys)

    def closed(self, message: MessageId, blob: BlobId, dek: Dek, summary: bytes) -> Closed:
        """Closes a DEK and a summary in the form that a session can open quickly: the DEK under the mailbox's
        own key, which opens it a hundred times faster than HPKE, and the summary under the listing key, which
        needs no DEK."""
        self._require_alive()
        epoch = self._epochs[self._newest]
        sealed = epoch.listing.seal(message, blob, summary)
        return Closed(epoch.wrapping.wrap_dek(message, blob, dek), sealed, self._newest)

    def open_summaries(self, sealed: Iterable[tuple[MessageId, BlobId, int, bytes]]) -> list[bytes | None]:
        """Opens summaries that are under listing keys, given as (message, blob, epoch, ciphertext). Returns
        None where one does not open. Raises Refused(NOT_PERMITTED) when not alive."""
        self._require_alive()
        opened: list[bytes | None] = []
        for message, blob, epoch, ciphertext in sealed:
            try:
                opened.append(self._epochs[epoch].listing.open(message, blob, ciphertext))
            except (KeyError, NotAuthentic):
                opened.append(None)
        return opened

    async def first_use(
        self, sealed: Sequence[tuple[MessageId, BlobId, SealedKey, bytes]]
    ) -> list[tuple[bytes, Closed] | None]:
        """Opens summaries as delivery left them, given as (message, blob, sealed DEK, ciphertext). Returns
        each together with the form to keep from now on, or None where one does not open. Works in a thread
        when there are many, to keep the event loop free."""
        self._require_alive()
        if len(sealed) <= KEYS_OPENED_INLINE_MAX:
            return self._first_use_of_each(sealed)
        return await asyncio.to_thread(self._first_use_of_each, sealed)

    def seal_name(self, kind: str, name: str) -> bytes:
        """Seals the name of a folder or of a keyword; `kind` says which, and keeps the two apart."""
        self._require_alive()
        return self._epochs[self._newest].seal_name(kind, name)

    def open_name(self, kind: str, sealed: bytes) -> str:
        """Raises NotAuthentic."""
        self._require_alive()
        return self._epoch(epoch_of_name(sealed)).open_name(kind, sealed)

    def name_tag(self, kind: str, name: str) -> bytes:
        """32 bytes that are equal for equal names of a mailbox (in one epoch) and reveal nothing else."""
        self._require_alive()
        return self._epochs[self._newest].name_tag(kind, name)

    @property
    def newest_epoch(self) -> int:
        """The number of the epoch whose keys seal what is sealed now."""
        return self._newest

    def seal_segment(self, id_: int, words: bytes) -> bytes:
        """Seals a segment of the search index in the newest epoch."""
        self._require_alive()
        return self._epochs[self._newest].seal_segment(id_, words)

    def open_segment(self, id_: int, epoch: int, sealed: bytes) -> bytes:
        """Raises NotAuthentic."""
        self._require_alive()
        return self._epoch(epoch).open_segment(id_, sealed)

    def close(self) -> None:
        """Ends the ring and forgets its keys."""
        self._ended = True
        self._epochs.clear()

    def _require_alive(self) -> None:
        if not self.alive:
            raise Refused(Reason.NOT_PERMITTED, "access ended")

    def _epoch(self, number: int) -> OpenEpoch:
        try:
            return self._epochs[number]
        except KeyError:
            raise NotAuthentic from None

    def _opened(self, message: MessageId, blob: BlobId, key: SealedKey) -> Dek:
        epoch = self._epoch(key.epoch)
        if key.form is EnvelopeForm.WRAPPED:
            return epoch.wrapping.unwrap_dek(message, blob, key)
        return epoch.secret.open_dek(message, blob, key)

    def _first_use_of_each(
        self, sealed: Sequence[tuple[MessageId, BlobId, SealedKey, bytes]]
    ) -> list[tuple[bytes, Closed] | None]:
        opened: list[tuple[bytes, Closed] | None] = []
        for message, blob, key, ciphertext in sealed:
            try:
                dek = self._opened(message, blob, key)
                summary = dek.open(Purpose.META, message, ciphertext)
                opened.append((summary, self.closed(message, blob, dek, summary)))
            except NotAuthentic:
                opened.append(None)
        return opened

    def _opened_each(self, keys: Sequence[tuple[MessageId, BlobId, SealedKey]]) -> list[Dek | None]:
        opened: list[Dek | None] = []
        for message, blob, key in keys:
            try:
                opened.append(self._opened(message, blob, key))
            except NotAuthentic:
                opened.append(None)
        return opened

    def __repr__(self) -> str:
        return f"Ring({self.mailbox.hex()}, {self.role})"

    def __reduce__(self) -> str:
        raise TypeError("keys are not pickled")
