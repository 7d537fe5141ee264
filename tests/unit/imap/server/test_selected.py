"""mssante.imap.server.selected: flags stand beside the numbers the client counts, whatever others do."""

from __future__ import annotations

import time
import tracemalloc
from array import array
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mssante.flags import RECENT
from mssante.imap.grammar.sets import SequenceSet
from mssante.imap.rules.view import FolderNews as Heard
from mssante.imap.server.selected import Manner, Selected
from mssante.mailbox.folders import NamedFolder
from mssante.model import Flag, FolderId, MailboxId, ModSeq, Uid
from mssante.store import MailStore
from mssante.store.folder_reading import FolderNumbers
from mssante.store.live import LiveFolder
from mssante.store.records import Changes, FlagsMode, FlagsRows, Folder
from tests.support.owner import Owner

SEEN, FLAGGED, DELETED = Flag.SEEN.value, Flag.FLAGGED.value, Flag.DELETED.value
PLAIN = Manner()


def names(mask: int) -> bytes:
    return b"%d" % (mask & ~RECENT)


def told(selected: Selected, *, expunges: bool = True, manner: Manner = PLAIN) -> list[bytes]:
    lines = b"".join(selected.news(names, manner=manner, expunges=expunges))
    selected.told()
    return lines.split(b"\r\n")[:-1]


def everything(selected: Selected) -> list[tuple[int, int, int]]:
    whole = [range(len(selected.view))]
    return [(n, uid, mask & ~RECENT) for n, uid, mask in selected.messages(whole)]


def rows(*found: tuple[int, int, int]) -> FlagsRows:
    uids, flags, modseqs = (array("Q", [row[at] for row in found]) for at in range(3))
    return FlagsRows(uids, flags, modseqs)


async def test_what_others_do_waits_until_it_may_be_told(owner: Owner) -> None:
    for _ in range(4):
        await owner.append(b"x")
    selected = await owner.selected()
    await owner.writer.flags(selected.id, [1, 3], FlagsMode.ADD, DELETED)
    await owner.writer.expunge(selected.id, None)
    await owner.writer.flags(selected.id, [4], FlagsMode.ADD, FLAGGED)
    await owner.append(b"x", flags=SEEN)
    await selected.refresh()
    assert everything(selected) == [(2, 2, 0), (4, 4, FLAGGED)]
    assert selected.row(1) is None
    assert told(selected, expunges=False) == [
        b"* 5 EXISTS", b"* 5 RECENT", b"* 4 FETCH (UID 4 FLAGS (4))",
    ]  # fmt: skip
    assert everything(selected) == [(2, 2, 0), (4, 4, FLAGGED), (5, 5, SEEN)]
    assert told(selected) == [b"* 1 EXPUNGE", b"* 2 EXPUNGE"]
    assert everything(selected) == [(1, 2, 0), (2, 4, FLAGGED), (3, 5, SEEN)]
    assert told(selected) == []


async def test_what_came_and_went_between_two_looks_is_never_told(owner: Owner) -> None:
    selected = await owner.selected()
    await owner.append(b"x", flags=DELETED)
    await owner.writer.expunge(selected.id, None)
    await selected.refresh()
    assert told(selected) == []
    await owner.append(b"x", flags=DELETED)
    await selected.refresh()  # noted, not told
    await owner.writer.expunge(selected.id, None)
    await owner.append(b"x")
    await selected.refresh()
    assert told(selected)[0] == b"* 1 EXISTS"
    assert everything(selected) == [(1, 3, 0)]


async def test_what_this_session_changed_is_not_told_to_it(owner: Owner) -> None:
    await owner.append(b"x")
    selected = await owner.selected()
    rows = await owner.writer.flags(selected.id, [1], FlagsMode.ADD, SEEN)
    assert await selected.learn(rows)
    assert everything(selected) == [(1, 1, SEEN)]
    await selected.refresh()
    assert told(selected) == []
    assert selected.first_unseen() is None


async def test_flags_seen_grows_with_what_is_met(owner: Owner) -> None:
    selected = await owner.selected()
    bit = await owner.keyword("dossier")
    await owner.append(b"x", flags=bit)
    assert not selected.flags_seen & bit
    await selected.refresh()
    assert selected.flags_seen & bit


