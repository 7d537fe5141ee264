"""Drives a Wire as a connection would, and gathers what it says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from mssante.imap.commands import Authenticate, Idle, Request
from mssante.imap.events import AppendStart, Bye, Event, LiteralChunk, Rejected, Signal
from mssante.imap.wire import Wire

MESSAGE_OCTETS_MAX = 100_000


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
