"""The documents of the sample letter: a PDF, a CDA-R2 document that holds it, and the XDM archive.

Invariants: functions of their arguments; every value that is put into XML is escaped. Shapes follow
IHE ITI-32 (XDM) and the public CI-SIS samples; identifiers are ours, derived from `unique`.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from base64 import b64encode
from dataclasses import dataclass
from datetime import date, datetime
from string import Template
from xml.sax.saxutils import escape

from mssante.demo.sample_texts import CDA, INDEX, METADATA, README

LETTER_CODE = "11490-0"  # LOINC, discharge letter
LETTER_LABEL = "Lettre de liaison à la sortie"
_INS_TEST_OID = "1.2.250.1.213.1.4.10"
_DOCUMENT = "DOC0001.XML"  # 8.3, upper case (IHE ITI-32 §3.32.4.1.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A fictitious patient. `sex` is F or M; `ins` 15 digits, always shown under the test OID."""

    family: str
    given: str
    born: date
    sex: str
    ins: str


def pdf(patient: Patient, *, sent_at: datetime) -> bytes:
    """One page with the patient's name, PDF 1.4 (not PDF/A: no font is embedded)."""
    lines = (
        LETTER_LABEL,
        f"Patient fictif : {patient.family} {patient.given}, né(e) le {patient.born:%d/%m/%Y}",
        f"Lettre d'essai du {sent_at:%d/%m/%Y}. Aucune donnée réelle.",
    )
    drawn = b"".join(b"(%b) Tj 0 -24 Td " % _pdf_text(line) for line in lines)
    content = b"BT /F1 14 Tf 72 770 Td %bET" % drawn
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R /Lang (fr-FR) >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    )
    written = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
    table = b"0000000000 65535 f \n"
    for number, content in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(written)
        written += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    start = len(written)
    count = len(objects) + 1
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, start)
    return written + b"xref\n0 %d\n" % count + table + trailer


def _pdf_text(text: str) -> bytes:
    octets = text.encode("cp1252", "replace")
    return octets.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def xdm(patient: Patient, *, pdf: bytes, sent_at: datetime, unique: str) -> bytes:
    """The IHE_XDM.zip: index, read-me, and one submission set of one CDA document that holds the PDF."""
    document = _filled(CDA, patient, sent_at, unique, PDF=b64encode(pdf).decode("ascii"))
    metadata = _filled(
        METADATA,
        patient,
        sent_at,
        unique,
        FILE=_DOCUMENT,
        SIZE=str(len(document)),
        HASH=hashlib.sha1(
            document, usedforsecurity=False
        ).hexdigest(),  # XDS asks for SHA-1 (ITI TF-3 §4.2.3.2.10)
    )
    members = {
        "INDEX.HTM": _filled(INDEX, patient, sent_at, unique, FILE=_DOCUMENT),
        "README.TXT": README.encode("utf-8"),
        "IHE_XDM/SUBSET01/METADATA.XML": metadata,
        f"IHE_XDM/SUBSET01/{_DOCUMENT}": document,
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, octets in members.items():
            member = zipfile.ZipInfo(name, date_time=sent_at.timetuple()[:6])
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3  # the same archive wherever it is made
            member.external_attr = 0o644 << 16
            opened.writestr(member, octets)
    return archive.getvalue()


def _filled(template: str, patient: Patient, sent_at: datetime, unique: str, **more: str) -> bytes:
    values = {
        "FAMILY": patient.family,
        "GIVEN": patient.given,
        "BORN": f"{patient.born:%Y%m%d}",
        "BORN_SHOWN": f"{patient.born:%d/%m/%Y}",
        "SEX": patient.sex,
        "INS": patient.ins,
        "INS_OID": _INS_TEST_OID,
        "CODE": LETTER_CODE,
        "LABEL": LETTER_LABEL,
        "TIME": f"{sent_at:%Y%m%d%H%M%S}",
        "TIME_ZONED": f"{sent_at:%Y%m%d%H%M%S%z}",
        "DOCUMENT_ID": _oid(unique, "document"),
        "SET_ID": _oid(unique, "set"),
        "SUBMISSION_ID": _oid(unique, "submission"),
        "SOURCE_ID": _oid("source", "mssante"),
        **more,
    }
    escaped = {name: escape(value, {'"': "&quot;"}) for name, value in values.items()}
    return Template(template).substitute(escaped).encode("utf-8")


def _oid(unique: str, purpose: str) -> str:
    """An OID under 2.25, the arc of UUIDs (ITU-T X.667), where anyone may draw one."""
    drawn = hashlib.sha256(f"mssante sample/{purpose}/{unique}".encode()).digest()[:16]
    return f"2.25.{int.from_bytes(drawn, 'big')}"