async def test_the_first_session_that_may_write_has_the_recent_ones(owner: Owner) -> None:
    await owner.append(b"x")
    looks = await owner.selected(read_only=True)
    first, second = await owner.selected(), await owner.selected()
    assert [each.view.recent_count for each in (looks, first, second)] == [1, 1, 0]
    await owner.append(b"x")
    await second.refresh()
    await first.refresh()
    told(first), told(second)
    assert [each.view.recent_count for each in (first, second)] == [1, 1]


async def test_what_changed_since_a_modseq_is_found_by_place_and_by_uid(owner: Owner) -> None:
    """RFC 7162 §3.1.4.1 and §3.2.6."""
    for _ in range(6):
        await owner.append(b"x")
    selected = await owner.selected()
    start = selected.complete
    everything = [range(6)]
    assert selected.changed_since(everything, start) == []
    assert selected.changed_since(everything, 0) == everything
    await owner.writer.flags(selected.id, [2, 3, 5], FlagsMode.ADD, DELETED)
    await owner.writer.expunge(selected.id, [5])
    await selected.refresh()
    assert selected.changed_since(everything, start) == [range(1, 3)]
    assert selected.complete == start  # its client has not been told
    assert list(await selected.expunged_since(start, None)) == [5]
    told(selected)
    await owner.writer.expunge(selected.id, [2])
    assert list(await selected.expunged_since(start, None)) == [5], "of 2 this session has not heard"
    await selected.refresh()
    told(selected)
    for known, gone in (
        (SequenceSet(((1, 4),)), [2]),
        (SequenceSet((), 1), [2, 5]),
        (SequenceSet(((2, 2),), 6), [2]),
        (SequenceSet((), 0xFFFFFFFF), []),
        (SequenceSet(((7, 9),)), []),
    ):
        assert list(await selected.expunged_since(start, known)) == gone
    assert list(await selected.expunged_since(selected.complete, None)) == []


async def test_an_expunge_that_waits_holds_back_how_far_the_client_is(owner: Owner) -> None:
    """RFC 7162 §3.2: a modseq told meanwhile may be higher."""
    for _ in range(2):
        await owner.append(b"x", flags=DELETED)
    selected = await owner.selected()
    start = selected.complete
    await owner.writer.expunge(selected.id, [1])
    await owner.writer.flags(selected.id, [2], FlagsMode.ADD, SEEN)
    await selected.refresh()
    manner = Manner(modseq=True, vanished=True)
    assert told(selected, expunges=False, manner=manner) == [
        b"* 2 FETCH (UID 2 FLAGS (9) MODSEQ (%d))" % (start + 2)
    ]
    assert selected.complete == start
    assert told(selected, manner=manner) == [b"* VANISHED 1"]
    assert selected.complete == start + 2


async def test_what_somebody_changed_before_us_is_not_taken_for_ours(owner: Owner) -> None:
    """The row a STORE answers holds both changes: only a look tells the other one."""
    await owner.append(b"x")
    selected = await owner.selected()
    await owner.writer.flags(selected.id, [1], FlagsMode.ADD, FLAGGED)
    ours = await owner.writer.flags(selected.id, [1], FlagsMode.ADD, SEEN)
    assert not await selected.learn(ours)
    await selected.refresh()
    assert told(selected) == [b"* 1 FETCH (UID 1 FLAGS (%d))" % (SEEN | FLAGGED)]


async def test_sessions_look_at_one_folder_in_memory(owner: Owner) -> None:
    await owner.append(b"x")
    one, other = await owner.selected(), await owner.selected()
    await owner.append(b"x", flags=SEEN)
    await one.refresh()
    assert other.row(2) is not None, "known to all as soon as one has looked"
    assert told(other) == []
    assert everything(other) == [(1, 1, 0)]
    third = await owner.selected()
    assert everything(third) == [(1, 1, 0), (2, 2, SEEN)]
    assert one._live is other._live is third._live


actions = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 31)),
        st.tuples(st.just("flags"), st.integers(1, 12), st.integers(0, 31)),
        st.tuples(st.just("expunge")),
        st.tuples(st.just("refresh")),
        st.tuples(st.just("tell"), st.booleans()),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=actions)
