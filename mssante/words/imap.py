"""A Reason becomes an IMAP response code and a text: what is wrong, and who must act.

Invariants: those of `answers`; a code is one that RFC 5530, RFC 9051 §7.1 or an extension we offer defines.
"""

from __future__ import annotations

from dataclasses import dataclass

from mssante.reasons import Reason
from mssante.words.smtp import smtp_text

R = Reason


@dataclass(frozen=True, slots=True)
class ImapAnswer:
    """A response code without its brackets ("" for none; RFC 5530, RFC 9051 §7.1) and a text."""

    code: str
    text: str

    def __str__(self) -> str:
        return f"[{self.code}] {self.text}" if self.code else self.text


_OURS = "Incident chez nous: reessayez plus tard / Trouble on our side: try again later"
# Those with words of their own in IMAP; the others, which belong to SMTP, answer [CANNOT] in SMTP's words.
_IMAP: dict[Reason, ImapAnswer] = {
    R.AUTHENTICATION_FAILED: ImapAnswer(
        "AUTHENTICATIONFAILED", "Identifiant ou mot de passe refuse / Login or password not accepted"
    ),
    R.AUTHENTICATION_REQUIRED: ImapAnswer("CLIENTBUG", "Connectez-vous d'abord / Log in first"),
    R.TLS_REQUIRED: ImapAnswer("PRIVACYREQUIRED", "TLS d'abord: STARTTLS / TLS first: STARTTLS"),
    R.ACCESS_EXPIRED: ImapAnswer(
        "EXPIRED",
        "Acces expire: demandez a votre operateur de le renouveler"
        " / Access expired: ask your operator to renew it",
    ),
    R.NOT_PERMITTED: ImapAnswer(
        "NOPERM",
        "Vous n'y etes pas autorise: voyez votre operateur / You are not allowed to: ask your operator",
    ),
    R.MAILBOX_UNKNOWN: ImapAnswer("NONEXISTENT", "Boite inconnue / Unknown mailbox"),
    R.MAILBOX_SUSPENDED: ImapAnswer(
        "CONTACTADMIN", "Boite suspendue: voyez votre operateur / Mailbox suspended: ask your operator"
    ),
    R.MAILBOX_CLOSED: ImapAnswer(
        "CONTACTADMIN", "Boite fermee: voyez votre operateur / Mailbox closed: ask your operator"
    ),
    R.MAILBOX_FULL: ImapAnswer(
        "OVERQUOTA", "Boite pleine: supprimez des messages / Mailbox full: delete mail"
    ),
    R.FOLDER_UNKNOWN: ImapAnswer("NONEXISTENT", "Dossier inconnu / No such folder"),
    R.FOLDER_EXISTS: ImapAnswer("ALREADYEXISTS", "Le dossier existe deja / Folder already exists"),
    R.FOLDER_HAS_CHILDREN: ImapAnswer(
        "HASCHILDREN",
        "Supprimez d'abord les dossiers qu'il contient / Delete the folders below it first",
    ),
    R.FOLDER_PROTECTED: ImapAnswer("CANNOT", "Ce dossier est protege / This folder is protected"),
    R.MESSAGE_GONE: ImapAnswer(
        "EXPUNGEISSUED",
        "Message supprime entre-temps: actualisez le dossier"
        " / The message was deleted meanwhile: refresh the folder",
    ),
    R.LIMIT_REACHED: ImapAnswer(
        "LIMIT", "Limite atteinte: demandez moins a la fois / Limit reached: ask for less at a time"
    ),
    R.TOO_MANY_CONNECTIONS: ImapAnswer(
        "LIMIT", "Trop de connexions: fermez-en une / Too many connections: close one"
    ),
    R.TOO_MANY_ERRORS: ImapAnswer("CLIENTBUG", "Trop d'erreurs / Too many errors"),
    R.TOO_SLOW: ImapAnswer("", "Delai depasse / Too slow"),
    R.MESSAGE_TOO_LARGE: ImapAnswer(
        "TOOBIG",
        "Message trop volumineux: reduisez-le / Message too large: reduce it",
    ),
    R.CORRUPTION: ImapAnswer(
        "CORRUPTION", "Message endommage: prevenez votre operateur / Message damaged: tell your operator"
    ),
    R.ENCODING_UNKNOWN: ImapAnswer(
        "UNKNOWN-CTE",
        "Contenu binaire ou encodage inconnu: demandez-le encode"
        " / Binary content or unknown encoding: have it encoded",
    ),
    R.DIRECTORY_UNAVAILABLE: ImapAnswer("UNAVAILABLE", "Annuaire indisponible / Directory unavailable"),
    R.STORAGE_FULL: ImapAnswer("UNAVAILABLE", _OURS),
    R.STORAGE_UNAVAILABLE: ImapAnswer("UNAVAILABLE", _OURS),
    R.KEYS_UNAVAILABLE: ImapAnswer("UNAVAILABLE", _OURS),
    R.SHUTTING_DOWN: ImapAnswer("UNAVAILABLE", "Arret du service / Shutting down"),
    R.INTERNAL: ImapAnswer("SERVERBUG", _OURS),
}


def imap_answer(reason: Reason) -> ImapAnswer:
    """The response code and the text of a NO or BYE that tells `reason`."""
    return _IMAP.get(reason) or ImapAnswer("CANNOT", smtp_text(reason))
