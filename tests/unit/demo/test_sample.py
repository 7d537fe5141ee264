"""The sample letter: what a CI-SIS message looks like, accepted by real readers."""

from __future__ import annotations

import email
import io
import re
import zipfile
from datetime import UTC, date, datetime
from email import policy
from email.message import EmailMessage

from lxml import etree

from mssante.demo.sample import Patient, letter
from mssante.mime import encoded_words
from mssante.mime.structure import scan
from mssante.model import Address

PATIENT = Patient(
    family="DUMONT-TEST", given="Élodie", born=date(1961, 4, 12), sex="F", ins="261049999999990"
)
RIM = "{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}"
CDA = "{urn:hl7-org:v3}"


def written(patient: Patient = PATIENT, unique: str = "u1") -> bytes:
    return letter(
        sender=Address.parse("a@b.mssante.fr"),
        recipients=(Address.parse("c@d.mssante.fr"), Address.parse("e@f.mssante.fr")),
        patient=patient,
        sent_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        unique=unique,
        receipt_to=Address.parse("a@b.mssante.fr"),
    )


def parsed(message: bytes) -> EmailMessage:
    read = email.message_from_bytes(message, policy=policy.default)
    assert isinstance(read, EmailMessage)
    assert not any(part.defects for part in read.walk())
    return read


def attachment(name: str, message: bytes) -> bytes:
    (found,) = (part for part in parsed(message).iter_attachments() if part.get_filename() == name)
    content: bytes = found.get_content()
    return content


def archive(message: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(attachment("IHE_XDM.zip", message)))


def test_the_letter_is_a_ci_sis_message() -> None:
    read = parsed(written())
    assert read["subject"] == "XDM/1.0/DDM+Lettre de liaison à la sortie DUMONT-TEST Élodie 12/04/1961"
    assert (read["x-mss-codecda"], read["x-mss-ins"]) == ("11490-0", "O")
    assert read["x-mss-nil"]
    assert read["disposition-notification-to"] == "<a@b.mssante.fr>"
    body = read.get_body()
    assert body is not None
    assert "évolution favorable" in body.get_content()


def test_the_archive_is_sound_and_named_as_xdm_asks() -> None:
    opened = archive(written())
    assert opened.testzip() is None
    assert opened.namelist() == [
        "INDEX.HTM",
        "README.TXT",
        "IHE_XDM/SUBSET01/METADATA.XML",
        "IHE_XDM/SUBSET01/DOC0001.XML",
    ]
    assert {member.date_time for member in opened.infolist()} == {
        (2026, 1, 2, 3, 4, 4)
    }  # zip counts two by two
    etree.fromstring(opened.read("INDEX.HTM"))


def test_the_metadata_describes_the_document_beside_it() -> None:
    opened = archive(written())
    document = opened.read("IHE_XDM/SUBSET01/DOC0001.XML")
    metadata = etree.fromstring(opened.read("IHE_XDM/SUBSET01/METADATA.XML"))
    slots = {
        slot.get("name"): [value.text for value in slot.iter(f"{RIM}Value")]
        for slot in metadata.iter(f"{RIM}Slot")
    }
    assert slots["URI"] == ["DOC0001.XML"]
    assert slots["size"] == [str(len(document))]
    assert "PID-5|DUMONT-TEST^Élodie^^^^^L" in slots["sourcePatientInfo"]
    identifier = etree.fromstring(document).find(f"{CDA}id")
    assert identifier is not None
    assert identifier.get("root") in {each.get("value") for each in metadata.iter(f"{RIM}ExternalIdentifier")}


def test_the_document_is_cda_about_a_patient_under_the_test_oid() -> None:
    message = written()
    document = etree.fromstring(archive(message).read("IHE_XDM/SUBSET01/DOC0001.XML"))
    templates = {template.get("root") for template in document.findall(f"{CDA}templateId")}
    assert templates == {"2.16.840.1.113883.2.8.2.1", "1.2.250.1.213.1.1.1.1"}
    identifier = document.find(f"{CDA}recordTarget/{CDA}patientRole/{CDA}id")
    assert identifier is not None
    assert (identifier.get("root"), identifier.get("extension")) == ("1.2.250.1.213.1.4.10", PATIENT.ins)


def test_the_pdf_says_where_its_objects_are() -> None:
    pdf = attachment("LETTRE.pdf", written())
    assert pdf.startswith(b"%PDF-1.4")
    start = int(pdf[pdf.rindex(b"startxref") :].split()[1])
    assert pdf[start:].startswith(b"xref\n0 6\n")
    offsets = re.findall(rb"(\d{10}) 00000 n ", pdf[start:])
    assert [pdf[int(offset) :].split(b"\n")[0] for offset in offsets] == [
        b"%d 0 obj" % n for n in range(1, 6)
    ]
    stream = re.search(rb"/Length (\d+) >>\nstream\n", pdf)
    assert stream is not None
    assert pdf[stream.end() + int(stream[1]) :].startswith(b"\nendstream")
    assert "Élodie".encode("cp1252") in pdf


def test_a_name_cannot_leave_its_place_in_the_documents() -> None:
    odd = Patient(family="<O\"&')(", given="\r\nX: y$", born=PATIENT.born, sex="F", ins=PATIENT.ins)
    message = written(odd)
    assert parsed(message)["x"] is None
    for name in archive(message).namelist():
        if name.endswith((".XML", ".HTM")):
            etree.fromstring(archive(message).read(name))


def test_the_letter_is_a_function_of_its_arguments_in_canonical_lines() -> None:
    message = written()
    assert message == written()
    assert message != written(unique="u2")
    assert message.isascii()
    assert message.count(b"\n") == message.count(b"\r") == message.count(b"\r\n")
    assert max(map(len, message.split(b"\r\n"))) <= 78


def test_our_own_scanner_reads_the_letter() -> None:
    structure = scan(written())
    assert structure.notes == ()
    assert [child.content.subtype for child in structure.root.children] == [b"plain", b"zip", b"pdf"]
    assert structure.root.envelope is not None
    assert encoded_words.decode(structure.root.envelope.subject or b"").startswith("XDM/1.0/DDM+")
