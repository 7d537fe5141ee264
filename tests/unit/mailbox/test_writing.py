"""mssante.mailbox.writing: what is appended is kept whole, canonical, and traced to its person."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mssante.flags import FlagList
from mssante.keys.ring import Role
from mssante.mailbox.folders import Folders
from mssante.mailbox.writing import Writer
from mssante.model import PersonId
from mssante.reasons import Reason, Refused
from mssante.store.records import FlagsMode
from tests.support.owner import Desk, Owner


def canonical(content: bytes) -> bool:
    rest = content.replace(b"\r\n", b"")
    return not {b"\r", b"\n", b"\0"} & {bytes([octet]) for octet in rest}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.lists(st.sampled_from([b"a", b"\r\n", b"\r", b"\n", b"\0", b"\r\r\n"]), max_size=12).map(
        b"".join
    ),
    cuts=st.lists(st.integers(0, 20), max_size=4),
)
async def test_only_canonical_lines_are_kept_wherever_they_are_cut(
    owner: Owner, content: bytes, cuts: list[int]
) -> None:
    draft = await owner.writer.draft(await owner.folders.named("INBOX"), 0, len(content))
    places = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    try:
        for start, stop in itertools.pairwise(places):
            await draft.write(content[start:stop])
        await draft.finish(owner.clock.now())
        kept = True
    except Refused as refusal:
        kept, reason = False, refusal.reason
    finally:
        draft.free()
        await draft.blobs.abandon()
    assert kept == canonical(content)
    assert kept or reason in (Reason.BARE_LINE_ENDING, Reason.NUL_OCTET)


async def test_several_messages_are_kept_together_or_not_at_all(owner: Owner) -> None:
    drafts = []
    for number, name in enumerate(("INBOX", "INBOX", "gone")):
        if name == "gone":
            await owner.folders.create(name)
        drafts.append(await owner.writer.draft(await owner.folders.named(name), 0, 1))
        await drafts[-1].write(b"%d" % number)
        await drafts[-1].finish(owner.clock.now())
    await owner.folders.delete("gone")
    with pytest.raises(Refused) as refusal:
        await owner.writer.keep(drafts)
    assert refusal.value.reason is Reason.FOLDER_UNKNOWN
    inbox = await owner.folders.named("INBOX")
    assert len((await owner.mailbox.store.folders.numbers(inbox.id)).uids) == 0


async def test_an_abandoned_draft_leaves_nothing(owner: Owner, desk: Desk) -> None:
    draft = await owner.writer.draft(await owner.folders.named("INBOX"), 0, 3_000_000)
    await draft.write(b"x" * 3_000_000)  # some of it has flowed
    draft.free()
    await draft.blobs.abandon()
    rows = await desk.database.read(
        lambda c: (
            c.exec_driver_sql("SELECT count(*) FROM chunk").scalar_one()
            + c.exec_driver_sql("SELECT count(*) FROM blob").scalar_one()
        )
    )
    assert rows == 0


async def test_the_quota_is_looked_at_before_an_octet_comes(owner: Owner) -> None:
    await owner.mailbox.store.accounts.set_quota(owner.mailbox.id, 10)
    inbox = await owner.folders.named("INBOX")
    with pytest.raises(Refused) as refusal:
        await owner.writer.draft(inbox, 0, 20_000)
    assert refusal.value.reason is Reason.MAILBOX_FULL


async def test_the_journal_names_who_appended(desk: Desk, owner: Owner) -> None:
    await owner.append(b"x")
    _, text = (await desk.store.journal.details(owner.mailbox.id, desk.broker.audit_key()))[-1]
    assert json.loads(text.detail)["person"] == "marie@a.test"


async def test_a_reader_writes_nothing(desk: Desk) -> None:
    team = await desk.mailbox("equipe@a.test")
    await desk.grant("lecteur", team, Role.READ)
    opened = await desk.opened("lecteur")
    folders = Folders(opened)
    writer = Writer(opened, folders)
    inbox = await folders.named("INBOX")
    names = await folders.flag_names()
    for act in (
        writer.draft(inbox, 0, 1),
        writer.flags(inbox.id, [1], FlagsMode.ADD, 1),
        writer.copy(inbox.id, [1], inbox.id, move=False),
        writer.copy(inbox.id, [1], inbox.id, move=True),
        writer.expunge(inbox.id, None),
        writer.mask(FlagList(keywords=("nouveau",)), names),
        folders.create("x"),
        folders.delete("Trash"),
        folders.rename("Trash", "x"),
        folders.subscribe("Trash", on=False),
    ):
        with pytest.raises(Refused) as refusal:
            await act
        assert refusal.value.reason is Reason.NOT_PERMITTED
    assert opened.person == PersonId("lecteur")
