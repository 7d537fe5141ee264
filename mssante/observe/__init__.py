"""What the server says of itself: typed events, JSON log, metrics."""

from mssante.observe.event import Event, report

__all__ = ["Event", "report"]
