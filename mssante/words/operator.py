"""Turns a Reason, and what was declined for it, into a sentence for the operator, in English."""

from __future__ import annotations

from mssante.reasons import Declined, Passing, Reason
from mssante.words.table import WORDS


def operator_sentence(reason: Reason) -> str:
    """What is wrong, who must act and what to do: "the mailbox is full; the mailbox's owner must ..."."""
    return WORDS[reason].operator.sentence


def declined_sentence(declined: Declined) -> str:
    """What the command line says. A refusal's detail is a sentence of its own. What passes has a cause, often
    one word of a library, and the Reason's sentence in front of it."""
    sentence = operator_sentence(declined.reason)
    if not declined.detail:
        return sentence
    return f"{sentence} ({declined.detail})" if isinstance(declined, Passing) else declined.detail
