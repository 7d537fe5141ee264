"""mssante.mime.archive: catalogue X1 and X2, for the only thing done with an archive: searching in it."""

from __future__ import annotations

import io
import resource
import struct
import time
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssante.limits import ARCHIVE_ENTRIES_MAX, ARCHIVE_ENTRY_OCTETS_MAX, MIB
from mssante.mime import archive

MOST = 8 * MIB


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", method) as written:
        for name, content in entries.items():
            written.writestr(name, content)
    return octets.getvalue()


def read(octets: bytes, octets_max: int = MOST) -> dict[str, bytes]:
    return dict(archive.texts(octets, octets_max=octets_max))


def test_documents_are_read_and_others_are_not() -> None:
    entries = {
        "INDEX.HTM": b"i",
        "IHE_XDM/SUBSET01/DOC0001.XML": b"<a/>" * 99,
        "README.TXT": b"r",
        "A.PDF": b"p",
    }
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        assert read(zipped(entries, method)) == {
            "index.htm": b"i",
            "ihe_xdm/subset01/doc0001.xml": b"<a/>" * 99,
            "readme.txt": b"r",
        }


def overlapping(times: int) -> bytes:
    """Every entry claims the same octets."""
    one = zipped({"A.XML": b"x" * 4 * MIB})
    start = one.rindex(b"PK\1\2")
    end = one.rindex(b"PK\5\6")
    entry = one[start:end]
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, len(entry) * times, start, 0)
    return one[:start] + entry * times + tail


BOMBS = {
    "one large": lambda: zipped({"A.XML": b"x" * 100 * MIB}),
    "many": lambda: zipped({f"{n}.XML": b"x" for n in range(100_000 // 10)}),
    "nested": lambda: zipped({"A.ZIP": zipped({"B.XML": b"x" * 50 * MIB})}),
    "overlapping": lambda: overlapping(100_000),
    "a lying size": lambda: zipped({"A.XML": b"x" * 9}).replace(
        struct.pack("<L", 9), struct.pack("<L", 2**31)
    ),
    "sizes of zip64": lambda: overlapping(1).replace(b"PK\1\2", b"PK\1\2" + b"\xff" * 20),
    "no end": lambda: zipped({"A.XML": b"x"})[:-1],
    "an end that points away": lambda: b"PK\5\6" + b"\xff" * 18,
    "a loop": lambda: b"PK\1\2" + b"\0" * 42 + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, 46, 0, 0),
    "garbage": lambda: b"PK\3\4" + zlib.compress(b"x" * 999) + b"PK\5\6" + b"\0" * 18,
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_cost_two_seconds_and_32_mib_at_most(name: str) -> None:
    octets = BOMBS[name]()
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    found = [len(content) for _, content in archive.texts(octets, octets_max=MOST)]
    assert time.process_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024  # KiB
    assert sum(found) <= MOST
    assert max(found, default=0) <= ARCHIVE_ENTRY_OCTETS_MAX
    assert len(found) <= ARCHIVE_ENTRIES_MAX


def test_what_is_encrypted_is_passed_over() -> None:
    octets = bytearray(zipped({"A.XML": b"secret", "B.XML": b"ouvert"}))
    octets[octets.index(b"PK\1\2") + 8] |= 1
    assert read(bytes(octets)) == {"b.xml": b"ouvert"}


def test_a_name_is_only_a_label() -> None:
    for name in ("../../etc/x.xml", "/abs.xml", "C:\\con.xml"):
        assert list(read(zipped({name: b"x"}))) == [name.lower()]


@given(st.binary(max_size=100), st.data())
def test_no_archive_is_too_broken(octets: bytes, data: st.DataObject) -> None:
    whole = zipped({"A.XML": b"x" * 50, "B.TXT": b"y"})
    at = data.draw(st.integers(0, len(whole)))
    read(whole[:at] + octets + whole[at + len(octets) :])
    read(octets)
