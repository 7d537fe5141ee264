"""The documents inside an IHE_XDM.zip, for searching: CDA, metadata, README, as octets in memory.

Invariants (X1, X2): nothing is written to disk; a name is a label, never a path; at most ARCHIVE_ENTRIES_MAX
entries are looked at, and at most ARCHIVE_ENTRY_OCTETS_MAX octets are inflated of each and `octets_max` of
all together, whatever sizes the archive claims and even if entries share their octets. Archives inside an
archive, encrypted entries and zip64 are not opened. What cannot be read is passed over. Never raises.
(APPNOTE.TXT 6.3.10 §4.3)
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from mssante.limits import ARCHIVE_ENTRIES_MAX, ARCHIVE_ENTRY_OCTETS_MAX
from mssante.mime import header
from mssante.mime.content import Content

_SUBTYPES = (b"zip", b"x-zip", b"x-zip-compressed")
_SUFFIXES = (".xml", ".htm", ".html", ".txt")
_END = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_COMMENT_MAX = 65535
_STORED, _DEFLATED = 0, 8


def is_archive(kind: Content) -> bool:
    """Whether a part is a zip, by its type or, when that says nothing, by its name."""
    if kind.media == b"application" and kind.subtype in _SUBTYPES:
        return True
    name = header.parameter(kind.disposition_parameters, b"filename") or b""
    name = name or header.parameter(kind.parameters, b"name") or b""
    return kind.media == b"application" and kind.subtype == b"octet-stream" and name.lower().endswith(b".zip")


def texts(archive: bytes, *, octets_max: int) -> Iterator[tuple[str, bytes]]:
    """(name in lower case, octets) of each document that is text, cut short where a bound is reached."""
    for name, method, at, size in _entries(archive):
        if octets_max <= 0:
            return
        if name.endswith(_SUFFIXES):
            octets = _inflated(archive[at : at + size], method, min(ARCHIVE_ENTRY_OCTETS_MAX, octets_max))
            octets_max -= len(octets)
            yield name, octets


def _entries(archive: bytes) -> Iterator[tuple[str, int, int, int]]:
    """(name, method, offset and size of the compressed octets)."""
    end = archive.rfind(b"PK\5\6", max(0, len(archive) - _COMMENT_MAX - _END.size))
    if end < 0 or end + _END.size > len(archive):
        return
    at = _END.unpack_from(archive, end)[6]
    for _ in range(ARCHIVE_ENTRIES_MAX):
        if at + _CENTRAL.size > len(archive):
            return
        found = _CENTRAL.unpack_from(archive, at)
        signature, flags, method, size, local = found[0], found[3], found[4], found[8], found[16]
        if signature != b"PK\1\2":
            return
        after = at + _CENTRAL.size
        name = archive[after : after + found[10]].decode("utf-8", "replace").lower()
        at = after + found[10] + found[11] + found[12]
        start = _start(archive, local)
        if start is not None and not flags & 1:  # encrypted
            yield name, method, start, size


def _start(archive: bytes, local: int) -> int | None:
    """Where an entry's octets begin."""
    if local + _LOCAL.size > len(archive):
        return None
    found = _LOCAL.unpack_from(archive, local)
    return local + _LOCAL.size + found[9] + found[10] if found[0] == b"PK\3\4" else None


def _inflated(octets: bytes, method: int, most: int) -> bytes:
    if method == _STORED:
        return octets[:most]
    if method != _DEFLATED:
        return b""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(octets, most)
    except zlib.error:
        return b""
