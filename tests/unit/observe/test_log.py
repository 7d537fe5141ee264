"""mssante.observe: events become lines and counters, and never break the work."""

from __future__ import annotations

import json
import logging
from dataclasses import fields
from pathlib import Path

from mssante.clock import ManualClock
from mssante.model import Direction
from mssante.observe import events, log, report
from mssante.observe.event import Event, add_sink
from mssante.observe.metrics import Metrics
from mssante.observe.terms import LoginProtocol, SmtpStage
from mssante.reasons import Reason

FORBIDDEN_FIELDS = {"subject", "body", "password", "token", "key", "sender", "recipient", "text", "patient"}


def test_an_event_is_one_json_line(tmp_path: Path) -> None:
    stop = log.start(ManualClock().now, tmp_path / "log")
    report(
        events.LoginRefused(
            protocol=LoginProtocol.IMAP, remote="127.0.0.1", reason=Reason.AUTHENTICATION_FAILED
        )
    )
    stop()
    line = json.loads((tmp_path / "log").read_text())
    assert line["event"] == "login_refused"
    assert line["level"] == "warning"
    assert line["reason"] == "authentication_failed"
    assert (tmp_path / "log").stat().st_mode & 0o077 == 0


def test_an_enum_is_written_as_its_word(tmp_path: Path) -> None:
    stop = log.start(ManualClock().now, tmp_path / "log")
    report(
        events.PeerRefused(
            direction=Direction.IN,
            reason=Reason.PEER_NOT_LISTED,
            remote="192.0.2.1",
            dn="CN=x",
            serial="1",
            fingerprint="ff",
            domain="",
        )
    )
    stop()
    written = (tmp_path / "log").read_text()
    assert '"direction": "in", "reason": "peer_not_listed", "remote": "192.0.2.1"' in written


def test_no_event_has_a_field_for_content() -> None:
    kinds = Event.__subclasses__()
    assert len(kinds) > 15
    for kind in kinds:
        assert not FORBIDDEN_FIELDS & {field.name for field in fields(kind)}, kind


def test_a_bug_is_reported_without_its_text() -> None:
    try:
        raise ValueError("CANARY patient")
    except ValueError as error:
        event = events.crashed("delivery", error)
    assert event.error == "ValueError"
    assert "test_log.py:" in event.places
    assert "CANARY" not in repr(event)


def test_a_sink_that_fails_breaks_nothing() -> None:
    seen: list[Event] = []

    def broken(event: Event) -> None:
        raise OSError("disk full")

    removals = [add_sink(broken), add_sink(seen.append)]
    report(events.ServerStopped())
    for remove in removals:
        remove()
    assert seen == [events.ServerStopped()]


def test_events_are_counted_by_reason() -> None:
    metrics = Metrics()
    stop = metrics.start()
    report(events.MessageDeclined(stage=SmtpStage.RCPT, reason=Reason.MAILBOX_UNKNOWN, dn="CN=x"))
    stop()
    text = metrics.text().decode()
    assert 'event="message_declined"' in text
    assert 'reason="mailbox_unknown"' in text
    assert "CN=x" not in text


def test_libraries_that_repeat_what_peers_say_are_silent() -> None:
    log.silence_libraries()
    for name in log.SILENCED:
        assert not logging.getLogger(name).isEnabledFor(logging.CRITICAL)