async def test_in_the_end_it_is_what_the_store_holds(owner: Owner, script: list[tuple[Any, ...]]) -> None:
    name = f"f{id(script)}"
    await owner.folders.create(name)
    selected = await owner.selected(name)
    for kind, *how in script:
        match kind:
            case "append":
                await owner.append(b"x", name, how[0])
            case "flags":
                await owner.writer.flags(selected.id, [how[0]], FlagsMode.REPLACE, how[1])
            case "expunge":
                await owner.writer.expunge(selected.id, None)
            case "refresh":
                await selected.refresh()
            case "tell":
                told(selected, expunges=how[0])
        counted = [uid for _, uid, _ in everything(selected)]
        assert counted == sorted(counted)
    await selected.refresh()
    told(selected)
    now = await owner.mailbox.store.folders.numbers(selected.id)
    assert [(uid, mask) for _, uid, mask in everything(selected)] == list(
        zip(now.uids, now.flags, strict=True)
    )
    await owner.folders.delete(name)


# A folder of 100,000 messages


def large(store: MailStore) -> tuple[LiveFolder, Callable[[], Selected]]:
    """A live folder, and what makes another session on it; nothing of it is in the store."""
    count = 100_000
    columns = (array("Q", range(1, count + 1)), array("Q", [0]) * count, array("Q", [7]) * count)
    live = LiveFolder(FolderNumbers(*columns, ModSeq(7)))
    folder = Folder(
        id=FolderId(1), mailbox=MailboxId(b"m" * 16), role=None, name_tag=None, name_ct=None, uidvalidity=1,
        uidnext=Uid(count + 1), subscribed=True, modseq=ModSeq(7), recent_uid=Uid(count),
    )  # fmt: skip
    return live, lambda: Selected(store, NamedFolder("x", folder), live, read_only=False)


async def test_ten_sessions_cost_little_more_than_one(owner: Owner) -> None:
    live, another = large(owner.mailbox.store)
    held = sum(each.itemsize * len(each) for each in (live.uids, live.flags, live.modseqs))
    assert held <= 2_000_000
    tracemalloc.start()
    sessions = [another() for _ in range(10)]
    opened, _ = tracemalloc.get_traced_memory()
    assert opened < 100_000
    # The same once all have heard of an arrival and an expunge.
    await live.take(Changes(rows((100_001, 0, 8)), [50_000], ModSeq(8)))
    for session in sessions:
        session.view.note(Heard(arrived=[100_001], expunged=[50_000]))
        assert told(session) == [b"* 50000 EXPUNGE", b"* 100000 EXISTS", b"* 0 RECENT"]
    heard, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert all(session.view.uids is live.uids for session in sessions)
    assert heard < 2_500_000  # the live folder's own columns were made anew


async def test_a_flag_costs_no_pass_over_the_folder(owner: Owner) -> None:
    """A thousand of them, each taken in and told: a pass would take a minute."""
    live, another = large(owner.mailbox.store)
    session = another()
    started = time.process_time()
    for modseq in range(8, 1008):
        await live.take(Changes(rows((modseq * 50, 1, modseq)), (), ModSeq(modseq)))
        session.view.note(Heard(flagged=[modseq * 50]))
        assert len(told(session)) == 1
    assert time.process_time() - started < 2


async def test_many_changes_are_told_some_at_a_time(owner: Owner) -> None:
    live, another = large(owner.mailbox.store)
    session = another()
    session.view.note(Heard(flagged=live.uids))
    pieces = list(session.news(names, manner=Manner(modseq=True), expunges=True))
    assert max(map(len, pieces)) < 200_000
    assert b"".join(pieces).count(b"MODSEQ (7)") == 100_000


async def test_modseqs_are_told_of_many_and_of_few(owner: Owner) -> None:
    live, another = large(owner.mailbox.store)
    await live.take(Changes(rows((5, 0, 8)), [3], ModSeq(8)))
    session = another()
    assert session.modseqs([4, 5, 6]) == {4: 7, 5: 8, 6: 7}
    assert session.modseqs([2, 3, 5, 90_000]) == {2: 7, 5: 8, 90_000: 7}
    assert session.modseqs([]) == {}
