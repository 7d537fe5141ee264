"""Laws of the chunked content: cuts do not matter; every tampering is found (K2)."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.crypto import ChunkOpener, ChunkSealer, Dek, NotAuthentic, padding, stream
from mssante.crypto.keys import random_id
from mssante.crypto.stream import chunk_count, chunk_octets, chunks_covering, sealed_bytes
from mssante.limits import CHUNK_OCTETS
from mssante.model import BlobId

BLOB = BlobId(b"b" * 16)
SMALL = 64  # a chunk small enough to try many contents
STEP = 48  # of padding: contents end in every kind of chunk, and some have a chunk of zeros behind them


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CHUNK_OCTETS", SMALL)
    monkeypatch.setattr(padding, "PADDING_STEP_OF_CONTENT", STEP)


def sealed(content: bytes, cuts: list[int] | None = None, dek: Dek | None = None) -> tuple[Dek, list[bytes]]:
    dek = dek or Dek.draw()
    sealer = ChunkSealer(dek, BLOB)
    edges = [0, *sorted(cut % (len(content) + 1) for cut in cuts or []), len(content)]
    chunks = []
    for start, end in itertools.pairwise(edges):
        chunks += sealer.feed(content[start:end])
    assert sealer.content_octets == len(content)
    return dek, [*chunks, *sealer.finish()]


def opened(dek: Dek, chunks: list[bytes], content_octets: int, blob: BlobId = BLOB) -> bytes:
    """As a reader does: as many chunks as the authenticated length says, each at its place."""
    opener = ChunkOpener(dek, blob, content_octets=content_octets)
    if len(chunks) < opener.count:
        raise NotAuthentic
    return b"".join(opener.open(n, chunks[n]) for n in range(opener.count))


@settings(max_examples=150)
@given(content=st.binary(max_size=5 * SMALL), cuts=st.lists(st.integers(0, 5 * SMALL), max_size=8))
def test_results_do_not_depend_on_where_the_bytes_were_cut(content: bytes, cuts: list[int]) -> None:
    dek, chunks = sealed(content, cuts)
    assert chunks == sealed(content, dek=dek)[1]
    padded = padding.padded_content(len(content))
    assert [len(chunk) - 16 for chunk in chunks] == [
        chunk_octets(n, padded) for n in range(chunk_count(padded))
    ]
    assert sum(map(len, chunks)) == sealed_bytes(len(content))
    assert opened(dek, chunks, len(content)) == content


@settings(max_examples=150)
@given(total=st.integers(0, 6 * SMALL), offset=st.integers(0, 7 * SMALL), length=st.integers(0, 7 * SMALL))
def test_a_partial_read_opens_the_chunks_it_needs_and_no_more(total: int, offset: int, length: int) -> None:
    content = bytes(i % 251 for i in range(total))
    covering = chunks_covering(offset, length, total)
    joined = b"".join(content[n * SMALL : (n + 1) * SMALL] for n in covering)
    start = offset - covering.start * SMALL
    assert joined[max(start, 0) : max(start, 0) + length] == content[offset : offset + length] or not covering
    if not covering:
        assert content[offset : offset + length] == b""
    else:
        assert len(covering) <= length // SMALL + 2


@pytest.mark.parametrize("length", [0, 1, STEP, SMALL - 1, SMALL, SMALL + 1, 2 * STEP, 3 * SMALL])
def test_what_lies_there_tells_the_class_of_a_length_only(length: int) -> None:
    padded = padding.padded_content(length)
    assert [len(chunk) for chunk in sealed(b"x" * length)[1]] == [
        len(chunk) for chunk in sealed(bytes(padded))[1]
    ]


def test_a_content_whose_end_is_a_chunk_s_end_may_have_padding_behind_it() -> None:
    dek, chunks = sealed(b"x" * SMALL)
    assert len(chunks) == 2
    assert opened(dek, chunks, SMALL) == b"x" * SMALL


def tampered(chunks: list[bytes], rng: random.Random) -> list[bytes]:
    """One change: a bit, a missing, doubled, moved, cut or longer chunk."""
    chunks = list(chunks)
    n = rng.randrange(len(chunks))
    match rng.randrange(7):
        case 0 | 1:
            flipped = bytearray(chunks[n])
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
            chunks[n] = bytes(flipped)
        case 2:
            del chunks[n]
        case 3:
            chunks.insert(n, chunks[n])
        case 4:
            other = rng.randrange(len(chunks))
            chunks[n], chunks[other] = chunks[other], chunks[n]
        case 5:
            chunks[n] = chunks[n][: rng.randrange(len(chunks[n]))]
        case 6:
            chunks[n] += rng.randbytes(rng.randrange(1, 40))
    return chunks


def tamper(count: int) -> None:
    """Tries `count` tamperings that change what a reader reads; each must be found."""
    rng, tried = random.Random(20260101), 0
    while tried < count:
        content = rng.randbytes(rng.choice([0, 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL, 4 * SMALL + 7]))
        dek, chunks = sealed(content)
        for _ in range(100):
            changed = tampered(chunks, rng)
            read = chunk_count(len(content))
            if changed[:read] == chunks[:read]:
                continue  # the same chunk swapped with itself, or something after the content's end
            tried += 1
            with pytest.raises(NotAuthentic):
                opened(dek, changed, len(content))


def test_ten_thousand_tamperings_are_all_found() -> None:
    tamper(10_000)


@pytest.mark.campaign
def test_a_hundred_thousand_tamperings_are_all_found() -> None:
    tamper(100_000)


@settings(max_examples=60)
@given(content=st.binary(max_size=4 * SMALL), claimed=st.integers(0, 5 * SMALL))
def test_a_content_of_another_length_does_not_open(content: bytes, claimed: int) -> None:
    dek, chunks = sealed(content)
    if claimed != len(content):
        with pytest.raises(NotAuthentic):
            opened(dek, chunks, claimed)


def test_a_content_cut_at_a_chunk_is_seen_at_the_new_end() -> None:
    # The attacker owns the rows and the length in clear, not the end mark.
    dek, chunks = sealed(b"x" * 3 * SMALL)
    with pytest.raises(NotAuthentic):
        opened(dek, chunks[:2], 2 * SMALL)


def test_a_length_of_the_same_class_does_not_open() -> None:
    dek, chunks = sealed(b"x" * 10)
    for claimed in (9, 11, STEP):
        with pytest.raises(NotAuthentic):
            opened(dek, chunks, claimed)


def test_a_chunk_opens_only_in_its_blob() -> None:
    dek, chunks = sealed(b"x" * SMALL)
    with pytest.raises(NotAuthentic):
        opened(dek, chunks, SMALL, BlobId(random_id()))


def test_a_chunk_opens_only_with_its_key() -> None:
    _, chunks = sealed(b"x" * SMALL)
    with pytest.raises(NotAuthentic):
        opened(Dek.draw(), chunks, SMALL)


@pytest.mark.parametrize("n", [-1, 1, 1 << 32])
def test_a_chunk_that_is_not_there_does_not_open(n: int) -> None:
    dek, chunks = sealed(b"x")
    with pytest.raises(NotAuthentic):
        ChunkOpener(dek, BLOB, content_octets=1).open(n, chunks[0])


def test_after_the_end_nothing_is_fed() -> None:
    sealer = ChunkSealer(Dek.draw(), BLOB)
    sealer.finish()
    with pytest.raises(AssertionError):
        sealer.feed(b"x")
    with pytest.raises(AssertionError):
        sealer.finish()
    assert CHUNK_OCTETS == 65536  # the format's own: changing it makes stored contents unreadable
