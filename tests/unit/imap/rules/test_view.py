"""A session's picture: what the client counts is what it was told."""

from __future__ import annotations

import re
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.flags import RECENT
from mssante.imap.grammar import sets
from mssante.imap.grammar.lexer import Cursor, Unacceptable
from mssante.imap.grammar.sets import SequenceSet
from mssante.imap.rules.fetched import Change, change_lines
from mssante.imap.rules.view import FolderNews, FolderView


class Client:
    """What a client knows from untagged responses alone. None stands for a UID not asked yet."""

    def __init__(self, uids: list[int]) -> None:
        self.count = len(uids)
        self.uids: list[int | None] = list(uids)
        self.flags: dict[int, bytes] = {}
        self.recent = 0

    def hears(self, octets: bytes) -> None:
        for line in octets.splitlines():
            if found := re.fullmatch(rb"\* (\d+) EXPUNGE", line):
                del self.uids[int(found[1]) - 1]
            elif found := re.fullmatch(rb"\* (\d+) EXISTS", line):
                assert int(found[1]) >= len(self.uids)
                self.uids += [None] * (int(found[1]) - len(self.uids))
            elif found := re.fullmatch(rb"\* (\d+) RECENT", line):
                self.recent = int(found[1])
            elif found := re.fullmatch(rb"\* (\d+) FETCH \(UID (\d+) FLAGS \((.*)\)\)", line):
                assert self.uids[int(found[1]) - 1] in (None, int(found[2]))
                self.flags[int(found[2])] = found[3]
            elif found := re.fullmatch(rb"\* VANISHED ([0-9,:]+)", line):
                for uid in _numbers(found[1]):
                    self.uids.remove(uid)
            else:
                raise AssertionError(line)


def _numbers(octets: bytes) -> list[int]:
    intervals = sets.parse(Cursor(octets)).intervals
    return [number for low, high in intervals for number in range(low, high + 1)]


def release(view: FolderView, *, expunges: bool, vanished: bool = False) -> bytes:
    """Everything that may be told now, each message's flags made up from its UID."""
    numbers = view.tell_numbers(expunges=expunges, vanished=vanished)
    changes = [Change(number, uid, b"$f%d" % uid, 0) for number, uid in view.take_flagged()]
    return numbers + change_lines(changes)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "expunge", "flag", "tell", "tell without expunges"]), st.integers(0, 50)
    ),
    max_size=40,
)


@given(STEPS, st.integers(0, 8), st.booleans())
@settings(max_examples=200, deadline=None)
def test_the_client_and_the_view_always_agree(
    steps: list[tuple[str, int]], start: int, vanished: bool
) -> None:
    folder = list(range(1, start + 1))
    view, client, top = FolderView(folder), Client(folder), start
    for step, number in steps:
        if step == "arrive":
            arrived = list(range(top + 1, top + 2 + number % 3))
            top = arrived[-1]
            folder += arrived
            view.note(FolderNews(arrived=arrived))
        elif step == "expunge" and folder:
            view.note(FolderNews(expunged=[folder.pop(number % len(folder))]))
        elif step == "flag" and folder:
            view.note(FolderNews(flagged=[folder[number % len(folder)]]))
        elif step.startswith("tell"):
            expunges = step == "tell"
            news = view.has_news(expunges=expunges)
            told = release(view, expunges=expunges, vanished=vanished)
            assert (told != b"") <= news
            if not expunges:
                assert not re.search(b"EXPUNGE|VANISHED", told)
            assert not (expunges and view.holds_back)
            # Whoever asks the UIDs of what it was told of can be told of it by UID (RFC 7162 §3.2.10.2).
            client.hears(told)
            client.uids = list(view.uids)
        assert len(client.uids) == len(view)
        known = list(view.uids)
        assert client.uids == known
        assert known == sorted(set(known))
        assert all(view.sequence_of(uid) == at for at, uid in enumerate(known, 1))
    client.hears(release(view, expunges=True, vanished=vanished))
    assert list(view.uids) == folder
    assert not view.has_news(expunges=True)
    assert release(view, expunges=True) == b""


def test_expunge_waits_while_numbers_must_not_move() -> None:
    view = FolderView([10, 20, 30])
    view.note(FolderNews(expunged=[10, 20], arrived=[40]))
    assert release(view, expunges=False) == b"* 4 EXISTS\r\n* 0 RECENT\r\n"
    assert view.gone == {10, 20}
    assert view.sequence_of(30) == 3
    assert release(view, expunges=True) == b"* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n"
    assert view.sequence_of(30) == 1
    assert view.sequence_of(10) is None
    assert not view.gone


def test_what_came_and_went_unseen_is_not_told() -> None:
    view = FolderView([1])
    view.note(FolderNews(arrived=[2, 3]))
    view.note(FolderNews(expunged=[2, 3], flagged=[3]))
    assert release(view, expunges=True) == b""


