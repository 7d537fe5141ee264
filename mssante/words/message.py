"""The words about a message: why a letter cannot be accepted as it is written."""

from __future__ import annotations

from mssante.reasons import Reason
from mssante.words.row import (
    CANNOT_AS_IN_SMTP,
    NEVER_IN_A_NOTICE,
    OUR_TROUBLE,
    Actor,
    Explanation,
    ImapAnswer,
    OperatorWords,
    SmtpWords,
    Words,
)

MESSAGE: dict[Reason, Words] = {
    Reason.MESSAGE_TOO_LARGE: Words(
        smtp=SmtpWords(
            refused="552 5.3.4",
            passing="452 4.3.4",
            text="Message trop volumineux: reduisez les pieces jointes"
            " / Message too large: reduce its attachments",
        ),
        imap=ImapAnswer("TOOBIG", "Message trop volumineux: reduisez-le / Message too large: reduce it"),
        notice=Explanation(
            "5.3.4",
            "Le message dépasse la taille acceptée par l’opérateur du destinataire. Réduisez les "
            "pièces jointes.",
            "The message is larger than the recipient's operator accepts. Reduce the attachments.",
        ),
        operator=OperatorWords("the message is too large", Actor.SENDER, "reduce its attachments"),
    ),
    Reason.BARE_LINE_ENDING: Words(
        smtp=SmtpWords(
            refused="550 5.5.2",
            passing="450 4.5.2",
            text="Fins de ligne CR ou LF isolees: le logiciel emetteur doit etre corrige"
            " / Bare CR or LF: the sending software must be corrected",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=OUR_TROUBLE,
        operator=OperatorWords(
            "the message has a CR or an LF that stands alone", Actor.SOFTWARE, "end each line with CRLF"
        ),
    ),
    Reason.NUL_OCTET: Words(
        smtp=SmtpWords(
            refused="550 5.6.0",
            passing="450 4.6.0",
            text="Octet nul dans le message: le logiciel emetteur doit etre corrige"
            " / NUL octet in the message: the sending software must be corrected",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=OUR_TROUBLE,
        operator=OperatorWords(
            "the message holds a NUL octet", Actor.SOFTWARE, "encode binary content, in base64 for example"
        ),
    ),
    Reason.LINE_TOO_LONG: Words(
        smtp=SmtpWords(
            refused="500 5.5.2",
            passing="450 4.5.2",
            text="Ligne trop longue: le logiciel emetteur doit etre corrige"
            " / Line too long: the sending software must be corrected",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "the message has a line that is too long", Actor.SOFTWARE, "write lines of at most 998 octets"
        ),
    ),
    Reason.LOOP_DETECTED: Words(
        smtp=SmtpWords(
            refused="554 5.4.6",
            passing="450 4.4.6",
            text="Le message tourne en boucle: les operateurs doivent verifier leurs routes"
            " / Mail loop: the operators must check their routes",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=Explanation(
            "5.4.6",
            "Le message tourne en boucle entre des serveurs : un transfert automatique est mal réglé.",
            "The message loops between servers: an automatic forwarding is wrongly set.",
        ),
        operator=OperatorWords(
            "the message goes round in a loop",
            Actor.BOTH,
            "check their routes, and the automatic forwarding of their mailboxes",
        ),
    ),
    Reason.HEADER_FROM_MALFORMED: Words(
        smtp=SmtpWords(
            refused="550 5.6.0",
            passing="450 4.6.0",
            text="Champ From absent ou mal forme: le logiciel emetteur doit etre corrige"
            " / Missing or malformed From field: the sending software must be corrected",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "the From field is missing, or cannot be read beyond doubt",
            Actor.SOFTWARE,
            "write one From field, with the sender's address",
        ),
    ),
    Reason.AUTHOR_OURS: Words(
        smtp=SmtpWords(
            refused="550 5.7.1",
            passing="450 4.7.1",
            text="Auteur (From) d'un domaine que nous servons: transferez en piece jointe"
            " / Author (From) of a domain we serve: forward it as an attachment",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "the From field names a domain of ours, and the letter came from another operator",
            Actor.PEER,
            "write its own user there, and pass a letter on as an attachment",
        ),
    ),
    Reason.AUTHOR_UNPROVED: Words(
        smtp=SmtpWords(
            refused="550 5.7.1",
            passing="450 4.7.1",
            text="Auteur (From) d'un autre operateur: transferez en piece jointe"
            " / Author (From) of another operator: forward it as an attachment",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "the From field names a domain for which the other operator does not speak",
            Actor.PEER,
            "write its own user there, and pass a letter on as an attachment",
        ),
    ),
}
