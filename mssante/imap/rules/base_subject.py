"""The base subject that SORT and THREAD compare (RFC 5256 §2.1 and §5).

Invariants: this is exactly the RFC's procedure, so only English prefixes are removed; it takes linear time,
because the steps do not copy the text, but move two places in it towards each other; it never raises.
"""

from __future__ import annotations

import re

_BLANKS = re.compile(r"[ \t\r\n]+")
_BLOB = re.compile(r"\[[^\[\]]*+\][ \t]*+")
_REFWD = re.compile(r"(?:re|fwd?+)[ \t]*+(?:\[[^\[\]]*+\][ \t]*+)?+:", re.IGNORECASE | re.ASCII)
_TRAILER = "(fwd)"
_FORWARD = "[fwd:"


def base_subject(subject: str) -> tuple[str, bool]:
    """The base of a decoded subject, and whether what was removed says "reply or forward" (RFC 5256 §3)."""
    # The numbers are the steps of RFC 5256 §2.1. (1) Tabs and continuations become spaces, and several
    # spaces become one.
    text = _BLANKS.sub(" ", subject)
    low, high = 0, len(text)
    answers = False
    while True:
        high, forwarded = _before_trailers(text, low, high)
        low, replied = _after_leaders(text, low, high)
        answers = answers or forwarded or replied
        # (6) Inside "[fwd: subject]" there is a whole subject again, so the steps begin anew.
        if not _is_forward(text, low, high):
            return text[low:high], answers
        low, high, answers = low + len(_FORWARD), high - 1, True


def _before_trailers(text: str, low: int, high: int) -> tuple[int, bool]:
    """(2) Where the text ends before every subj-trailer; whether one of them was "(fwd)"."""
    forwarded = False
    while high > low:
        if text[high - 1] == " ":
            high -= 1
        elif high - low >= len(_TRAILER) and text[high - len(_TRAILER) : high].lower() == _TRAILER:
            high -= len(_TRAILER)
            forwarded = True
        else:
            break
    return high, forwarded


def _after_leaders(text: str, low: int, high: int) -> tuple[int, bool]:
    """(3) to (5): where the text begins behind every subj-leader, and behind each subj-blob that leaves
    something; whether one of the leaders was a subj-refwd."""
    replied = False
    while low < high:
        if text[low] == " ":
            low += 1
            continue
        blobs = []
        end = low
        while blob := _BLOB.match(text, end, high):
            end = blob.end()
            blobs.append(end)
        if leader := _REFWD.match(text, end, high):
            low, replied = leader.end(), True
            continue
        # No leader follows. (4) removes the blobs one by one, as long as some text remains after them.
        return max((end for end in blobs if end < high), default=low), replied
    return low, replied


def _is_forward(text: str, low: int, high: int) -> bool:
    within = high - low > len(_FORWARD) and text[high - 1] == "]"
    return within and text[low : low + len(_FORWARD)].lower() == _FORWARD