def test_an_arrival_has_no_number_before_it_is_told() -> None:
    view = FolderView([1])
    view.note(FolderNews(arrived=[5]))
    assert view.sequence_of(5) is None
    assert view.positions(SequenceSet((), 1), uid=True) == [range(1)]
    release(view, expunges=False)
    assert view.positions(SequenceSet((), 1), uid=True) == [range(2)]


def test_news_heard_twice_is_told_once() -> None:
    view = FolderView([1, 2])
    for _ in range(2):
        view.note(FolderNews(arrived=[3], expunged=[1], flagged=[2]))
    assert release(view, expunges=True) == (
        b"* 1 EXPUNGE\r\n* 2 EXISTS\r\n* 0 RECENT\r\n* 1 FETCH (UID 2 FLAGS ($f2))\r\n"
    )
    view.note(FolderNews(arrived=[3], expunged=[1]))
    assert not view.has_news(expunges=True)


def test_flags_of_a_message_that_is_gone_are_not_told() -> None:
    view = FolderView([1, 2])
    view.note(FolderNews(flagged=[1, 2, 99]))
    view.note(FolderNews(expunged=[1]))
    assert release(view, expunges=True) == b"* 1 EXPUNGE\r\n* 1 FETCH (UID 2 FLAGS ($f2))\r\n"


def test_flags_of_a_message_whose_expunge_waits_are_not_told() -> None:
    view = FolderView([1, 2])
    view.note(FolderNews(flagged=[1], expunged=[1]))
    assert release(view, expunges=False) == b""


def test_sequence_numbers_that_do_not_exist_are_refused_uids_are_passed_over() -> None:
    view = FolderView([10, 20])
    with pytest.raises(Unacceptable):
        view.positions(SequenceSet(((1, 3),)), uid=False)
    with pytest.raises(Unacceptable):
        FolderView([]).positions(SequenceSet((), 1), uid=False)
    assert view.positions(SequenceSet(((1, 3), (15, 25))), uid=True) == [range(1, 2)]
    assert view.positions(SequenceSet((), 1), uid=False) == [range(2)]


def test_recent_messages_are_those_this_session_is_first_to_see() -> None:
    view = FolderView([10, 20, 30], recent_from=20)
    assert view.recent_count == 2
    assert [view.is_recent(uid) for uid in (10, 20, 30)] == [False, True, True]
    assert view.mask(30, 1) == 1 | RECENT
    assert view.mask(10, 1) == 1
    view.note(FolderNews(arrived=[40]))  # another session was first
    view.note(FolderNews(arrived=[50], recent=True))
    assert release(view, expunges=False) == b"* 5 EXISTS\r\n* 3 RECENT\r\n"
    assert [view.is_recent(uid) for uid in (40, 50)] == [False, True]
    assert FolderView([10], recent_from=11).recent_count == 0


def test_a_hundred_thousand_expunges_are_told_in_one_pass() -> None:
    view = FolderView(range(1, 200_001))
    view.note(FolderNews(expunged=range(1, 200_001, 2)))
    told = release(view, expunges=True)
    assert told.startswith(b"* 1 EXPUNGE\r\n* 2 EXPUNGE\r\n* 3 EXPUNGE\r\n")
    assert told.count(b"EXPUNGE") == len(view) == 100_000


def test_what_vanished_is_told_by_uid_and_in_one_line() -> None:
    """RFC 7162 §3.2.10."""
    view = FolderView(range(1, 101))
    view.note(FolderNews(expunged=[3, 4, 7], flagged=[5], arrived=[101]))
    assert release(view, expunges=False, vanished=True).startswith(b"* 101 EXISTS")
    assert view.holds_back
    assert release(view, expunges=True, vanished=True) == b"* VANISHED 3:4,7\r\n"
    assert view.sequence_of(5) == 3


def test_messages_given_by_uid_stand_in_ranges_of_places() -> None:
    view = FolderView([10, 20, 30, 40, 50])
    view.note(FolderNews(expunged=[40], arrived=[60]))
    assert view.places_of([10, 20, 25, 40, 50, 60]) == [range(2), range(4, 5)]
    assert view.places_of([]) == []
    assert view.places_of([10, 20]) == [range(2)]
    assert FolderView([1, 2, 3]).places_of([2, 3]) == [range(1, 3)]
    assert list(view.numbers_of([10, 25, 30, 60])) == [1, 0, 3, 0]
    assert list(view.numbers_of([20, 30, 40])) == [2, 3, 4]
    assert list(view.numbers_of([50, 60])) == [5, 0]
    assert list(view.numbers_of([])) == []


def test_views_share_what_is_equal_and_never_change_it() -> None:
    uids = array("I", [1, 2, 3])
    one, other = FolderView(uids), FolderView(uids)
    one.note(FolderNews(expunged=[2], arrived=[4]))
    release(one, expunges=True)
    assert (list(uids), list(other.uids), list(one.uids)) == ([1, 2, 3], [1, 2, 3], [1, 3, 4])
    shared = array("I", [1, 3, 4])
    one.share(shared)
    other.share(shared)
    assert one.uids is shared
    assert other.uids is uids
