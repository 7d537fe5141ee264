"""Drives the core as its owner would: a Wire, as a connection does; work in steps, to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from mssante.imap.grammar.commands import Authenticate, Idle, Request
from mssante.imap.grammar.events import AppendStart, Bye, Event, LiteralChunk, Rejected, Signal
from mssante.imap.grammar.wire import Wire
from mssante.imap.rules.steps import Steps

MESSAGE_OCTETS_MAX = 100_000
_Value = TypeVar("_Value")


def logged_in() -> Wire:
    wire = Wire()
    wire.authenticated(message_octets_max=MESSAGE_OCTETS_MAX)
    return wire


def events(wire: Wire, pieces: Iterable[bytes], *, refuse: bool = False) -> list[Event]:
    """Every event, with the chunks of one literal joined: where they are cut means nothing."""
    told: list[Event] = []
    for piece in pieces:
        wire.receive_data(piece)
        while (event := wire.next_event()) is not Signal.NEED_DATA:
            if isinstance(event, LiteralChunk) and told and isinstance(told[-1], LiteralChunk):
                told[-1] = LiteralChunk(told[-1].octets + event.octets)
            else:
                told.append(event)
            match event:
                case AppendStart():
                    wire.refuse() if refuse else wire.accept()
                case Request(command=Authenticate(initial=None) | Idle()):
                    wire.expect_line()
                case _:
                    pass
    return told


def only(wire: Wire, octets: bytes) -> Event:
    (event,) = events(wire, [octets])
    return event


def refused(event: Event) -> Rejected | Bye:
    assert isinstance(event, Rejected | Bye), event
    return event


def fastest(work: Callable[[], object], times: int = 5) -> float:
    """Seconds of processor time of the fastest run: what the machine's other work does not add to."""
    found = []
    for _ in range(times):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def done(steps: Steps[_Value]) -> _Value:
    """What `steps` come to."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # as StopIteration has it
