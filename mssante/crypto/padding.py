"""Padding: what is sealed is made longer first, so that its length names a class of sizes and not a size.

The classes are those of PADMÉ (Nikitin and others, "Reducing Metadata Leakage from Encrypted Files and
Communication with PURBs", 2019, §4): a length keeps as many of its leading bits as its own length in bits is
long, and the rest is rounded up. That adds at most 12 %, and on average 3 % from some KiB on. Short texts are
rounded up to whole steps, because there PADMÉ alone would still show the octet.

Invariants: pure; a padded text begins with MARK, which no text began with that was sealed before there was
padding (summaries, segments and routes begin with their version, names and headers hold no NUL), so that old
and new ones are told apart without opening them twice; how a text is padded never changes.
Format: MARK ‖ where the text ends, counted from MARK (4, big-endian) ‖ text ‖ zeros.
"""

from __future__ import annotations

import struct

from mssante.limits import PADDING_STEP_OF_CONTENT, PADDING_STEP_OF_TEXT

MARK = b"\0"
_HEAD = struct.Struct(">cI")
_END = struct.Struct(">xI").unpack_from
_NOTHING = bytes(4096)


def padded_length(octets: int, step: int) -> int:
    """The length of the class that `octets` fall into: a multiple of `step`, and at least one."""
    exponent = octets.bit_length() - 1
    if exponent > 0:
        step = max(step, 1 << max(0, exponent - exponent.bit_length()))
    return -(-max(octets, 1) // step) * step


def padded_content(octets: int) -> int:
    """How long a message's content of this length is when it is sealed, without the tags of its chunks."""
    return padded_length(octets, PADDING_STEP_OF_CONTENT)


def padded(text: bytes, step: int = PADDING_STEP_OF_TEXT) -> bytes:
    """The text, ready to be sealed."""
    end = _HEAD.size + len(text)
    missing = padded_length(end, step) - end
    zeros = _NOTHING[:missing] if missing <= len(_NOTHING) else bytes(missing)
    return b"".join((_HEAD.pack(MARK, end), text, zeros))


def unpadded(opened: bytes) -> bytes:
    """The text again. One that was sealed without padding is returned as it is."""
    if not opened or opened[0]:  # MARK is 0; a listing comes here for each message
        return opened
    return opened[_HEAD.size : _END(opened)[0]]
