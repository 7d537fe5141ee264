"""mssante.mailbox.selected: flags stand beside the numbers the client counts, whatever others do."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mssante.imap.flags import RECENT
from mssante.mailbox.selected import Manner, Selected
from mssante.model import Flag
from mssante.store.records import FlagsMode
from tests.unit.mailbox.conftest import Owner

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
async def test_in_the_end_it_is_what_the_store_holds(owner: Owner, script) -> None:  # type: ignore[no-untyped-def]
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
    now = await owner.mailbox.store.uids(selected.id)
    assert [(uid, mask) for _, uid, mask in everything(selected)] == list(
        zip(now.uids, now.flags, strict=True)
    )
    await owner.folders.delete(name)
