"""What an event is, and how it is told to whoever listens.

Invariant: `report` never raises, so that observing never breaks the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    level: ClassVar[Level] = Level.INFO


Sink = Callable[[Event], None]


_sinks: list[Sink] = []


def add_sink(sink: Sink) -> Callable[[], None]:
    """Sends every later event to `sink`. Call what is returned to end this."""
    _sinks.append(sink)
    return lambda: _sinks.remove(sink)


def report(event: Event) -> None:
    """Tells every sink. An error of a sink is ignored, so that observing never breaks the work."""
    for sink in tuple(_sinks):
        try:
            sink(event)
        except Exception:
            continue
