"""Whose password is checked next: no kind of caller and no network keeps another out."""

from __future__ import annotations

import asyncio

import pytest

from mssante.keys import turns as module
from mssante.keys.turns import Caller, Crowded, Turns


class Line:
    """Callers with names, and the order in which their turns come."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.futures: dict[str, asyncio.Future[None]] = {}

    def wait(self, name: str, kind: Caller, network: str) -> None:
        self.futures[name] = asyncio.get_running_loop().create_future()
        self.turns.wait(self.futures[name], kind, network)

    def next(self) -> str | None:
        before = {name for name, turn in self.futures.items() if turn.done()}
        if not self.turns.give():
            return None
        (name,) = {name for name, turn in self.futures.items() if turn.done()} - before
        return name

    def all(self) -> list[str]:
        return list(iter(self.next, None))


async def test_who_was_right_before_has_every_other_turn() -> None:
    line = Line()
    for n in range(4):
        line.wait(f"new{n}", Caller.NEW, f"n{n}")
        line.wait(f"failed{n}", Caller.FAILED, f"f{n}")
    for n in range(4):
        line.wait(f"known{n}", Caller.KNOWN, "hospital")
    assert line.all() == [
        *("known0", "new0", "known1", "failed0", "known2", "new1", "known3", "failed1"),
        *("new2", "failed2", "new3", "failed3"),
    ]


async def test_networks_take_turns_however_many_wait_in_one() -> None:
    line = Line()
    for n in range(100):
        line.wait(f"guess{n}", Caller.NEW, "198.51.100.0/24")
    line.wait("stranger", Caller.NEW, "192.0.2.0/24")
    assert line.all().index("stranger") == 1


async def test_the_network_with_most_waiting_gives_up_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PASSWORD_CHECKS_QUEUED_MAX", 4)
    line = Line()
    for n in range(4):
        line.wait(f"guess{n}", Caller.NEW, "many")
    with pytest.raises(Crowded):
        line.wait("guess4", Caller.NEW, "many")
    del line.futures["guess4"]
    line.wait("stranger", Caller.NEW, "other")
    with pytest.raises(Crowded):
        line.futures["guess3"].result()
    del line.futures["guess3"]
    assert line.all() == ["guess0", "stranger", "guess1", "guess2"]
    assert len(line.turns) == 0


async def test_who_left_is_passed_over() -> None:
    line = Line()
    for name in ("first", "second", "third"):
        line.wait(name, Caller.NEW, "one")
    line.futures["first"].cancel()
    line.turns.leave(line.futures["second"], Caller.NEW, "one")
    assert len(line.turns) == 2
    assert line.turns.give()
    assert line.futures["third"].done()
    assert not line.turns.give()
    assert len(line.turns) == 0
