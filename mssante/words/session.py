"""The words about a session: for a client that may not do something, does too much, or is too slow."""

from __future__ import annotations

from mssante.reasons import Reason
from mssante.words.row import (
    CANNOT_AS_IN_SMTP,
    NEVER_IN_A_NOTICE,
    Actor,
    ImapAnswer,
    OperatorWords,
    SmtpWords,
    Words,
)

SESSION: dict[Reason, Words] = {
    Reason.AUTHENTICATION_FAILED: Words(
        smtp=SmtpWords(
            refused="535 5.7.8",
            passing="454 4.7.0",
            text="Identifiant ou mot de passe refuse / Login or password not accepted",
        ),
        imap=ImapAnswer(
            "AUTHENTICATIONFAILED", "Identifiant ou mot de passe refuse / Login or password not accepted"
        ),
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "the login, the password or the mailbox asked for is wrong",
            Actor.ASKER,
            "check them ('mssante person password' sets a new password)",
        ),
    ),
    Reason.ACCESS_EXPIRED: Words(
        smtp=SmtpWords(
            refused="535 5.7.8",
            passing="454 4.7.0",
            text="Acces expire: demandez a votre operateur de le renouveler"
            " / Access expired: ask your operator to renew it",
        ),
        imap=ImapAnswer(
            "EXPIRED",
            "Acces expire: demandez a votre operateur de le renouveler"
            " / Access expired: ask your operator to renew it",
        ),
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "the access has expired", Actor.US, "renew it ('mssante access grant') if it is still due"
        ),
    ),
    Reason.AUTHENTICATION_REQUIRED: Words(
        smtp=SmtpWords(
            refused="530 5.7.0",
            passing="530 5.7.0",
            text="Authentification obligatoire: configurez votre logiciel"
            " / Authentication required: set it in your mail software",
        ),
        imap=ImapAnswer("CLIENTBUG", "Connectez-vous d'abord / Log in first"),
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords("nobody is signed in on this connection", Actor.ASKER, "sign in first"),
    ),
    Reason.NOT_PERMITTED: Words(
        smtp=SmtpWords(
            refused="550 5.7.1",
            passing="450 4.7.1",
            text="Operation non permise: demandez a votre operateur / Not permitted: ask your operator",
        ),
        imap=ImapAnswer(
            "NOPERM",
            "Vous n'y etes pas autorise: voyez votre operateur / You are not allowed to: ask your operator",
        ),
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "nobody of that name has the access that this needs",
            Actor.US,
            "check the login, and grant the access if it is due ('mssante access grant')",
        ),
    ),
    Reason.NULL_SENDERS_TOO_MANY: Words(
        smtp=SmtpWords(
            refused="450 4.7.1",
            passing="450 4.7.1",
            text="Trop d'avis et d'accuses en peu de temps: reessayez plus tard"
            " / Too many notices and receipts in a short time: try again later",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "one operator sends very many notices and receipts",
            Actor.PEER,
            "send them later, and look for what makes so many",
        ),
    ),
    Reason.RECIPIENTS_GUESSED: Words(
        smtp=SmtpWords(
            refused="450 4.7.1",
            passing="450 4.7.1",
            text="Trop d'adresses inconnues en peu de temps: verifiez vos listes, puis reessayez"
            " / Too many unknown addresses in a short time: check your lists, then try again",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "one operator or person names very many mailboxes that do not exist",
            Actor.ASKER,
            "check its lists of addresses, and whether somebody tries names",
        ),
    ),
    Reason.SENDING_TOO_FAST: Words(
        smtp=SmtpWords(
            refused="450 4.7.1",
            passing="450 4.7.1",
            text="Trop d'envois en une heure: reessayez plus tard ou voyez votre operateur"
            " / Too much sent within an hour: try later, or ask your operator",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "one person or mailbox sends very much",
            Actor.US,
            "find out whether it is them, then change the password or raise [bounds] in the configuration",
        ),
    ),
    Reason.SENDER_QUEUE_FULL: Words(
        smtp=SmtpWords(
            refused="452 4.3.1",
            passing="452 4.3.1",
            text="Trop de vos messages attendent encore leur remise: reessayez plus tard"
            " / Too many of your messages still wait to be delivered: try again later",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "one person or mailbox has very much waiting in the queue",
            Actor.US,
            "see where it waits ('mssante queue list'), or raise [bounds] in the configuration",
        ),
    ),
    Reason.TOO_MANY_RECIPIENTS: Words(
        smtp=SmtpWords(
            refused="452 4.5.3",  # RFC 5321 §4.5.3.1.10: the client sends to the rest in another transaction
            passing="452 4.5.3",
            text="Trop de destinataires: envoyez en plusieurs fois"
            " / Too many recipients: send the rest apart",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "the message has too many recipients at once",
            Actor.SOFTWARE,
            "send to the rest in another transaction",
        ),
    ),
    Reason.TOO_MANY_ERRORS: Words(
        smtp=SmtpWords(
            refused="421 4.7.0",
            passing="421 4.7.0",
            text="Trop d'erreurs dans cette session: fermeture / Too many errors in this session: closing",
        ),
        imap=ImapAnswer("CLIENTBUG", "Trop d'erreurs / Too many errors"),
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "the session had too many errors", Actor.SOFTWARE, "have its commands corrected"
        ),
    ),
    Reason.TOO_MANY_CONNECTIONS: Words(
        smtp=SmtpWords(
            refused="421 4.7.0",
            passing="421 4.7.0",
            text="Trop de connexions: reessayez plus tard / Too many connections: try again later",
        ),
        imap=ImapAnswer("LIMIT", "Trop de connexions: fermez-en une / Too many connections: close one"),
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "too many connections are open", Actor.SOFTWARE, "close one, or try again later"
        ),
    ),
    Reason.TOO_SLOW: Words(
        smtp=SmtpWords(
            refused="421 4.4.2", passing="421 4.4.2", text="Delai depasse: fermeture / Too slow: closing"
        ),
        imap=ImapAnswer("", "Delai depasse / Too slow"),
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "nothing came from the other end for too long", Actor.SOFTWARE, "connect again"
        ),
    ),
    Reason.TOO_SLOW_FOR_OTHERS: Words(
        smtp=SmtpWords(
            refused="421 4.3.2",
            passing="421 4.3.2",
            text="Envoi trop lent alors que d'autres attendent: reessayez plus tard"
            " / Too slow while others wait: try again later",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "it sent its message too slowly, and others had no room for theirs",
            Actor.SOFTWARE,
            "send it again over a faster line, or when there is less to do",
        ),
    ),
}
