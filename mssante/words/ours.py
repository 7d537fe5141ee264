"""The words about our own faults, and about what becomes of a letter in the queue."""

from __future__ import annotations

from mssante.reasons import Reason
from mssante.words.row import (
    CANNOT_AS_IN_SMTP,
    NEVER_FOR_EVER,
    OUR_TROUBLE,
    Actor,
    Explanation,
    ImapAnswer,
    OperatorWords,
    SmtpWords,
    Words,
)

_OUR_TROUBLE_IN_IMAP = "Incident chez nous: reessayez plus tard / Trouble on our side: try again later"

OURS: dict[Reason, Words] = {
    Reason.DIRECTORY_UNAVAILABLE: Words(
        smtp=SmtpWords(
            refused=NEVER_FOR_EVER,
            passing="451 4.4.3",
            text="Annuaire indisponible: reessayez plus tard / Directory unavailable: try again later",
        ),
        imap=ImapAnswer("UNAVAILABLE", "Annuaire indisponible / Directory unavailable"),
        notice=OUR_TROUBLE,
        operator=OperatorWords(
            "the annuaire does not answer, or not as it should",
            Actor.US,
            "check its server, and [directory] in the configuration",
        ),
    ),
    Reason.STORAGE_FULL: Words(
        smtp=SmtpWords(
            refused=NEVER_FOR_EVER,
            passing="452 4.3.1",
            text="Stockage plein chez nous: reessayez plus tard, notre operateur agit"
            " / Our storage is full: try again later, our operator must act",
        ),
        imap=ImapAnswer("UNAVAILABLE", _OUR_TROUBLE_IN_IMAP),
        notice=OUR_TROUBLE,
        operator=OperatorWords("the storage is full", Actor.US, "free or add space on the disk"),
    ),
    Reason.STORAGE_UNAVAILABLE: Words(
        smtp=SmtpWords(
            refused=NEVER_FOR_EVER,
            passing="451 4.3.0",
            text="Stockage indisponible chez nous: reessayez plus tard"
            " / Our storage is unavailable: try again later",
        ),
        imap=ImapAnswer("UNAVAILABLE", _OUR_TROUBLE_IN_IMAP),
        notice=OUR_TROUBLE,
        operator=OperatorWords(
            "the database is busy, or cannot be reached",
            Actor.US,
            "check it and its disk ('mssante doctor'), then try again",
        ),
    ),
    Reason.KEYS_UNAVAILABLE: Words(
        smtp=SmtpWords(
            refused=NEVER_FOR_EVER,
            passing="451 4.3.0",
            text="Service de cles indisponible chez nous: reessayez plus tard"
            " / Our key service is unavailable: try again later",
        ),
        imap=ImapAnswer("UNAVAILABLE", _OUR_TROUBLE_IN_IMAP),
        notice=OUR_TROUBLE,
        operator=OperatorWords(
            "the keys cannot be opened now",
            Actor.US,
            "check that root.key is the one keys.db was made with, or wait when many people sign in at once",
        ),
    ),
    Reason.REMOTE_UNREACHABLE: Words(
        smtp=SmtpWords(
            refused="550 5.4.1",
            passing="450 4.4.1",
            text="Operateur destinataire injoignable / The receiving operator cannot be reached",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=Explanation(
            "5.4.1",
            "Le serveur de l’opérateur du destinataire est resté injoignable. Réessayez plus tard.",
            "The server of the recipient's operator could not be reached. Try again later.",
        ),
        operator=OperatorWords(
            "the other operator's server could not be reached",
            Actor.PEER,
            "have it answer where its MX record says",
        ),
    ),
    Reason.REMOTE_REFUSED: Words(
        smtp=SmtpWords(
            refused="550 5.0.0",
            passing="450 4.0.0",
            text="Refuse par l'operateur destinataire / Refused by the receiving operator",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=Explanation(
            "5.0.0",
            "L’opérateur du destinataire a refusé le message ; sa réponse dit pourquoi.",
            "The recipient's operator refused the message; its reply says why.",
        ),
        operator=OperatorWords(
            "the other operator refused the message", Actor.SENDER, "read its reply, which says why"
        ),
    ),
    Reason.REMOTE_DEFERRED: Words(
        smtp=SmtpWords(
            refused="450 4.0.0",
            passing="450 4.0.0",
            text="Reporte par l'operateur destinataire / Deferred by the receiving operator",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=Explanation(
            "5.4.7",
            "L’opérateur du destinataire a sans cesse reporté le message ; sa réponse dit pourquoi.",
            "The recipient's operator kept deferring the message; its reply says why.",
        ),
        operator=OperatorWords(
            "the other operator puts the message off",
            Actor.PEER,
            "take it when it is tried again (its reply says why it waits)",
        ),
    ),
    Reason.REMOTE_SEVEN_BIT: Words(
        smtp=SmtpWords(
            refused="554 5.6.3",
            passing="451 4.6.3",
            text="L'operateur destinataire n'accepte pas ce contenu 8 bits"
            " / The receiving operator takes no 8-bit content",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=Explanation(
            "5.6.3",
            "L’opérateur du destinataire n’accepte pas ce format (contenu 8 bits), et le "
            "convertir romprait les signatures. Réglez votre logiciel pour envoyer en base64 ou "
            "quoted-printable.",
            "The recipient's operator does not accept this format (8-bit content), and "
            "converting it would break signatures. Set your software to send in base64 or "
            "quoted-printable.",
        ),
        operator=OperatorWords(
            "the other operator's server takes no 8-bit content",
            Actor.SENDER,
            "have their software write in base64 or quoted-printable",
        ),
    ),
    Reason.EXPIRED_IN_QUEUE: Words(
        smtp=SmtpWords(
            refused="550 5.4.7", passing="450 4.4.7", text="Delai de remise depasse / Delivery time expired"
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=Explanation(
            "5.4.7",
            "Le message n’a pas pu être remis en cinq jours. Joignez le destinataire autrement, "
            "ou renvoyez-le.",
            "The message could not be delivered within five days. Reach the recipient otherwise, "
            "or send again.",
        ),
        operator=OperatorWords(
            "the message waited in the queue for too long",
            Actor.SENDER,
            "reach the recipient otherwise, or send it again",
        ),
    ),
    Reason.SHUTTING_DOWN: Words(
        smtp=SmtpWords(
            refused=NEVER_FOR_EVER,
            passing="421 4.3.2",
            text="Arret du service: reessayez dans quelques minutes"
            " / Shutting down: try again in a few minutes",
        ),
        imap=ImapAnswer("UNAVAILABLE", "Arret du service / Shutting down"),
        notice=OUR_TROUBLE,
        operator=OperatorWords("the service is stopping", Actor.ASKER, "try again once it runs"),
    ),
    Reason.INTERNAL: Words(
        smtp=SmtpWords(
            refused=NEVER_FOR_EVER,
            passing="451 4.3.0",
            text="Incident chez nous: reessayez plus tard / Trouble on our side: try again later",
        ),
        imap=ImapAnswer("SERVERBUG", _OUR_TROUBLE_IN_IMAP),
        notice=OUR_TROUBLE,
        operator=OperatorWords(
            "the program met a fault of its own",
            Actor.US,
            "look for the event 'crashed' in the log, and report it",
        ),
    ),
}
