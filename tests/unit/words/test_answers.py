"""Every Reason has its words, in both protocols (attack catalogue S15)."""

import re

import pytest

from mssante.reasons import Passing, Reason, Refused
from mssante.smtp.grammar.replies import every_reply
from mssante.words.imap import imap_answer
from mssante.words.smtp import smtp_answer
from mssante.words.table import WORDS

OURS = {
    Reason.TRUST_SPACE_STALE,
    Reason.CORRUPTION,
    Reason.DIRECTORY_UNAVAILABLE,
    Reason.STORAGE_FULL,
    Reason.STORAGE_UNAVAILABLE,
    Reason.KEYS_UNAVAILABLE,
    Reason.SHUTTING_DOWN,
    Reason.INTERNAL,
}
SHAPE = re.compile(r"[245]\d\d [245]\.\d+\.\d+ [ -~]{0,200}")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_one_line_of_ascii_in_two_languages(reason: Reason) -> None:
    for declined in (Refused(reason, "detail\r\n250 forged"), Passing(reason, "é")):
        line = str(smtp_answer(declined))
        assert SHAPE.fullmatch(line)
        assert " / " in line
        assert "forged" not in line


@pytest.mark.parametrize("reason", Reason)
def test_what_passes_is_never_answered_as_for_ever(reason: Reason) -> None:
    said = smtp_answer(Passing(reason))
    # TLS or a login is asked for, an address is malformed: there is no passing form of these.
    if reason not in (Reason.TLS_REQUIRED, Reason.AUTHENTICATION_REQUIRED, Reason.ADDRESS_MALFORMED):
        assert said.code < 500


@pytest.mark.parametrize("reason", sorted(OURS))
def test_a_fault_of_ours_never_loses_a_letter(reason: Reason) -> None:
    assert smtp_answer(Refused(reason)).code < 500


def test_replies_of_the_grammar_have_the_same_shape() -> None:
    assert len(every_reply()) > 20
    assert all(SHAPE.fullmatch(str(reply)) for reply in every_reply())


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_an_imap_answer(reason: Reason) -> None:
    said = imap_answer(reason)
    assert re.fullmatch(r"[A-Z-]*", said.code)
    assert re.fullmatch(r"[ -~]{3,220}", str(said))


def test_the_tables_name_reasons_only_once_and_all() -> None:
    assert set(WORDS) == set(Reason)


def test_the_codes_practice_software_knows() -> None:
    expected = {
        Reason.MAILBOX_UNKNOWN: "550 5.1.1",
        Reason.MAILBOX_FULL: "552 5.2.2",
        Reason.DOMAIN_OF_ANOTHER_OPERATOR: "550 5.7.1",
        Reason.BARE_LINE_ENDING: "550 5.5.2",
        Reason.LINE_TOO_LONG: "500 5.5.2",
        Reason.MESSAGE_TOO_LARGE: "552 5.3.4",
        Reason.LOOP_DETECTED: "554 5.4.6",
        Reason.AUTHENTICATION_FAILED: "535 5.7.8",
        Reason.TOO_MANY_RECIPIENTS: "452 4.5.3",
    }
    assert {reason: str(smtp_answer(Refused(reason)))[:9] for reason in expected} == expected
