"""Delivery status notifications: French, English, then what programs read; accepted by a real parser."""

from __future__ import annotations

import email
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante import limits
from mssante.mime.notice import Action, ReportedOutcome, notice
from mssante.mime.structure import scan
from mssante.model import Address

AT = datetime(2026, 1, 1, 10, tzinfo=UTC)
HEADER = b"From: <a@b.fr>\r\nSubject: canari\r\nMessage-ID: <original@b.fr>\r\n\r\n"
FAILED = ReportedOutcome(
    recipient=Address.parse("c@d.fr"),
    action=Action.FAILED,
    status="5.1.1",
    french="Cette boîte n’existe pas : vérifiez l’adresse.",
    english="No such mailbox: check the address.",
    remote_server="mx.d.fr",
    remote_reply="550 5.1.1 inconnu\r\nX-Evil: é",
)
DELAYED = ReportedOutcome(
    recipient=Address.parse("e@f.fr"),
    action=Action.DELAYED,
    status="4.4.1",
    french="Serveur injoignable.",
    english="Unreachable.",
    original_recipient="rfc822;E@f.fr",
    last_attempt=AT,
    retry_until=AT,
)


def written(*outcomes: ReportedOutcome, original_header: bytes = HEADER) -> bytes:
    return notice(
        reporting_server="mx.b.fr",
        author=Address.parse("postmaster@b.fr"),
        to=Address.parse("a@b.fr"),
        outcomes=outcomes,
        original_header=original_header,
        sent_at=AT,
        unique="n1",
        envelope_id="QQ314159",
        arrived_at=AT,
    )


def parsed(message: bytes) -> EmailMessage:
    read = email.message_from_bytes(message, policy=policy.default)
    assert isinstance(read, EmailMessage)
    assert not any(part.defects for part in read.walk())
    return read


def test_a_notice_is_a_report_in_three_parts_marked_automatic() -> None:
    read = parsed(written(FAILED))
    assert read.get_content_type() == "multipart/report"
    assert read.get_param("report-type") == "delivery-status"
    assert read["auto-submitted"] == "auto-replied"
    assert read["subject"] == "Message non remis / Undelivered message"
    assert read["in-reply-to"] == "<original@b.fr>"
    assert [part.get_content_type() for part in read.iter_parts()] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]


def test_people_read_french_first_then_english() -> None:
    text = next(iter(parsed(written(FAILED)).iter_parts())).get_content()
    french, english = text.index("vérifiez l’adresse"), text.index("check the address")
    assert french < english
    assert text.count("c@d.fr") == 2
    assert "550 5.1.1 inconnu X-Evil: ?" in text


def test_programs_read_each_recipient() -> None:
    status = list(parsed(written(FAILED, DELAYED)).iter_parts())[1]
    about, failed, delayed = status.iter_parts()
    assert about["reporting-mta"] == "dns; mx.b.fr"
    assert about["original-envelope-id"] == "QQ314159"
    assert about["arrival-date"] == "Thu, 01 Jan 2026 10:00:00 +0000"
    assert (failed["final-recipient"], failed["action"], failed["status"]) == (
        "rfc822; c@d.fr",
        "failed",
        "5.1.1",
    )
    assert failed["remote-mta"] == "dns; mx.d.fr"
    assert failed["diagnostic-code"] == "smtp; 550 5.1.1 inconnu X-Evil: ?"
    assert failed["x-evil"] is None
    assert (delayed["action"], delayed["original-recipient"]) == ("delayed", "rfc822;E@f.fr")
    assert delayed["will-retry-until"] == delayed["last-attempt-date"] == "Thu, 01 Jan 2026 10:00:00 +0000"


def test_only_the_header_of_the_original_comes_back() -> None:
    headers = list(parsed(written(FAILED)).iter_parts())[2]
    assert b"Subject: canari\r\n" in headers.get_payload(decode=True)


@pytest.mark.parametrize("line", ["X: é".encode(), b"X: " + b"y" * 4000])
def test_a_header_mail_cannot_carry_as_it_is_comes_back_encoded(line: bytes) -> None:
    message = written(FAILED, original_header=line + b"\r\n\r\n")
    assert message.isascii()
    assert max(map(len, message.split(b"\r\n"))) <= limits.LINE_OCTETS_OUT_MAX
    headers = list(parsed(message).iter_parts())[2]
    octets = headers.get_payload(decode=True)
    assert isinstance(octets, bytes)
    assert octets.rstrip() == line


def test_a_huge_header_comes_back_cut_at_a_line() -> None:
    message = written(FAILED, original_header=b"X: yyyyy\r\n" * 100_000 + b"\r\n")
    assert len(message) < limits.HEADER_KEPT_OCTETS_MAX + 8 * limits.KIB
    assert b"\r\nX: yyyyy\r\n\r\n--=_notice" in message


def test_a_notice_is_a_function_of_its_arguments() -> None:
    assert written(FAILED, DELAYED) == written(FAILED, DELAYED)


@given(reply=st.text(max_size=1200), header=st.binary(max_size=300))
@settings(deadline=None)
def test_nothing_remote_breaks_a_notice(reply: str, header: bytes) -> None:
    outcome = ReportedOutcome(
        recipient=FAILED.recipient,
        action=Action.FAILED,
        status="5.0.0",
        french="é",
        english="e",
        remote_reply=reply,
    )
    message = written(outcome, original_header=header)
    assert message.isascii()
    assert b"\0" not in message
    assert message.count(b"\n") == message.count(b"\r") == message.count(b"\r\n")
    assert all(len(line) <= limits.LINE_OCTETS_OUT_MAX for line in message.split(b"\r\n"))
    structure = scan(message)
    assert [child.content.subtype for child in structure.root.children] == [
        b"plain",
        b"delivery-status",
        b"rfc822-headers",
    ]
