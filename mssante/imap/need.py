"""How far a message must be opened to answer: each level costs more than the one before."""

from __future__ import annotations

from enum import IntEnum


class Need(IntEnum):
    """FLAGS: what the folder's index holds (uid, flags). SUMMARY: the prepared metadata (date, size,
    envelope, structure). HEADER: the top header's octets. BODY: the message itself."""

    FLAGS = 0
    SUMMARY = 1
    HEADER = 2
    BODY = 3
