"""Who is there, who is missing, and from when on somebody who is missing is gone."""

from __future__ import annotations

from datetime import timedelta

from mssante.clock import ManualClock
from mssante.limits import QUEUE_HOLDER_GONE_SECONDS
from mssante.store.presence import Presence

LONG = timedelta(seconds=QUEUE_HOLDER_GONE_SECONDS)
A_MOMENT = timedelta(seconds=1)


def test_only_who_was_missing_at_every_look_is_gone() -> None:
    clock = ManualClock()
    presence = Presence(clock)
    presence.began()
    assert presence.gone([1, 2]) == []
    clock.advance(LONG - A_MOMENT)
    assert presence.gone([1]) == []
    clock.advance(A_MOMENT)
    assert presence.gone([1, 2]) == [1]


def test_who_was_cut_off_too_counts_anew() -> None:
    clock = ManualClock()
    presence = Presence(clock)
    presence.began()
    presence.gone([1])
    clock.advance(LONG)
    presence.ended()
    presence.began()
    assert (presence.gone([1]), presence.lasting) == ([], False)
    clock.advance(LONG)
    assert (presence.gone([1]), presence.lasting) == ([1], True)


def test_each_session_has_its_number_and_without_one_nothing_is_certain() -> None:
    presence = Presence(ManualClock())
    assert (presence.session, presence.lasting) == (None, False)
    presence.began()
    first = presence.session
    presence.ended()
    assert presence.session is None
    presence.began(alone=True)
    assert presence.session not in (None, first)
    assert presence.lasting
    assert presence.key != Presence(ManualClock()).key
