"""Fifty mebibytes, from a person's mail software to another's, through two operators: memory flat."""

from __future__ import annotations

import hashlib
import os
import smtplib
import time
from base64 import encodebytes

import pytest

from tests.support.operators.mail_clients import contents, reading, user_context
from tests.support.operators.world import HOST, Trio

MIB = 2**20
MESSAGE_OCTETS = 50 * MIB
PEAK_MAX = 120 * MIB
GROWTH_MAX = 16 * MIB  # R2: above what the server holds when it does nothing


def large_message(sender: str, recipient: str) -> bytes:
    """As a document of 37 MiB makes it: base64 in lines of 76."""
    head = (
        f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: XDM/1.0/DDM+volumineux\r\n"
        "Message-ID: <volumineux@essai.test>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: application/zip; name="IHE_XDM.zip"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    ).encode()
    octets = (MESSAGE_OCTETS - len(head)) // 78 * 57  # 57 octets a line of 76 and CRLF
    return head + encodebytes(os.urandom(octets)).replace(b"\n", b"\r\n")


def test_fifty_mebibytes_cross_two_operators_in_flat_memory(
    trio: Trio, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = trio.a, trio.b
    message = large_message(a.login.address, b.login.address)
    assert MESSAGE_OCTETS - 200 < len(message) <= MESSAGE_OCTETS
    digest, octets = hashlib.sha256(message).digest(), len(message)
    with smtplib.SMTP(HOST, a.ports[1], timeout=120) as client:
        client.starttls(context=user_context(trio.world))
        client.login(a.login.address, a.login.password.value)
        # Past the login: a password check takes its 64 MiB (Argon2id) on purpose, whatever the message.
        with_login = [operator.memory() for operator in (a, b)]
        a.forget_peak()
        b.forget_peak()
        idle = [operator.memory("VmRSS") for operator in (a, b)]
        began, since = time.monotonic(), b.log_length()
        client.sendmail(a.login.address, [b.login.address], message)
        submitted = time.monotonic()
    b.await_events("message_accepted", 1, since, 120, source="peer")
    relayed = time.monotonic()
    peaks = {"submission and relay": [operator.memory() for operator in (a, b)]}
    with reading(trio.world, b) as client:
        b.forget_peak()
        reading_since = time.monotonic()
        found = list(contents(client))
        read = time.monotonic()
    peaks["reading"] = [a.memory(), b.memory()]
    assert hashlib.sha256(found[-1][-octets:]).digest() == digest
    with capsys.disabled():
        print(
            f"\n50 MiB: submitted {submitted - began:.1f} s, at B {relayed - submitted:.1f} s later,"
            f" read in {read - reading_since:.1f} s;"
        )
        for what, (at_a, at_b) in {"idle": idle, **peaks, "with a login": with_login}.items():
            print(f"  peak {what}: A {at_a / MIB:.0f} MiB, B {at_b / MIB:.0f} MiB")
    for pair in peaks.values():
        for before, peak in zip(idle, pair, strict=True):
            assert peak <= PEAK_MAX
            assert peak - before <= GROWTH_MAX
    _remove(trio)


def _remove(trio: Trio) -> None:
    """Out of the way of the tests that follow; the chunks go with it."""
    with reading(trio.world, trio.b) as client:
        client.select("INBOX")
        number = client.search(None, "LARGER", str(40 * MIB))[1][0].split()[-1].decode()
        client.store(number, "+FLAGS", r"(\Deleted)")
        client.expunge()
