"""The one way in: what 250 promises, on a real store and a real broker."""

from __future__ import annotations

import asyncio
import sqlite3
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest

from mssante import limits
from mssante.crypto import keys as crypto_keys
from mssante.delivery.reception import Intake, Receipt, Recipient, Trace
from mssante.model import Address, MailboxStatus, MessageSource, PeerIdentity
from mssante.observe import events
from mssante.observe.event import Event, add_sink
from mssante.reasons import Declined, Passing, Reason, Refused
from tests.support.operators.delivery_house import LETTER, House

PEER = PeerIdentity(dn="CN=mss.cabinet-b.test,O=B,C=FR", serial="1", fingerprint="ab" * 32)
TRACE = Trace(
    source=MessageSource.PEER,
    helo="mss.cabinet-b.test",
    remote="192.0.2.1",
    tls_version="TLSv1.3",
    peer=PEER,
    detail={"list": "2026-01-01", "crl": 7},
)
SENDER = Address.parse("dr.b@cabinet-b.test")


async def _begin(house: House, recipients: Sequence[str], sender: Address | None = SENDER) -> Intake:
    found = []
    for each in recipients:
        address = Address.parse(each)
        row = await house.store.accounts.mailbox(address.key)
        assert row is not None
        found.append(Recipient(row.id, address))
    return await house.reception.deposit(sender=sender, recipients=found, trace=TRACE)


async def _receive(house: House, recipients: Sequence[str], content: bytes = LETTER) -> Receipt:
    intake = await _begin(house, recipients)
    await intake.write(content)
    return await intake.commit()


def _rows(folder: Path, table: str) -> int:
    with sqlite3.connect(folder / "mail.db") as database:
        count: int = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return count


async def test_what_was_received_is_there_octet_for_octet_behind_our_trace(a_house: House) -> None:
    await a_house.mailbox("dr.a@chu-a.test")
    receipt = await _receive(a_house, ["dr.a@chu-a.test"])
    (kept,) = await a_house.inbox("dr.a@chu-a.test")
    assert kept.endswith(LETTER)
    trace = kept[: -len(LETTER)].decode()
    assert trace.startswith("Return-Path: <dr.b@cabinet-b.test>\r\nReceived: from mss.cabinet-b.test ")
    assert receipt.id in trace
    assert "with ESMTPS" in trace


async def test_the_same_again_is_a_duplicate_and_changes_nothing(a_house: House, tmp_path: Path) -> None:
    await a_house.mailbox("dr.a@chu-a.test")
    big = LETTER + b"x" * 76 + b"\r\n" * 2 * limits.MIB
    for content in (LETTER, big):
        first = await _receive(a_house, ["dr.a@chu-a.test"], content)
        again = [await _receive(a_house, ["dr.a@chu-a.test"], content) for _ in range(5)]
        assert not first.duplicate
        assert all(receipt.duplicate for receipt in again)
    assert len(await a_house.inbox("dr.a@chu-a.test")) == 2
    assert _rows(tmp_path, "blob") == 0


async def test_a_hundred_retries_keep_one_copy(a_house: House, tmp_path: Path) -> None:
    await a_house.mailbox("dr.a@chu-a.test")
    for _ in range(20):
        await asyncio.gather(*(_receive(a_house, ["dr.a@chu-a.test"]) for _ in range(5)))
    assert _rows(tmp_path, "message") == _rows(tmp_path, "chunk") == _rows(tmp_path, "dedup") == 1


@pytest.mark.parametrize("change", ["content", "sender", "recipients"])
async def test_what_differs_in_anything_is_another_message(a_house: House, change: str) -> None:
    await a_house.mailbox("dr.a@chu-a.test")
    await a_house.mailbox("dr.c@chu-a.test")
    await _receive(a_house, ["dr.a@chu-a.test"])
    to = ["dr.a@chu-a.test", "dr.c@chu-a.test"] if change == "recipients" else ["dr.a@chu-a.test"]
    intake = await _begin(a_house, to, None if change == "sender" else SENDER)
    await intake.write(LETTER + b"more\r\n" if change == "content" else LETTER)
    assert not (await intake.commit()).duplicate


@pytest.mark.parametrize("size", [10, 100_000, 3 * limits.MIB])
async def test_each_recipient_has_a_copy_and_a_key_of_its_own(
    a_house: House, tmp_path: Path, size: int
) -> None:
    names = [f"r{n}@chu-a.test" for n in range(4)]
    for name in names:
        await a_house.mailbox(name)
    content = LETTER + b"y" * size + b"\r\n"
    await _receive(a_house, [*names, names[0].upper()], content)
    for name in names:
        (kept,) = await a_house.inbox(name)
        assert kept.endswith(content)
    assert _rows(tmp_path, "message") == _rows(tmp_path, "dek") == len(names)
    with sqlite3.connect(tmp_path / "mail.db") as database:
        assert database.execute("SELECT count(DISTINCT ct) FROM chunk").fetchone() == (
            _rows(tmp_path, "chunk"),
        )


async def test_what_is_aborted_leaves_no_chunk(a_house: House, tmp_path: Path) -> None:
    await a_house.mailbox("dr.a@chu-a.test")
    intake = await _begin(a_house, ["dr.a@chu-a.test"])
    for _ in range(50):
        await intake.write(b"z" * 65_534 + b"\r\n")
    assert _rows(tmp_path, "chunk") > 0, "a big message flows into rows while it comes in"
    await intake.abort()
    assert (_rows(tmp_path, "chunk"), _rows(tmp_path, "blob"), _rows(tmp_path, "message")) == (0, 0, 0)


