"""The words about an operator's command: what is wrong with an argument."""

from __future__ import annotations

from mssante.reasons import Reason
from mssante.words.row import (
    CANNOT_AS_IN_SMTP,
    NEVER_IN_A_NOTICE,
    Actor,
    OperatorWords,
    SmtpWords,
    Words,
)

ASKED: dict[Reason, Words] = {
    Reason.ARGUMENT_MALFORMED: Words(
        smtp=SmtpWords(
            refused="501 5.5.4",
            passing="450 4.5.4",
            text="Argument mal forme / Malformed argument",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "an argument is missing, unknown or not of its form",
            Actor.ASKER,
            "correct it ('--help' says what the command takes)",
        ),
    ),
}
