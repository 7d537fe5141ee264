"""The words about addresses and mailboxes: where a letter goes, and who sends it."""

from __future__ import annotations

from mssante.reasons import Reason
from mssante.words.row import (
    CANNOT_AS_IN_SMTP,
    NEVER_IN_A_NOTICE,
    Actor,
    Explanation,
    ImapAnswer,
    OperatorWords,
    SmtpWords,
    Words,
)

ADDRESSES: dict[Reason, Words] = {
    Reason.ADDRESS_MALFORMED: Words(
        smtp=SmtpWords(
            refused="553 5.1.3",
            passing="553 5.1.3",
            text="Adresse mal formee: corrigez-la / Malformed address: correct it",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords("the address is not well formed", Actor.ASKER, "correct it"),
    ),
    Reason.RELAY_DENIED: Words(
        smtp=SmtpWords(
            refused="550 5.7.1",
            passing="450 4.7.1",
            text="Domaine qui n'est pas servi ici: l'operateur emetteur doit verifier sa route"
            " / Domain not served here: the sending operator must check its route",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords("the domain is not served here", Actor.PEER, "check its route"),
    ),
    Reason.MAILBOX_UNKNOWN: Words(
        smtp=SmtpWords(
            refused="550 5.1.1",
            passing="450 4.1.1",
            text="Boite aux lettres inconnue: verifiez l'adresse / Unknown mailbox: check the address",
        ),
        imap=ImapAnswer("NONEXISTENT", "Boite inconnue / Unknown mailbox"),
        notice=Explanation(
            "5.1.1",
            "Cette adresse n’existe pas chez son opérateur. Vérifiez-la dans l’annuaire, puis "
            "renvoyez le message.",
            "This address does not exist at its operator. Check it in the directory, then send "
            "your message again.",
        ),
        operator=OperatorWords(
            "there is no such mailbox", Actor.ASKER, "check the address ('mssante bal list' shows ours)"
        ),
    ),
    Reason.MAILBOX_SUSPENDED: Words(
        smtp=SmtpWords(
            refused="550 5.2.1",
            passing="450 4.2.1",
            text="Boite suspendue: reessayez ou joignez son titulaire autrement"
            " / Mailbox suspended: try later or reach its owner another way",
        ),
        imap=ImapAnswer(
            "CONTACTADMIN", "Boite suspendue: voyez votre operateur / Mailbox suspended: ask your operator"
        ),
        notice=Explanation(
            "5.2.1",
            "Cette boîte aux lettres est suspendue par son opérateur. Joignez le destinataire autrement.",
            "This mailbox is suspended by its operator. Reach the recipient by other means.",
        ),
        operator=OperatorWords(
            "the mailbox is suspended",
            Actor.US,
            "resume it ('mssante bal resume') once it may take mail again",
        ),
    ),
    Reason.MAILBOX_CLOSED: Words(
        smtp=SmtpWords(
            refused="550 5.2.1",
            passing="450 4.2.1",
            text="Boite fermee: retirez cette adresse / Mailbox closed: remove this address",
        ),
        imap=ImapAnswer(
            "CONTACTADMIN", "Boite fermee: voyez votre operateur / Mailbox closed: ask your operator"
        ),
        notice=Explanation(
            "5.2.1",
            "Cette boîte aux lettres est fermée. Cherchez une autre adresse du destinataire dans l’annuaire.",
            "This mailbox is closed. Look for another address of the recipient in the directory.",
        ),
        operator=OperatorWords("the mailbox is closed, and stays so", Actor.ASKER, "use another address"),
    ),
    Reason.MAILBOX_FULL: Words(
        smtp=SmtpWords(
            refused="552 5.2.2",
            passing="452 4.2.2",
            text="Boite pleine: son titulaire doit faire de la place"
            " / Mailbox full: its owner must make room",
        ),
        imap=ImapAnswer("OVERQUOTA", "Boite pleine: supprimez des messages / Mailbox full: delete mail"),
        notice=Explanation(
            "5.2.2",
            "Cette boîte aux lettres est pleine : son titulaire doit y faire de la place.",
            "This mailbox is full: its owner must make room in it.",
        ),
        operator=OperatorWords("the mailbox is full", Actor.OWNER, "make room in it"),
    ),
    Reason.SENDER_NOT_YOURS: Words(
        smtp=SmtpWords(
            refused="553 5.7.1",
            passing="450 4.7.1",
            text="Cette adresse d'expediteur n'est pas la votre: choisissez une de vos boites"
            " / This sender address is not yours: choose one of your mailboxes",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "the sender's address is not one that this person may write from",
            Actor.SENDER,
            "choose one of their own mailboxes",
        ),
    ),
}
