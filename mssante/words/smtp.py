"""A Reason becomes an SMTP reply.

Invariants: a fault of ours is 4xx whatever was raised, so it never loses a letter; of what was declined only
the reason reaches the wire, never its detail.
"""

from __future__ import annotations

from mssante.reasons import Declined, Passing
from mssante.words.reply import Reply
from mssante.words.table import WORDS


def _reply(codes: str, text: str) -> Reply:
    code, enhanced = codes.split()
    return Reply(int(code), enhanced, text)


# Made when the program starts: a row that is no reply is found then, not when it is needed.
_REFUSED = {
    reason: _reply(words.smtp.refused or words.smtp.passing, words.smtp.text)
    for reason, words in WORDS.items()
}
_PASSING = {reason: _reply(words.smtp.passing, words.smtp.text) for reason, words in WORDS.items()}


def smtp_answer(declined: Declined) -> Reply:
    """The reply that tells `declined`: its reason alone decides, its detail stays here."""
    return (_PASSING if isinstance(declined, Passing) else _REFUSED)[declined.reason]