async def test_a_message_that_went_round_leaves_nothing(a_house: House, tmp_path: Path) -> None:
    await a_house.mailbox("dr.a@chu-a.test")
    hop = b"Received: from a by b; Mon, 2 Mar 2026 10:00:00 +0100\r\n"
    await _receive(a_house, ["dr.a@chu-a.test"], hop * (limits.RECEIVED_HOPS_MAX - 1) + LETTER)
    intake = await _begin(a_house, ["dr.a@chu-a.test"])
    await intake.write(hop * limits.RECEIVED_HOPS_MAX + LETTER)
    await intake.write(b"z" * 2 * limits.MIB)
    with pytest.raises(Refused) as caught:
        await intake.commit()
    assert caught.value.reason is Reason.LOOP_DETECTED
    assert (_rows(tmp_path, "message"), _rows(tmp_path, "blob")) == (1, 0)


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (MailboxStatus.CLOSED, Refused, Reason.MAILBOX_CLOSED),
        (MailboxStatus.SUSPENDED, Passing, Reason.MAILBOX_SUSPENDED),
    ],
)
async def test_a_mailbox_that_closes_meanwhile_takes_nothing(
    a_house: House, tmp_path: Path, status: MailboxStatus, kind: type[Declined], reason: Reason
) -> None:
    mailbox = await a_house.mailbox("dr.a@chu-a.test")
    intake = await _begin(a_house, ["dr.a@chu-a.test"])
    await intake.write(LETTER + b"x" * 3 * limits.MIB)
    await a_house.store.accounts.set_status(mailbox, status)
    with pytest.raises(kind) as caught:
        await intake.commit()
    assert caught.value.reason is reason
    assert (_rows(tmp_path, "chunk"), _rows(tmp_path, "blob")) == (0, 0)


async def test_one_full_mailbox_of_two_asks_the_peer_to_come_back(a_house: House) -> None:
    await a_house.mailbox("dr.a@chu-a.test")
    await a_house.mailbox("full@chu-a.test", quota_kib=1)
    content = LETTER + b"x" * 5000 + b"\r\n"
    with pytest.raises(Refused) as alone:
        await _receive(a_house, ["full@chu-a.test"], content)
    assert alone.value.reason is Reason.MAILBOX_FULL
    with pytest.raises(Passing) as among_others:
        await _receive(a_house, ["dr.a@chu-a.test", "full@chu-a.test"], content)
    assert among_others.value.reason is Reason.MAILBOX_FULL
    assert await a_house.inbox("dr.a@chu-a.test") == []


async def test_fifty_mebibytes_for_three_come_in_flat_memory(
    a_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crypto_keys, "_watched", None)  # the suite's watch over nonces keeps all it sees
    names = [f"r{n}@chu-a.test" for n in range(3)]
    for name in names:
        await a_house.mailbox(name)
    intake = await _begin(a_house, names)
    block = (b"x" * 76 + b"\r\n") * 800
    tracemalloc.start()
    for _ in range(50 * limits.MIB // len(block)):
        await intake.write(block)
    await intake.commit()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"peak while receiving 50 MiB for three: {peak / limits.MIB:.1f} MiB")
    assert peak < 8 * limits.MIB


async def test_the_event_and_the_journal_tell_who_and_how_much_and_no_more(a_house: House) -> None:
    told: list[Event] = []
    forget = add_sink(told.append)
    mailbox = await a_house.mailbox("dr.a@chu-a.test")
    receipt = await _receive(a_house, ["dr.a@chu-a.test"])
    forget()
    (event,) = [each for each in told if isinstance(each, events.MessageAccepted)]
    assert (event.message, event.source, event.dn, event.recipients) == (receipt.id, "peer", PEER.dn, 1)
    assert event.bytes == len((await a_house.inbox("dr.a@chu-a.test"))[0])
    lines = await a_house.store.journal.details(mailbox, a_house.broker.audit_key())
    (text,) = [text for line, text in lines if line.kind == "accepted"]
    assert text.at == int(a_house.clock.now().timestamp())
    assert text.detail == f'{{"crl":7,"list":"2026-01-01","peer":"{PEER.fingerprint}","source":"peer"}}'


async def test_nothing_on_disk_tells_what_it_was(a_house: House, tmp_path: Path) -> None:
    await a_house.mailbox("dr.a@chu-a.test")
    await _receive(a_house, ["dr.a@chu-a.test"])
    await a_house.submit(["dr.z@cabinet-b.test"])
    everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    for canary in (b"Bonjour", b"XDM/1.0", b"dr.b@", b"dr.z@", b"cabinet-b", b"mss.cabinet"):
        assert canary not in everything


async def test_a_submission_without_message_id_may_be_said_twice(a_house: House) -> None:
    await a_house.mailbox("dr.a@chu-a.test")
    nameless = b"From: dr.a@chu-a.test\r\n\r\nBonjour\r\n"
    for content, queued in ((nameless, 2), (LETTER, 3)):
        for _ in range(2):
            await a_house.submit(["dr.z@cabinet-b.test"], content)
        assert len(await a_house.store.queue.messages()) == queued
