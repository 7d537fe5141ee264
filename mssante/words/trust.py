"""The words about a peer and its certificate: why a server that connects, or that we call, is not trusted."""

from __future__ import annotations

from mssante.reasons import Reason
from mssante.words.row import (
    CANNOT_AS_IN_SMTP,
    NEVER_FOR_EVER,
    NEVER_IN_A_NOTICE,
    OUR_TROUBLE,
    Actor,
    Explanation,
    ImapAnswer,
    OperatorWords,
    SmtpWords,
    Words,
)

_THEIR_CERTIFICATE = Explanation(
    "5.7.5",
    "Le serveur du destinataire n’a pas prouvé son identité : son opérateur doit "
    "corriger son certificat ou son inscription sur la liste blanche. Votre message n’a "
    "pas été transmis.",
    "The recipient's server did not prove its identity: its operator must correct its "
    "certificate or its entry in the white list. Your message was not transmitted.",
)

TRUST: dict[Reason, Words] = {
    Reason.CERTIFICATE_MISSING: Words(
        smtp=SmtpWords(
            refused="550 5.7.1",
            passing="450 4.7.1",
            text="Certificat client absent: l'operateur emetteur doit le presenter"
            " / No client certificate: the sending operator must present one",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=_THEIR_CERTIFICATE,
        operator=OperatorWords(
            "no client certificate was presented",
            Actor.PEER,
            "present its IGC-Santé certificate when it connects",
        ),
    ),
    Reason.CERTIFICATE_MALFORMED: Words(
        smtp=SmtpWords(
            refused="550 5.7.5",
            passing="450 4.7.5",
            text="Certificat illisible: l'operateur emetteur doit le remplacer"
            " / Certificate unreadable: the sending operator must replace it",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=_THEIR_CERTIFICATE,
        operator=OperatorWords(
            "the certificate cannot be read, or asks for what we do not apply", Actor.PEER, "replace it"
        ),
    ),
    Reason.CERTIFICATE_UNTRUSTED_ISSUER: Words(
        smtp=SmtpWords(
            refused="550 5.7.5",
            passing="450 4.7.5",
            text="Certificat hors IGC-Sante: l'operateur emetteur doit en changer"
            " / Certificate not from IGC-Sante: the sending operator must change it",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=_THEIR_CERTIFICATE,
        operator=OperatorWords(
            "the certificate does not come from an authority that we trust",
            Actor.PEER,
            "use a certificate of IGC-Santé, and send that of its issuing authority with it",
        ),
    ),
    Reason.CERTIFICATE_EXPIRED: Words(
        smtp=SmtpWords(
            refused="550 5.7.5",
            passing="450 4.7.5",
            text="Certificat expire: l'operateur emetteur doit le renouveler"
            " / Certificate expired: the sending operator must renew it",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=_THEIR_CERTIFICATE,
        operator=OperatorWords(
            "the certificate, or that of an authority above it, has expired", Actor.PEER, "renew it"
        ),
    ),
    Reason.CERTIFICATE_NOT_YET_VALID: Words(
        smtp=SmtpWords(
            refused="550 5.7.5",
            passing="450 4.7.5",
            text="Certificat pas encore valide: l'operateur emetteur doit attendre ou en changer"
            " / Certificate not yet valid: the sending operator must wait or change it",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=_THEIR_CERTIFICATE,
        operator=OperatorWords(
            "the certificate is not valid yet", Actor.BOTH, "check their clocks, then wait for its first day"
        ),
    ),
    Reason.CERTIFICATE_REVOKED: Words(
        smtp=SmtpWords(
            refused="550 5.7.5",
            passing="450 4.7.5",
            text="Certificat revoque: l'operateur emetteur doit en obtenir un autre"
            " / Certificate revoked: the sending operator must obtain another",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=_THEIR_CERTIFICATE,
        operator=OperatorWords("the certificate is revoked", Actor.PEER, "ask IGC-Santé for another one"),
    ),
    Reason.CERTIFICATE_WRONG_USAGE: Words(
        smtp=SmtpWords(
            refused="550 5.7.5",
            passing="450 4.7.5",
            text="Usage du certificat inadapte: l'operateur emetteur doit en changer"
            " / Certificate made for another usage: the sending operator must change it",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=_THEIR_CERTIFICATE,
        operator=OperatorWords(
            "the certificate was made for another usage",
            Actor.PEER,
            "use one that is made for servers and for clients",
        ),
    ),
    Reason.CERTIFICATE_WEAK: Words(
        smtp=SmtpWords(
            refused="550 5.7.5",
            passing="450 4.7.5",
            text="Cle ou signature trop faible: l'operateur emetteur doit changer de certificat"
            " / Weak key or signature: the sending operator must change its certificate",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=_THEIR_CERTIFICATE,
        operator=OperatorWords(
            "the certificate has a key or a signature that is too weak",
            Actor.PEER,
            "renew it with RSA-2048 or P-256, and SHA-256",
        ),
    ),
    Reason.CERTIFICATE_NAME_MISMATCH: Words(
        smtp=SmtpWords(
            refused="550 5.7.1",
            passing="450 4.7.1",
            text="Nom du certificat different du nom attendu: l'operateur doit corriger"
            " / Certificate name is not the expected one: the operator must correct it",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=_THEIR_CERTIFICATE,
        operator=OperatorWords(
            "the certificate does not bear the name expected",
            Actor.PEER,
            "have its DN entered in the liste blanche, or present the certificate that is "
            "listed, with a CN among its host names",
        ),
    ),
    Reason.REVOCATION_UNKNOWN: Words(
        smtp=SmtpWords(
            refused="550 5.7.5",
            passing="451 4.7.5",
            text="Revocation non verifiable pour l'instant: reessayez plus tard"
            " / Revocation cannot be checked now: try again later",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=_THEIR_CERTIFICATE,
        operator=OperatorWords(
            "revocation cannot be checked, since a revocation list is missing or out of date",
            Actor.US,
            "put a fresh one into the folder named by trust.crls",
        ),
    ),
    Reason.PEER_NOT_LISTED: Words(
        smtp=SmtpWords(
            refused="550 5.7.1",
            passing="450 4.7.1",
            text="DN du certificat absent de la liste blanche: l'operateur emetteur doit s'y faire "
            "inscrire"
            " / Certificate DN not in the white list: the sending operator must have it listed",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=_THEIR_CERTIFICATE,
        operator=OperatorWords(
            "the DN of the certificate is not in the liste blanche",
            Actor.PEER,
            "have it entered there, unless our copy of the list is old",
        ),
    ),
    Reason.DOMAIN_NOT_LISTED: Words(
        smtp=SmtpWords(
            refused="550 5.7.1",
            passing="450 4.7.1",
            text="Domaine absent de l'espace de confiance: verifiez l'adresse ou son operateur"
            " / Domain not in the trust space: check the address or ask its operator",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=Explanation(
            "5.7.1",
            "Ce domaine n’est pas dans l’espace de confiance MSSanté : aucun message ne peut y être envoyé.",
            "This domain is not in the MSSanté trust space: no message can be sent to it.",
        ),
        operator=OperatorWords(
            "the domain is not in the liste blanche",
            Actor.ASKER,
            "check its spelling, and the date of our copy ('mssante trust list')",
        ),
    ),
    Reason.DOMAIN_OF_ANOTHER_OPERATOR: Words(
        smtp=SmtpWords(
            refused="550 5.7.1",
            passing="450 4.7.1",
            text="Ce certificat ne parle pas pour ce domaine: l'operateur emetteur doit corriger"
            " / This certificate does not speak for that domain: the sending operator must "
            "correct it",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=_THEIR_CERTIFICATE,
        operator=OperatorWords(
            "the certificate does not speak for that domain",
            Actor.PEER,
            "send from its own domains, or have its DN listed for that one",
        ),
    ),
    Reason.TRUST_SPACE_STALE: Words(
        smtp=SmtpWords(
            refused=NEVER_FOR_EVER,
            passing="451 4.7.0",
            text="Liste blanche perimee chez nous: reessayez, notre operateur agit"
            " / Our trust list is out of date: try again later, our operator must act",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=OUR_TROUBLE,
        operator=OperatorWords(
            "our copy of the liste blanche is too old",
            Actor.US,
            "fetch a new one ('mssante doctor' tells its age)",
        ),
    ),
    Reason.TLS_REQUIRED: Words(
        smtp=SmtpWords(
            refused="530 5.7.0",
            passing="530 5.7.0",
            text="TLS obligatoire: envoyez STARTTLS d'abord / TLS is required: send STARTTLS first",
        ),
        imap=ImapAnswer("PRIVACYREQUIRED", "TLS d'abord: STARTTLS / TLS first: STARTTLS"),
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords("the connection is not encrypted", Actor.SOFTWARE, "send STARTTLS first"),
    ),
    Reason.TLS_FAILED: Words(
        smtp=SmtpWords(
            refused="554 5.7.0",
            passing="454 4.7.0",
            text="TLS n'a pu etre etabli: verifiez certificats et versions"
            " / TLS could not be set up: check certificates and versions",
        ),
        imap=CANNOT_AS_IN_SMTP,
        notice=Explanation(
            "5.7.10",
            "Le serveur du destinataire n’a pas établi de connexion chiffrée : son opérateur "
            "doit agir. Votre message n’a pas été transmis en clair.",
            "The recipient's server did not establish an encrypted connection: its operator must "
            "act. Your message was not transmitted in clear.",
        ),
        operator=OperatorWords(
            "no encrypted connection could be set up",
            Actor.BOTH,
            "compare their certificates and versions of TLS",
        ),
    ),
}
