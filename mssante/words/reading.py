"""The words about folders and messages, for somebody who reads a mailbox."""

from __future__ import annotations

from mssante.reasons import Reason
from mssante.words.row import (
    NEVER_FOR_EVER,
    NEVER_IN_A_NOTICE,
    OUR_TROUBLE,
    Actor,
    ImapAnswer,
    OperatorWords,
    SmtpWords,
    Words,
)

READING: dict[Reason, Words] = {
    Reason.FOLDER_UNKNOWN: Words(
        smtp=SmtpWords(refused="550 5.2.0", passing="450 4.2.0", text="Dossier inconnu / No such folder"),
        imap=ImapAnswer("NONEXISTENT", "Dossier inconnu / No such folder"),
        notice=OUR_TROUBLE,
        operator=OperatorWords("there is no such folder", Actor.ASKER, "check its name"),
    ),
    Reason.FOLDER_EXISTS: Words(
        smtp=SmtpWords(
            refused="550 5.2.0", passing="450 4.2.0", text="Le dossier existe deja / Folder already exists"
        ),
        imap=ImapAnswer("ALREADYEXISTS", "Le dossier existe deja / Folder already exists"),
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords("a folder of that name exists already", Actor.ASKER, "choose another name"),
    ),
    Reason.FOLDER_HAS_CHILDREN: Words(
        smtp=SmtpWords(
            refused="550 5.2.0", passing="450 4.2.0", text="Dossier non vide / The folder has folders in it"
        ),
        imap=ImapAnswer(
            "HASCHILDREN", "Supprimez d'abord les dossiers qu'il contient / Delete the folders below it first"
        ),
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords("the folder has folders below it", Actor.ASKER, "delete those first"),
    ),
    Reason.FOLDER_PROTECTED: Words(
        smtp=SmtpWords(refused="550 5.2.0", passing="450 4.2.0", text="Dossier protege / Protected folder"),
        imap=ImapAnswer("CANNOT", "Ce dossier est protege / This folder is protected"),
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "the folder is one that every mailbox keeps", Actor.ASKER, "leave it as it is"
        ),
    ),
    Reason.LIMIT_REACHED: Words(
        smtp=SmtpWords(
            refused="452 4.3.1",
            passing="452 4.3.1",
            text="Limite atteinte: reessayez plus tard / Limit reached: try again later",
        ),
        imap=ImapAnswer(
            "LIMIT", "Limite atteinte: demandez moins a la fois / Limit reached: ask for less at a time"
        ),
        notice=OUR_TROUBLE,
        operator=OperatorWords(
            "a limit was reached", Actor.ASKER, "ask for less at a time, or try again later"
        ),
    ),
    Reason.MESSAGE_GONE: Words(
        smtp=SmtpWords(
            refused="550 5.2.0", passing="450 4.2.0", text="Message disparu / The message is gone"
        ),
        imap=ImapAnswer(
            "EXPUNGEISSUED",
            "Message supprime entre-temps: actualisez le dossier"
            " / The message was deleted meanwhile: refresh the folder",
        ),
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords("the message was deleted meanwhile", Actor.ASKER, "refresh the folder"),
    ),
    Reason.CORRUPTION: Words(
        smtp=SmtpWords(
            refused=NEVER_FOR_EVER,
            passing="451 4.3.0",
            text="Incident chez nous: reessayez, notre operateur agit / Trouble on our side: try again later",
        ),
        imap=ImapAnswer(
            "CORRUPTION", "Message endommage: prevenez votre operateur / Message damaged: tell your operator"
        ),
        notice=OUR_TROUBLE,
        operator=OperatorWords(
            "stored data is damaged",
            Actor.US,
            "run 'mssante doctor --verify-data', then put back a copy (docs/operators/recover.md)",
        ),
    ),
    Reason.ENCODING_UNKNOWN: Words(
        smtp=SmtpWords(
            refused="554 5.6.1",
            passing="451 4.6.1",
            text="Encodage inconnu: le logiciel emetteur doit etre corrige"
            " / Unknown encoding: the sending software must be corrected",
        ),
        imap=ImapAnswer(
            "UNKNOWN-CTE",
            "Contenu binaire ou encodage inconnu: demandez-le encode"
            " / Binary content or unknown encoding: have it encoded",
        ),
        notice=NEVER_IN_A_NOTICE,
        operator=OperatorWords(
            "the content is binary, or has an encoding that is not known",
            Actor.SOFTWARE,
            "encode it in base64 or quoted-printable",
        ),
    ),
}
