"""Turns a Reason into a sentence for the operator, in English."""

from __future__ import annotations

from mssante.reasons import Reason
from mssante.words.table import WORDS


def operator_sentence(reason: Reason) -> str:
    """What is wrong, who must act and what to do: "the mailbox is full; the mailbox's owner must ..."."""
    return WORDS[reason].operator.sentence
