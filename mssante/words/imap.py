"""Turns a Reason into an IMAP response code and a text."""

from __future__ import annotations

from mssante.reasons import Reason
from mssante.words.row import CANNOT_AS_IN_SMTP, ImapAnswer
from mssante.words.table import WORDS


def imap_answer(reason: Reason) -> ImapAnswer:
    """The response code and the text of a NO or BYE that gives `reason`."""
    words = WORDS[reason]
    return ImapAnswer("CANNOT", words.smtp.text) if words.imap is CANNOT_AS_IN_SMTP else words.imap
