"""A realistic CI-SIS letter about a patient who does not exist, for the demo, the tests and integrators.

Invariants: a function of its arguments (dates, identifiers and boundary included); canonical CRLF, lines
of at most 76 octets of body; the patient's INS is under the test OID, so that no real one can be meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mssante.demo import sample_documents
from mssante.demo.sample_documents import LETTER_CODE, LETTER_LABEL, Patient
from mssante.mime import dates, writing
from mssante.model import Address

__all__ = ["Patient", "letter"]

_TEXT = """\
Chère consœur, cher confrère,

Veuillez trouver ci-joint la lettre de sortie de votre patient, hospitalisé dans notre
service de cardiologie : évolution favorable, traitement inchangé, contrôle prévu à trois mois.

Le document structuré est dans IHE_XDM.zip ; le PDF joint en est la copie lisible.

Bien confraternellement,
Service de cardiologie — lettre d’essai, patient fictif
"""


def letter(
    *,
    sender: Address,
    recipients: Sequence[Address],
    patient: Patient,
    sent_at: datetime,
    unique: str,
    receipt_to: Address | None = None,
) -> bytes:
    """The letter, as a client submits it. `unique`: letters and digits never used before; `receipt_to` asks
    for a read receipt (RFC 8098)."""
    assert writing.UNIQUE.fullmatch(unique), "a boundary and a Message-ID are made of it"
    pdf = sample_documents.pdf(patient, sent_at=sent_at)
    archive = sample_documents.xdm(patient, pdf=pdf, sent_at=sent_at, unique=unique)
    boundary = b"=_letter_" + unique.encode("ascii")
    subject = f"XDM/1.0/DDM+{LETTER_LABEL} {patient.family} {patient.given} {patient.born:%d/%m/%Y}"
    top = [
        writing.field("From", f"<{sender}>"),
        writing.field("To", ", ".join(f"<{recipient}>" for recipient in recipients)),
        writing.text_field("Subject", subject),
        writing.field("Date", dates.rfc5322(sent_at)),
        writing.field("Message-ID", f"<{unique}@{sender.domain}>"),
        writing.field("X-MSS-NIL", "mssante-sample"),
        writing.field("X-MSS-CODECDA", LETTER_CODE),
        writing.field("X-MSS-INS", "O"),
    ]
    if receipt_to is not None:
        top.append(writing.field("Disposition-Notification-To", f"<{receipt_to}>"))
    top.append(writing.field("MIME-Version", "1.0"))
    top.append(b'Content-Type: multipart/mixed;\r\n boundary="%b"\r\n' % boundary)
    parts = (
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + writing.quoted_printable(_TEXT),
        _attachment(b"application/zip", b"IHE_XDM.zip", archive),
        _attachment(b"application/pdf", b"LETTRE.pdf", pdf),
    )
    body = b"".join(b"\r\n--%b\r\n%b" % (boundary, part) for part in parts)
    return b"%b%b\r\n--%b--\r\n" % (b"".join(top), body, boundary)


def _attachment(media: bytes, name: bytes, octets: bytes) -> bytes:
    return (
        b'Content-Type: %b; name="%b"\r\n'
        b'Content-Disposition: attachment; filename="%b"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n" % (media, name, name)
    ) + writing.base64_lines(octets)
