"""A message sealed while it streams: what is kept opens to what was fed, and nowhere else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.crypto import ChunkOpener, Dek, NotAuthentic, PublicKey, Purpose, Suite
from mssante.crypto.envelope import SecretKey, draw_key_pair
from mssante.limits import CHUNK_OCTETS
from mssante.mime.summary import Summary
from mssante.model import MailboxId
from mssante.sealing import MessageSealer, Sealed

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
LETTER = b"From: a@chu-a.test\r\nSubject: XDM/1.0/DDM+CR\r\n\r\nBonjour,\r\n.\r\n"


def _mailbox(name: bytes) -> tuple[PublicKey, SecretKey]:
    secret, public = draw_key_pair()
    mailbox = MailboxId(name * 16)
    return (
        PublicKey(mailbox, 1, Suite.MLKEM768_X25519, public),
        SecretKey(mailbox=mailbox, epoch=1, suite=Suite.MLKEM768_X25519, secret=secret),
    )


KEY_A, SECRET_A = _mailbox(b"a")
KEY_B, SECRET_B = _mailbox(b"b")


def _opened(secret: SecretKey, sealed: Sealed, chunks: list[bytes]) -> tuple[bytes, Summary, bytes]:
    dek: Dek = secret.open_dek(sealed.message_id, sealed.blob_id, sealed.sealed_key)
    summary = Summary.from_bytes(dek.open(Purpose.META, sealed.message_id, sealed.summary_ct))
    opener = ChunkOpener(dek, sealed.blob_id, content_octets=summary.size)
    content = b"".join(opener.open(n, chunks[n]) for n in range(opener.count))
    return content, summary, dek.open(Purpose.HEADER, sealed.message_id, sealed.header_ct)


def _sealed(content: bytes, cut: int = 10_000) -> tuple[MessageSealer, Sealed, list[bytes]]:
    sealer, chunks = MessageSealer(KEY_A), list[bytes]()
    for start in range(0, len(content), cut):
        chunks += sealer.feed(content[start : start + cut])
    sealed, last = asyncio.run(sealer.finish(internal_date=AT))
    return sealer, sealed, [*chunks, *last]


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_OCTETS - 1, CHUNK_OCTETS, CHUNK_OCTETS + 1, 3 * CHUNK_OCTETS, 40 * CHUNK_OCTETS + 1]
)
def test_what_was_fed_comes_out_and_so_does_its_copy(size: int) -> None:
    content = (LETTER + b"x" * size)[:size]
    sealer, sealed, chunks = _sealed(content)
    assert len(chunks) == sealed.chunk_count
    assert _opened(SECRET_A, sealed, chunks)[0] == content

    copy = sealer.copy(KEY_B)
    copied = [piece for chunk in chunks for piece in copy.feed(chunk)] + copy.finish()
    assert copy.sealed.chunk_count == sealed.chunk_count == len(copied)
    assert _opened(SECRET_B, copy.sealed, copied)[0] == content


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 400))
def test_where_it_was_cut_does_not_matter(cut: int) -> None:
    content, summary, header = _opened(SECRET_A, *_sealed(LETTER * 5, cut)[1:])
    assert content == LETTER * 5
    assert header == LETTER[: LETTER.index(b"\r\n\r\n") + 4]
    assert (summary.size, summary.internal_date) == (len(content), int(AT.timestamp()))


def test_day_and_size_are_all_the_database_learns() -> None:
    _, sealed, _ = _sealed(LETTER)
    assert sealed.day == 20513  # 1 March 2026
    assert sealed.size_kib == 1
    canaries = (b"Bonjour", b"XDM", b"chu-a")
    assert not any(c in sealed.summary_ct + sealed.header_ct for c in canaries)


def test_two_mailboxes_never_share_a_key() -> None:
    sealer, sealed, chunks = _sealed(LETTER)
    copy = sealer.copy(KEY_B)
    assert copy.sealed.message_id != sealed.message_id
    assert copy.sealed.blob_id != sealed.blob_id
    with pytest.raises(NotAuthentic):
        SECRET_A.open_dek(copy.sealed.message_id, copy.sealed.blob_id, copy.sealed.sealed_key)
    with pytest.raises(NotAuthentic):
        _opened(SECRET_A, sealed, [piece for c in chunks for piece in copy.feed(c)] + copy.finish())


def test_chunks_out_of_order_are_not_copied() -> None:
    sealer, _, chunks = _sealed(b"x" * 2 * CHUNK_OCTETS)
    with pytest.raises(NotAuthentic):
        sealer.copy(KEY_B).feed(chunks[1])
