"""Turns a Reason into an SMTP reply.

Invariants: a fault of ours is always 4xx, even if Refused was raised, so it never loses a letter; only the
reason of a Declined reaches the wire, never its detail.
"""

from __future__ import annotations

from mssante.reasons import Declined, Passing
from mssante.words.reply import Reply
from mssante.words.table import WORDS


def _reply(codes: str, text: str) -> Reply:
    code, enhanced = codes.split()
    return Reply(int(code), enhanced, text)


# Made when the program starts, so that a row which is not a valid reply is found at once.
_REFUSED = {
    reason: _reply(words.smtp.refused or words.smtp.passing, words.smtp.text)
    for reason, words in WORDS.items()
}
_PASSING = {reason: _reply(words.smtp.passing, words.smtp.text) for reason, words in WORDS.items()}


def smtp_answer(declined: Declined) -> Reply:
    """The reply for `declined`. Its kind and reason decide; its detail is not sent."""
    return (_PASSING if isinstance(declined, Passing) else _REFUSED)[declined.reason]
