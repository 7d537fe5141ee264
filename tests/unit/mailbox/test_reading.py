"""mssante.mailbox.reading: what is asked for comes, in order, within bounds; keys are re-wrapped."""

from __future__ import annotations

from typing import Any

import pytest

from mssante.crypto import EnvelopeForm
from mssante.imap.grammar.envelope import envelope
from mssante.mailbox import reading
from mssante.mailbox.reading import Message
from mssante.mime.summary import Summary
from mssante.model import Flag
from mssante.observe.event import Event, add_sink
from mssante.observe.events import CorruptionFound
from mssante.reasons import Passing, Reason, Refused
from mssante.store.records import FlagsMode
from tests.support.owner import Desk, Owner
from tests.vectors.make_summaries import of_version_1

CHUNK = 65_536


async def read(owner: Owner, uids: range, *, header: bool = False) -> list[list[Message]]:
    inbox = await owner.folders.named("INBOX")
    return [
        opened
        async for opened, damaged in owner.reader.messages(inbox.id, uids, header=header)
        if not damaged
    ]


async def test_every_message_comes_once_however_few_fit_at_once(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        await owner.append(b"X-Filler: %b\r\n\r\n" % (b"x" * 2000 * (number % 3)))
    monkeypatch.setattr(reading, "READ_METADATA_OCTETS_AT_ONCE", 5000)
    groups = await read(owner, range(1, 100), header=True)
    assert [message.uid for group in groups for message in group] == list(range(1, 61))
    assert len(groups) > 1
    assert max(len(group) for group in groups) <= 16


async def kept(desk: Desk) -> set[tuple[str, int | None]]:
    """The forms of keys, and the epochs of the listing keys that summaries are under."""
    sql = "SELECT form, listing_epoch FROM message JOIN dek ON number = message_number"
    return await desk.database.read(lambda c: {(row[0], row[1]) for row in c.exec_driver_sql(sql)})


async def test_a_delivered_message_opens_faster_after_first_use(owner: Owner, desk: Desk) -> None:
    for _ in range(3):
        await owner.deliver(b"Subject: s\r\n\r\nx")
    assert await kept(desk) == {(EnvelopeForm.SEALED, None)}
    before = await read(owner, range(1, 4))
    assert await kept(desk) == {(EnvelopeForm.WRAPPED, 1)}
    after = await read(owner, range(1, 4))
    assert [await owner.reader.octets(m, 0, 99) for m in after[0]] == [b"Subject: s\r\n\r\nx"] * 3
    assert [m.summary for group in after for m in group] == [m.summary for group in before for m in group]


async def summaries_kept(owner: Owner) -> list[bytes | None]:
    inbox = await owner.folders.named("INBOX")
    rows = await owner.mailbox.store.messages.summaries(
        inbox.id, range(1, 99), header=False, bytes_max=1 << 20
    )
    assert all(row.listing_epoch == 1 for row in rows)
    return owner.mailbox.ring.open_summaries([(r.message_id, r.blob_id, 1, r.summary_ct) for r in rows])


async def test_summaries_of_an_earlier_version_are_read_and_kept_anew(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = [vector for vector in of_version_1() if b"\0" not in vector.letter]  # which APPEND refuses
    for vector in vectors:
        for keep in (owner.append, owner.deliver):  # under the listing key, and under the message's own
            with monkeypatch.context() as patch:
                patch.setattr(Summary, "to_bytes", lambda _, old=vector.summary: old)
                await keep(vector.letter)
    before = [message for group in await read(owner, range(1, 99)) for message in group]
    assert [envelope(message.summary.envelope) for message in before[::2]] == [v.envelope for v in vectors]
    now = await summaries_kept(owner)
    assert now == [message.summary.to_bytes() for message in before]
    after = [message for group in await read(owner, range(1, 99), header=True) for message in group]
    assert [message.summary for message in after] == [message.summary for message in before]
    assert [await owner.reader.octets(m, 0, 9999) for m in after[1::2]] == [v.letter for v in vectors]
    assert await summaries_kept(owner) == now


async def test_summaries_full_of_parts_are_opened_few_at_a_time(owner: Owner) -> None:
    for _ in range(6):
        await owner.append(
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 999 + b"--b--\r\n"
        )
    groups = await read(owner, range(1, 7))
    assert [message.uid for group in groups for message in group] == list(range(1, 7))
    assert max(len(group) for group in groups) <= 2


async def test_an_appended_message_is_at_once_as_after_first_use(
    owner: Owner, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await owner.append(b"Subject: s\r\n\r\nx")
    assert await kept(desk) == {(EnvelopeForm.WRAPPED, 1)}
    monkeypatch.setattr(owner.mailbox.store.messages, "deks", None)  # a listing opens no key
    ((message,),) = await read(owner, range(1, 2))
    assert message.summary.size == 15


async def test_a_database_that_takes_no_writes_is_still_read(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    await owner.deliver(b"Subject: s\r\n\r\nx")

    async def full(*_: object) -> None:
        raise Passing(Reason.STORAGE_FULL)

    monkeypatch.setattr(owner.mailbox.store.messages, "reseal", full)
    ((message,),) = await read(owner, range(1, 2))
    assert await owner.reader.octets(message, 0, 100) == b"Subject: s\r\n\r\nx"
    monkeypatch.setattr(owner.mailbox.store.folders, "claim_recent", full)
    assert len((await owner.selected()).view) == 1


async def test_small_contents_come_together_and_large_ones_are_left_to_be_read(owner: Owner) -> None:
    sizes = [10, CHUNK, CHUNK + 1, 20, 300_000, 30]
    contents = [b"x" * size for size in sizes]
    for content in contents:
        await owner.append(content)
    messages = [message for group in await read(owner, range(1, 7)) for message in group]
    groups = [group async for group in owner.reader.small_contents(messages)]
    found = [(message.uid, content) for group in groups for message, content in group]
    expected = [content if len(content) <= CHUNK else None for content in contents]
    assert found == list(enumerate(expected, 1))
    assert len(groups) == 1


async def test_any_stretch_of_a_content_is_what_was_kept(owner: Owner) -> None:
    content = bytes(range(1, 9)) * 40_000
    content = content.replace(b"\n", b"-")
    await owner.append(content)
    ((message,),) = await read(owner, range(1, 2))
    for start, length in [
        (0, 1),
        (65_535, 2),
        (65_536, 65_536),
        (131_000, 100_000),
        (319_999, 9),
        (320_000, 5),
        (0, 400_000),
    ]:
        assert await owner.reader.octets(message, start, length) == content[start : start + length]


async def test_a_message_shows_nothing_of_itself(owner: Owner) -> None:
    await owner.append(b"Subject: canari\r\n\r\nx")
    ((message,),) = await read(owner, range(1, 2))
    assert "canari" not in repr(message.summary)
    assert "canari" not in repr(message)


async def test_a_message_shredded_between_two_looks_is_gone_and_not_damaged(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, told = owner.mailbox.store, list[Event]()
    for content in (b"one", b"two"):
        await owner.deliver(b"Subject: s\r\n\r\n" + content)
    await owner.append(b"Subject: s\r\n\r\n" + b"x" * 3 * CHUNK)
    inbox = await owner.folders.named("INBOX")
    ((*_, large),) = await read(owner, range(3, 4))
    find = store.messages.deks

    async def expunged(*asked: Any, **named: Any) -> object:
        monkeypatch.setattr(store.messages, "deks", find)
        await store.messages.store_flags(inbox.id, range(1, 4, 2), FlagsMode.ADD, Flag.DELETED.value)
        await store.messages.expunge(inbox.id, None)
        return await find(*asked, **named)

    monkeypatch.setattr(store.messages, "deks", expunged)
    remove = add_sink(told.append)
    (found,) = [each async for each in owner.reader.messages(inbox.id, range(1, 4), header=True)]
    assert ([message.uid for message in found[0]], found[1]) == ([2, 3], [])
    with pytest.raises(Refused) as refused:
        await owner.reader.octets(large, 0, 10)
    remove()
    assert refused.value.reason is Reason.MESSAGE_GONE
    assert not [event for event in told if isinstance(event, CorruptionFound)]
