"""Why a letter was not delivered, and who must act, in the words of a notice: French first, then English.

Invariants: every Reason has words; none of them holds anything of a peer's or of the letter.
"""

from __future__ import annotations

from dataclasses import dataclass

from mssante.reasons import Reason


@dataclass(frozen=True, slots=True)
class Explanation:
    """`status` is an enhanced code (RFC 3463) of class 5."""

    status: str
    french: str
    english: str


_THEIR_CERTIFICATE = Explanation(
    "5.7.5",
    "Le serveur du destinataire n’a pas prouvé son identité : son opérateur doit corriger son certificat "
    "ou son inscription sur la liste blanche. Votre message n’a pas été transmis.",
    "The recipient's server did not prove its identity: its operator must correct its certificate or its "
    "entry in the white list. Your message was not transmitted.",
)
_OUR_TROUBLE = Explanation(
    "5.3.0",
    "Un incident chez votre opérateur a empêché la remise. Prévenez-le, puis renvoyez votre message.",
    "Trouble at your operator prevented the delivery. Tell your operator, then send your message again.",
)

_SAID: dict[Reason, Explanation] = {
    Reason.MAILBOX_UNKNOWN: Explanation(
        "5.1.1",
        "Cette adresse n’existe pas chez son opérateur. Vérifiez-la dans l’annuaire, puis renvoyez le "
        "message.",
        "This address does not exist at its operator. Check it in the directory, then send your message "
        "again.",
    ),
    Reason.MAILBOX_CLOSED: Explanation(
        "5.2.1",
        "Cette boîte aux lettres est fermée. Cherchez une autre adresse du destinataire dans l’annuaire.",
        "This mailbox is closed. Look for another address of the recipient in the directory.",
    ),
    Reason.MAILBOX_SUSPENDED: Explanation(
        "5.2.1",
        "Cette boîte aux lettres est suspendue par son opérateur. Joignez le destinataire autrement.",
        "This mailbox is suspended by its operator. Reach the recipient by other means.",
    ),
    Reason.MAILBOX_FULL: Explanation(
        "5.2.2",
        "Cette boîte aux lettres est pleine : son titulaire doit y faire de la place.",
        "This mailbox is full: its owner must make room in it.",
    ),
    Reason.DOMAIN_NOT_LISTED: Explanation(
        "5.7.1",
        "Ce domaine n’est pas dans l’espace de confiance MSSanté : aucun message ne peut y être envoyé.",
        "This domain is not in the MSSanté trust space: no message can be sent to it.",
    ),
    Reason.MESSAGE_TOO_LARGE: Explanation(
        "5.3.4",
        "Le message dépasse la taille acceptée par l’opérateur du destinataire. Réduisez les pièces jointes.",
        "The message is larger than the recipient's operator accepts. Reduce the attachments.",
    ),
    Reason.REMOTE_SEVEN_BIT: Explanation(
        "5.6.3",
        "L’opérateur du destinataire n’accepte pas ce format (contenu 8 bits), et le convertir romprait les "
        "signatures. Réglez votre logiciel pour envoyer en base64 ou quoted-printable.",
        "The recipient's operator does not accept this format (8-bit content), and converting it would break "
        "signatures. Set your software to send in base64 or quoted-printable.",
    ),
    Reason.REMOTE_REFUSED: Explanation(
        "5.0.0",
        "L’opérateur du destinataire a refusé le message ; sa réponse dit pourquoi.",
        "The recipient's operator refused the message; its reply says why.",
    ),
    Reason.LOOP_DETECTED: Explanation(
        "5.4.6",
        "Le message tourne en boucle entre des serveurs : un transfert automatique est mal réglé.",
        "The message loops between servers: an automatic forwarding is wrongly set.",
    ),
    Reason.REMOTE_UNREACHABLE: Explanation(
        "5.4.1",
        "Le serveur de l’opérateur du destinataire est resté injoignable. Réessayez plus tard.",
        "The server of the recipient's operator could not be reached. Try again later.",
    ),
    Reason.REMOTE_DEFERRED: Explanation(
        "5.4.7",
        "L’opérateur du destinataire a sans cesse reporté le message ; sa réponse dit pourquoi.",
        "The recipient's operator kept deferring the message; its reply says why.",
    ),
    Reason.EXPIRED_IN_QUEUE: Explanation(
        "5.4.7",
        "Le message n’a pas pu être remis en cinq jours. Joignez le destinataire autrement, ou renvoyez-le.",
        "The message could not be delivered within five days. Reach the recipient otherwise, or send again.",
    ),
    Reason.TLS_FAILED: Explanation(
        "5.7.10",
        "Le serveur du destinataire n’a pas établi de connexion chiffrée : son opérateur doit agir. Votre "
        "message n’a pas été transmis en clair.",
        "The recipient's server did not establish an encrypted connection: its operator must act. Your "
        "message was not transmitted in clear.",
    ),
}
_CERTIFICATES = {
    Reason.PEER_NOT_LISTED,
    Reason.DOMAIN_OF_ANOTHER_OPERATOR,
    Reason.REVOCATION_UNKNOWN,
    *(reason for reason in Reason if reason.name.startswith("CERTIFICATE_")),
}


def explanation(reason: Reason) -> Explanation:
    """Words for a reason; those of a fault of ours when it has none of its own."""
    if reason in _CERTIFICATES:
        return _THEIR_CERTIFICATE
    return _SAID.get(reason, _OUR_TROUBLE)
