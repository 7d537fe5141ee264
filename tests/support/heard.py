"""What the server reported while a test ran."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mssante.observe.event import Event, add_sink


@pytest.fixture
def events() -> Iterator[list[Event]]:
    """Every event, in order."""
    seen: list[Event] = []
    forget = add_sink(seen.append)
    yield seen
    forget()
