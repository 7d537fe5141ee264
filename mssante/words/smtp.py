"""A Reason becomes what goes on the wire, here (SMTP) and in `imap_answers`, and nowhere else.

Invariants: every Reason has an answer in both protocols (a test reads the tables); a fault of ours is 4xx
whatever was raised, so it never loses a letter; a text says what is wrong, who must act and what to do,
in French then English, ASCII, without a word of the peer's.
"""

from __future__ import annotations

from mssante.reasons import Declined, Passing, Reason
from mssante.words.reply import Reply

R = Reason

# Refused, Passing, text. No Refused form: it is our own trouble, never permanent.
_SMTP: dict[Reason, tuple[str | None, str, str]] = {
    R.CERTIFICATE_MISSING: (
        "550 5.7.1",
        "450 4.7.1",
        "Certificat client absent: l'operateur emetteur doit le presenter"
        " / No client certificate: the sending operator must present one",
    ),
    R.CERTIFICATE_MALFORMED: (
        "550 5.7.5",
        "450 4.7.5",
        "Certificat illisible: l'operateur emetteur doit le remplacer"
        " / Certificate unreadable: the sending operator must replace it",
    ),
    R.CERTIFICATE_UNTRUSTED_ISSUER: (
        "550 5.7.5",
        "450 4.7.5",
        "Certificat hors IGC-Sante: l'operateur emetteur doit en changer"
        " / Certificate not from IGC-Sante: the sending operator must change it",
    ),
    R.CERTIFICATE_EXPIRED: (
        "550 5.7.5",
        "450 4.7.5",
        "Certificat expire: l'operateur emetteur doit le renouveler"
        " / Certificate expired: the sending operator must renew it",
    ),
    R.CERTIFICATE_NOT_YET_VALID: (
        "550 5.7.5",
        "450 4.7.5",
        "Certificat pas encore valide: l'operateur emetteur doit attendre ou en changer"
        " / Certificate not yet valid: the sending operator must wait or change it",
    ),
    R.CERTIFICATE_REVOKED: (
        "550 5.7.5",
        "450 4.7.5",
        "Certificat revoque: l'operateur emetteur doit en obtenir un autre"
        " / Certificate revoked: the sending operator must obtain another",
    ),
    R.CERTIFICATE_WRONG_USAGE: (
        "550 5.7.5",
        "450 4.7.5",
        "Usage du certificat inadapte: l'operateur emetteur doit en changer"
        " / Certificate made for another usage: the sending operator must change it",
    ),
    R.CERTIFICATE_WEAK: (
        "550 5.7.5",
        "450 4.7.5",
        "Cle ou signature trop faible: l'operateur emetteur doit changer de certificat"
        " / Weak key or signature: the sending operator must change its certificate",
    ),
    R.CERTIFICATE_NAME_MISMATCH: (
        "550 5.7.1",
        "450 4.7.1",
        "Nom du certificat different du nom attendu: l'operateur doit corriger"
        " / Certificate name is not the expected one: the operator must correct it",
    ),
    R.REVOCATION_UNKNOWN: (
        "550 5.7.5",
        "451 4.7.5",
        "Revocation non verifiable pour l'instant: reessayez plus tard"
        " / Revocation cannot be checked now: try again later",
    ),
    R.PEER_NOT_LISTED: (
        "550 5.7.1",
        "450 4.7.1",
        "DN du certificat absent de la liste blanche: l'operateur emetteur doit s'y faire inscrire"
        " / Certificate DN not in the white list: the sending operator must have it listed",
    ),
    R.DOMAIN_NOT_LISTED: (
        "550 5.7.1",
        "450 4.7.1",
        "Domaine absent de l'espace de confiance: verifiez l'adresse ou son operateur"
        " / Domain not in the trust space: check the address or ask its operator",
    ),
    R.DOMAIN_OF_ANOTHER_OPERATOR: (
        "550 5.7.1",
        "450 4.7.1",
        "Ce certificat ne parle pas pour ce domaine: l'operateur emetteur doit corriger"
        " / This certificate does not speak for that domain: the sending operator must correct it",
    ),
    R.TRUST_SPACE_STALE: (
        None,
        "451 4.7.0",
        "Liste blanche perimee chez nous: reessayez, notre operateur agit"
        " / Our trust list is out of date: try again later, our operator must act",
    ),
    R.TLS_REQUIRED: (
        "530 5.7.0",
        "530 5.7.0",
        "TLS obligatoire: envoyez STARTTLS d'abord / TLS is required: send STARTTLS first",
    ),
    R.TLS_FAILED: (
        "554 5.7.0",
        "454 4.7.0",
        "TLS n'a pu etre etabli: verifiez certificats et versions"
        " / TLS could not be set up: check certificates and versions",
    ),
    R.ADDRESS_MALFORMED: (
        "553 5.1.3",
        "553 5.1.3",
        "Adresse mal formee: corrigez-la / Malformed address: correct it",
    ),
    R.RELAY_DENIED: (
        "550 5.7.1",
        "450 4.7.1",
        "Domaine qui n'est pas servi ici: l'operateur emetteur doit verifier sa route"
        " / Domain not served here: the sending operator must check its route",
    ),
    R.MAILBOX_UNKNOWN: (
        "550 5.1.1",
        "450 4.1.1",
        "Boite aux lettres inconnue: verifiez l'adresse / Unknown mailbox: check the address",
    ),
    R.MAILBOX_SUSPENDED: (
        "550 5.2.1",
        "450 4.2.1",
        "Boite suspendue: reessayez ou joignez son titulaire autrement"
        " / Mailbox suspended: try later or reach its owner another way",
    ),
    R.MAILBOX_CLOSED: (
        "550 5.2.1",
        "450 4.2.1",
        "Boite fermee: retirez cette adresse / Mailbox closed: remove this address",
    ),
    R.MAILBOX_FULL: (
        "552 5.2.2",
        "452 4.2.2",
        "Boite pleine: son titulaire doit faire de la place / Mailbox full: its owner must make room",
    ),
    R.SENDER_NOT_YOURS: (
        "553 5.7.1",
        "450 4.7.1",
        "Cette adresse d'expediteur n'est pas la votre: choisissez une de vos boites"
        " / This sender address is not yours: choose one of your mailboxes",
    ),
    R.MESSAGE_TOO_LARGE: (
        "552 5.3.4",
        "452 4.3.4",
        "Message trop volumineux: reduisez les pieces jointes / Message too large: reduce its attachments",
    ),
    R.BARE_LINE_ENDING: (
        "550 5.5.2",
        "450 4.5.2",
        "Fins de ligne CR ou LF isolees: le logiciel emetteur doit etre corrige"
        " / Bare CR or LF: the sending software must be corrected",
    ),
    R.NUL_OCTET: (
        "550 5.6.0",
        "450 4.6.0",
        "Octet nul dans le message: le logiciel emetteur doit etre corrige"
        " / NUL octet in the message: the sending software must be corrected",
    ),
    R.LINE_TOO_LONG: (
        "500 5.5.2",
        "450 4.5.2",
        "Ligne trop longue: le logiciel emetteur doit etre corrige"
        " / Line too long: the sending software must be corrected",
    ),
    R.LOOP_DETECTED: (
        "554 5.4.6",
        "450 4.4.6",
        "Le message tourne en boucle: les operateurs doivent verifier leurs routes"
        " / Mail loop: the operators must check their routes",
    ),
    R.HEADER_FROM_MALFORMED: (
        "550 5.6.0",
        "450 4.6.0",
        "Champ From absent ou mal forme: le logiciel emetteur doit etre corrige"
        " / Missing or malformed From field: the sending software must be corrected",
    ),
    R.AUTHENTICATION_FAILED: (
        "535 5.7.8",
        "454 4.7.0",
        "Identifiant ou mot de passe refuse / Login or password not accepted",
    ),
    R.AUTHENTICATION_REQUIRED: (
        "530 5.7.0",
        "530 5.7.0",
        "Authentification obligatoire: configurez votre logiciel"
        " / Authentication required: set it in your mail software",
    ),
    R.ACCESS_EXPIRED: (
        "535 5.7.8",
        "454 4.7.0",
        "Acces expire: demandez a votre operateur de le renouveler"
        " / Access expired: ask your operator to renew it",
    ),
    R.NOT_PERMITTED: (
        "550 5.7.1",
        "450 4.7.1",
        "Operation non permise: demandez a votre operateur / Not permitted: ask your operator",
    ),
    R.NULL_SENDERS_TOO_MANY: (
        "450 4.7.1",
        "450 4.7.1",
        "Trop d'avis et d'accuses en peu de temps: reessayez plus tard"
        " / Too many notices and receipts in a short time: try again later",
    ),
    R.TOO_MANY_RECIPIENTS: (
        "452 4.5.3",  # RFC 5321 §4.5.3.1.10: the rest is for another transaction
        "452 4.5.3",
        "Trop de destinataires: envoyez en plusieurs fois / Too many recipients: send the rest apart",
    ),
    R.TOO_MANY_ERRORS: (
        "421 4.7.0",
        "421 4.7.0",
        "Trop d'erreurs dans cette session: fermeture / Too many errors in this session: closing",
    ),
    R.TOO_MANY_CONNECTIONS: (
        "421 4.7.0",
        "421 4.7.0",
        "Trop de connexions: reessayez plus tard / Too many connections: try again later",
    ),
    R.TOO_SLOW: (
        "421 4.4.2",
        "421 4.4.2",
        "Delai depasse: fermeture / Too slow: closing",
    ),
    R.FOLDER_UNKNOWN: ("550 5.2.0", "450 4.2.0", "Dossier inconnu / No such folder"),
    R.FOLDER_EXISTS: ("550 5.2.0", "450 4.2.0", "Le dossier existe deja / Folder already exists"),
    R.FOLDER_PROTECTED: ("550 5.2.0", "450 4.2.0", "Dossier protege / Protected folder"),
    R.FOLDER_HAS_CHILDREN: ("550 5.2.0", "450 4.2.0", "Dossier non vide / The folder has folders in it"),
    R.MESSAGE_GONE: ("550 5.2.0", "450 4.2.0", "Message disparu / The message is gone"),
    R.LIMIT_REACHED: (
        "452 4.3.1",
        "452 4.3.1",
        "Limite atteinte: reessayez plus tard / Limit reached: try again later",
    ),
    R.CORRUPTION: (
        None,
        "451 4.3.0",
        "Incident chez nous: reessayez, notre operateur agit / Trouble on our side: try again later",
    ),
    R.ENCODING_UNKNOWN: (
        "554 5.6.1",
        "451 4.6.1",
        "Encodage inconnu: le logiciel emetteur doit etre corrige"
        " / Unknown encoding: the sending software must be corrected",
    ),
    R.DIRECTORY_UNAVAILABLE: (
        None,
        "451 4.4.3",
        "Annuaire indisponible: reessayez plus tard / Directory unavailable: try again later",
    ),
    R.STORAGE_FULL: (
        None,
        "452 4.3.1",
        "Stockage plein chez nous: reessayez plus tard, notre operateur agit"
        " / Our storage is full: try again later, our operator must act",
    ),
    R.STORAGE_UNAVAILABLE: (
        None,
        "451 4.3.0",
        "Stockage indisponible chez nous: reessayez plus tard / Our storage is unavailable: try again later",
    ),
    R.KEYS_UNAVAILABLE: (
        None,
        "451 4.3.0",
        "Service de cles indisponible chez nous: reessayez plus tard"
        " / Our key service is unavailable: try again later",
    ),
    R.REMOTE_UNREACHABLE: (
        "550 5.4.1",
        "450 4.4.1",
        "Operateur destinataire injoignable / The receiving operator cannot be reached",
    ),
    R.REMOTE_REFUSED: (
        "550 5.0.0",
        "450 4.0.0",
        "Refuse par l'operateur destinataire / Refused by the receiving operator",
    ),
    R.REMOTE_DEFERRED: (
        "450 4.0.0",
        "450 4.0.0",
        "Reporte par l'operateur destinataire / Deferred by the receiving operator",
    ),
    R.REMOTE_SEVEN_BIT: (
        "554 5.6.3",
        "451 4.6.3",
        "L'operateur destinataire n'accepte pas ce contenu 8 bits"
        " / The receiving operator takes no 8-bit content",
    ),
    R.EXPIRED_IN_QUEUE: (
        "550 5.4.7",
        "450 4.4.7",
        "Delai de remise depasse / Delivery time expired",
    ),
    R.SHUTTING_DOWN: (
        None,
        "421 4.3.2",
        "Arret du service: reessayez dans quelques minutes / Shutting down: try again in a few minutes",
    ),
    R.INTERNAL: (
        None,
        "451 4.3.0",
        "Incident chez nous: reessayez plus tard / Trouble on our side: try again later",
    ),
}


def _replies(*, passing: bool) -> dict[Reason, Reply]:
    made = {}
    for reason, (refused, deferred, text) in _SMTP.items():
        code, enhanced = (deferred if passing else refused or deferred).split()
        made[reason] = Reply(int(code), enhanced, text)
    return made


_REFUSED = _replies(passing=False)
_PASSING = _replies(passing=True)


def smtp_answer(declined: Declined) -> Reply:
    """The reply that tells `declined`: its reason alone decides, its detail stays here."""
    return (_PASSING if isinstance(declined, Passing) else _REFUSED)[declined.reason]


def smtp_text(reason: Reason) -> str:
    """What a reply says of `reason`, without its codes."""
    return _SMTP[reason][2]
