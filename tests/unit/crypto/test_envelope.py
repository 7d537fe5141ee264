"""What is sealed opens at its own place and nowhere else (K1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.crypto import Dek, EnvelopeForm, NotAuthentic, PublicKey, Purpose, SealedKey, Suite, seal_dek
from mssante.crypto.envelope import ListingKey, SecretKey, WrappingKey, draw_key_pair
from mssante.crypto.keys import random_id, random_key
from mssante.model import BlobId, MailboxId, MessageId

MAILBOX, OTHER = MailboxId(b"A" * 16), MailboxId(b"B" * 16)
MESSAGE, BLOB = MessageId(b"m" * 16), BlobId(b"b" * 16)
SUITES = [Suite.X25519, Suite.MLKEM768_X25519]


@pytest.mark.parametrize("suite", SUITES)
def test_a_sealed_dek_opens_with_the_secret_half(suite: Suite) -> None:
    secret, public = draw_key_pair(suite)
    dek = Dek.draw()
    sealed = seal_dek(PublicKey(MAILBOX, 1, suite, public), MESSAGE, BLOB, dek)
    assert (sealed.epoch, sealed.suite, sealed.form) == (1, suite, EnvelopeForm.SEALED)
    assert len(sealed.ciphertext) == {Suite.X25519: 80, Suite.MLKEM768_X25519: 1168}[suite]
    key = SecretKey(mailbox=MAILBOX, epoch=1, suite=suite, secret=secret)
    assert key.open_dek(MESSAGE, BLOB, sealed).key == dek.key


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("moved", ["mailbox", "epoch", "message", "blob", "form", "key"])
def test_a_sealed_dek_moved_elsewhere_does_not_open(suite: Suite, moved: str) -> None:
    secret, public = draw_key_pair(suite)
    sealed = seal_dek(PublicKey(MAILBOX, 1, suite, public), MESSAGE, BLOB, Dek.draw())
    if moved == "key":
        secret, _ = draw_key_pair(suite)
    if moved == "form":
        sealed = dataclasses.replace(sealed, form=EnvelopeForm.WRAPPED)
    epoch = 2 if moved == "epoch" else 1
    if moved == "epoch":
        sealed = dataclasses.replace(sealed, epoch=2)
    key = SecretKey(mailbox=OTHER if moved == "mailbox" else MAILBOX, epoch=epoch, suite=suite, secret=secret)
    message = MessageId(random_id()) if moved == "message" else MESSAGE
    blob = BlobId(random_id()) if moved == "blob" else BLOB
    with pytest.raises(NotAuthentic):
        key.open_dek(message, blob, sealed)


def test_a_sealed_dek_is_not_taken_for_one_of_the_other_suite() -> None:
    secret, public = draw_key_pair(Suite.MLKEM768_X25519)
    sealed = seal_dek(PublicKey(MAILBOX, 1, Suite.MLKEM768_X25519, public), MESSAGE, BLOB, Dek.draw())
    downgraded = SecretKey(mailbox=MAILBOX, epoch=1, suite=Suite.X25519, secret=secret[:32])
    for claimed in SUITES:
        with pytest.raises(NotAuthentic):
            downgraded.open_dek(MESSAGE, BLOB, dataclasses.replace(sealed, suite=claimed))


def test_a_row_that_claims_another_epoch_does_not_open() -> None:
    claimed = dataclasses.replace(SEALED, epoch=2)
    with pytest.raises(NotAuthentic):
        SECRET.open_dek(MESSAGE, BLOB, claimed)
    wrapping = WrappingKey(random_key(), mailbox=MAILBOX, epoch=1)
    wrapped = dataclasses.replace(wrapping.wrap_dek(MESSAGE, BLOB, Dek.draw()), epoch=2)
    with pytest.raises(NotAuthentic):
        wrapping.unwrap_dek(MESSAGE, BLOB, wrapped)


@pytest.mark.parametrize("moved", ["mailbox", "epoch", "message", "blob", "form", "key"])
def test_a_wrapped_dek_moved_elsewhere_does_not_open(moved: str) -> None:
    key = random_key()
    wrapped = WrappingKey(key, mailbox=MAILBOX, epoch=1).wrap_dek(MESSAGE, BLOB, Dek.draw())
    if moved == "form":
        wrapped = dataclasses.replace(wrapped, form=EnvelopeForm.SEALED)
    if moved == "epoch":
        wrapped = dataclasses.replace(wrapped, epoch=2)
    opener = WrappingKey(
        random_key() if moved == "key" else key,
        mailbox=OTHER if moved == "mailbox" else MAILBOX,
        epoch=2 if moved == "epoch" else 1,
    )
    message = MessageId(random_id()) if moved == "message" else MESSAGE
    blob = BlobId(random_id()) if moved == "blob" else BLOB
    with pytest.raises(NotAuthentic):
        opener.unwrap_dek(message, blob, wrapped)


@pytest.mark.parametrize("moved", ["mailbox", "epoch", "message", "blob", "key"])
def test_a_listed_summary_moved_elsewhere_does_not_open(moved: str) -> None:
    key = random_key()
    sealed = ListingKey(key, mailbox=MAILBOX, epoch=1).seal(MESSAGE, BLOB, b"summary")
    assert ListingKey(key, mailbox=MAILBOX, epoch=1).open(MESSAGE, BLOB, sealed) == b"summary"
    opener = ListingKey(
        random_key() if moved == "key" else key,
        mailbox=OTHER if moved == "mailbox" else MAILBOX,
        epoch=2 if moved == "epoch" else 1,
    )
    message = MessageId(random_id()) if moved == "message" else MESSAGE
    blob = BlobId(random_id()) if moved == "blob" else BLOB
    with pytest.raises(NotAuthentic):
        opener.open(message, blob, sealed)


def test_a_listed_summary_is_not_taken_for_a_key() -> None:
    key, dek = random_key(), Dek.draw()
    sealed = ListingKey(key, mailbox=MAILBOX, epoch=1).seal(MESSAGE, BLOB, dek.key)
    wrapped = SealedKey(1, Suite.AES256_GCM, EnvelopeForm.WRAPPED, sealed)
    with pytest.raises(NotAuthentic):
        WrappingKey(key, mailbox=MAILBOX, epoch=1).unwrap_dek(MESSAGE, BLOB, wrapped)


@pytest.mark.parametrize("claimed", list(Purpose))
@pytest.mark.parametrize("sealed_for", list(Purpose))
def test_metadata_opens_for_its_own_purpose_message_and_key(sealed_for: Purpose, claimed: Purpose) -> None:
    dek = Dek.draw()
    blob = dek.seal(sealed_for, MESSAGE, b"Subject: x")
    if claimed is sealed_for:
        assert dek.open(claimed, MESSAGE, blob) == b"Subject: x"
    else:
        with pytest.raises(NotAuthentic):
            dek.open(claimed, MESSAGE, blob)
    wrongs: list[Callable[[], bytes]] = [
        lambda: dek.open(sealed_for, MessageId(random_id()), blob),
        lambda: Dek.draw().open(sealed_for, MESSAGE, blob),
    ]
    for wrong in wrongs:
        with pytest.raises(NotAuthentic):
            wrong()


def _opened_metadata(dek: Dek, blob: bytes) -> object:
    return dek.open(Purpose.META, MESSAGE, blob)


@settings(max_examples=200)
@given(data=st.data())
def test_any_change_to_a_wrap_is_found(data: st.DataObject) -> None:
    dek, key = Dek.draw(), random_key()
    wrapping = WrappingKey(key, mailbox=MAILBOX, epoch=1)
    openers: list[tuple[bytes, Callable[[bytes], object]]] = [
        (dek.seal(Purpose.META, MESSAGE, b"x" * 40), lambda b: _opened_metadata(dek, b)),
        (
            wrapping.wrap_dek(MESSAGE, BLOB, dek).ciphertext,
            lambda b: wrapping.unwrap_dek(
                MESSAGE, BLOB, SealedKey(1, Suite.AES256_GCM, EnvelopeForm.WRAPPED, b)
            ),
        ),
    ]
    listing = ListingKey(key, mailbox=MAILBOX, epoch=1)
    openers.append((listing.seal(MESSAGE, BLOB, b"x" * 40), lambda b: listing.open(MESSAGE, BLOB, b)))
    blob, opener = data.draw(st.sampled_from(openers))
    bit = data.draw(st.integers(0, len(blob) * 8 - 1))
    flipped = bytearray(blob)
    flipped[bit // 8] ^= 1 << bit % 8
    cut = data.draw(st.integers(0, len(blob) - 1))
    for bad in (bytes(flipped), blob[:cut], blob + b"\0", b""):
        with pytest.raises(NotAuthentic):
            opener(bad)


@settings(max_examples=60)
@given(bit=st.integers(0, 1168 * 8 - 1))
def test_any_bit_of_a_hybrid_seal_counts(bit: int) -> None:
    sealed = SEALED
    flipped = bytearray(sealed.ciphertext)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(NotAuthentic):
        SECRET.open_dek(MESSAGE, BLOB, dataclasses.replace(sealed, ciphertext=bytes(flipped)))


_SECRET, _PUBLIC = draw_key_pair()
SECRET = SecretKey(mailbox=MAILBOX, epoch=1, suite=Suite.MLKEM768_X25519, secret=_SECRET)
SEALED = seal_dek(PublicKey(MAILBOX, 1, Suite.MLKEM768_X25519, _PUBLIC), MESSAGE, BLOB, Dek.draw())


@pytest.mark.parametrize("length", [0, 10, 1119, 1120, 1167, 1169])
def test_a_seal_of_another_length_does_not_open(length: int) -> None:
    cut = (SEALED.ciphertext + b"\0" * 8)[:length]
    with pytest.raises(NotAuthentic):
        SECRET.open_dek(MESSAGE, BLOB, dataclasses.replace(SEALED, ciphertext=cut))
