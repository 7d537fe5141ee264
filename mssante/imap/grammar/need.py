"""How far a message must be opened to answer: each level costs more than the one before."""

from __future__ import annotations

from enum import IntEnum


class Need(IntEnum):
    """FLAGS: UID, flags and mod-sequence, which are in memory. PLACE: what the store knows of a message in a
    folder without opening it (its identifier, the day it was saved). SUMMARY: the metadata prepared when it
    was received (date, size, envelope, structure). HEADER: the octets of its header. BODY: the message."""

    FLAGS = 0
    PLACE = 1
    SUMMARY = 2
    HEADER = 3
    BODY = 4
