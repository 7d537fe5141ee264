"""Hostile messages cost little, are delivered, and say what was not read (catalogue R10)."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from mssante import limits
from mssante.imap.grammar.bodystructure import bodystructure
from mssante.mime.structure import Note, Part, Scanner, Structure, scan
from mssante.mime.summary import Summary, summarise
from tests.unit.mime.bombs import BOMBS

CPU_SECONDS_MAX = 2.0
MEMORY_OCTETS_MAX = 64 * limits.MIB
SMALL, MEDIUM, LARGE = 10 * limits.KIB, limits.MIB, 10 * limits.MIB


def scanned(message: bytes) -> Structure:
    scanner = Scanner()
    for start in range(0, len(message), limits.CHUNK_OCTETS):
        scanner.feed(message[start : start + limits.CHUNK_OCTETS])
    return scanner.close()


def depth(part: Part) -> int:
    return 1 + max(map(depth, part.children), default=0)


def count(part: Part) -> int:
    return 1 + sum(map(count, part.children))


@pytest.mark.parametrize("size", [SMALL, MEDIUM, LARGE])
@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.__name__)
def test_a_bomb_is_summarised_within_its_time(bomb: Callable[[int], bytes], size: int) -> None:
    message = bomb(size)
    before = time.process_time()
    structure = scanned(message)
    summary = summarise(structure, internal_date=datetime(2026, 1, 1, tzinfo=UTC))
    assert time.process_time() - before <= CPU_SECONDS_MAX
    assert structure.size == summary.size == len(message)
    assert count(structure.root) <= limits.MIME_PARTS_MAX
    assert depth(structure.root) <= 2 * limits.MIME_DEPTH_MAX
    before = time.process_time()
    again = Summary.from_bytes(summary.to_bytes())
    assert bodystructure(again.structure) == bodystructure(summary.structure)
    assert time.process_time() - before <= 0.1


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.__name__)
def test_a_bomb_takes_little_memory(bomb: Callable[[int], bytes]) -> None:
    message = bomb(MEDIUM)
    tracemalloc.start()
    try:
        summarise(scanned(message), internal_date=datetime(2026, 1, 1, tzinfo=UTC)).to_bytes()
        assert tracemalloc.get_traced_memory()[1] <= MEMORY_OCTETS_MAX / 2
    finally:
        tracemalloc.stop()


def nested(levels: int) -> bytes:
    opened = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(levels)
    )
    return opened + b"\r\nthe end"


def test_as_many_levels_as_the_limit_are_read_and_one_more_is_text() -> None:
    at_limit, beyond = scan(nested(limits.MIME_DEPTH_MAX)), scan(nested(limits.MIME_DEPTH_MAX + 1))
    assert (at_limit.notes, depth(at_limit.root)) == ((), limits.MIME_DEPTH_MAX + 1)
    assert (beyond.notes, depth(beyond.root)) == ((Note.DEPTH,), limits.MIME_DEPTH_MAX + 1)
    last = beyond.root
    while last.children:
        last = last.children[0]
    assert (last.content.media, last.content.subtype) == (b"text", b"plain")
    assert last.body_offset + last.body_octets == beyond.size


def test_multiparts_one_after_another_are_not_one_inside_another() -> None:
    inner = b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n"
    found = scan(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + inner * 200 + b"--b--\r\n")
    assert found.notes == ()
    assert len(found.root.children) == 200


def test_as_many_parts_as_the_limit_are_read_and_the_rest_is_the_last_ones() -> None:
    def parts(number: int) -> bytes:
        return (
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * number + b"--b--\r\n"
        )

    at_limit, beyond = scan(parts(limits.MIME_PARTS_MAX - 1)), scan(parts(limits.MIME_PARTS_MAX))
    assert (at_limit.notes, count(at_limit.root)) == ((), limits.MIME_PARTS_MAX)
    assert (beyond.notes, count(beyond.root)) == ((Note.PARTS,), limits.MIME_PARTS_MAX)
    last = beyond.root.children[-1]
    assert last.body_offset + last.body_octets == beyond.size


def test_a_header_beyond_its_limit_is_still_told_from_the_body() -> None:
    message = (
        b"A: b\r\n" + b"X: " + b"y" * limits.MIME_HEADER_OCTETS_MAX + b"\r\nContent-Type: a/b\r\n\r\nbody"
    )
    found = scanned(message)
    assert found.notes == (Note.HEADER_OCTETS,)
    assert found.root.body_octets == len(b"body")
    assert found.root.content.media == b"text"


def test_headers_together_have_a_limit() -> None:
    part = b"--b\r\nContent-Type: a/b\r\nX: " + b"y" * 200 * limits.KIB + b"\r\n\r\nx\r\n"
    found = scanned(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 7)
    assert found.notes == (Note.HEADER_OCTETS,)
    assert [child.content.media for child in found.root.children] == [b"a"] * 6 + [b"text"]


@pytest.mark.campaign
def test_fifty_mebibytes_are_scanned_at_two_hundred_a_second() -> None:
    line = b"A" * 76 + b"\r\n"
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + line * (50 * limits.MIB // 78)
    before = time.process_time()
    scanned(message)
    assert len(message) / (time.process_time() - before) >= 200 * limits.MIB
