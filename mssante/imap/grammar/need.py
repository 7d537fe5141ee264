"""How far a message must be opened to answer: each level costs more than the one before."""

from __future__ import annotations

from enum import IntEnum


class Need(IntEnum):
    """FLAGS: what the folder's index holds (uid, flags). PLACE: what the store knows of a message in a folder
    without opening it (its identifier, the day it was saved). SUMMARY: the prepared metadata (date, size,
    envelope, structure). HEADER: the top header's octets. BODY: the message itself."""

    FLAGS = 0
    PLACE = 1
    SUMMARY = 2
    HEADER = 3
    BODY = 4
