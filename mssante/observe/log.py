"""Events as JSON lines, through structlog.

Invariants: only events are written, field by field; the loggers of libraries are silenced, because they
repeat what peers say (finding A41); a full disk loses log lines, never a letter.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TextIO

import structlog

from mssante.observe.event import Event, add_sink

# What these say may hold addresses, SQL parameters or message lines.
SILENCED = (
    "mail.log",
    "mail.debug",
    "aiosmtpd",
    "aiosmtplib",
    "sqlalchemy",
    "aiosqlite",
    "asyncpg",
    "ldap3",
    "alembic",
)


_SHAPES: dict[str, tuple[str, tuple[str, ...]]] = {}


def name_of(event: Event) -> str:
    """`MessageAccepted` -> `message_accepted`: one word per thing, in the log and in the metrics."""
    return _shape(event)[0]


def _shape(event: Event) -> tuple[str, tuple[str, ...]]:
    """An event's name, and its fields' in the order they are written."""
    letters = type(event).__name__
    if letters not in _SHAPES:
        name = "".join(f"_{c.lower()}" if c.isupper() else c for c in letters).lstrip("_")
        _SHAPES[letters] = name, tuple(field.name for field in fields(event))
    return _SHAPES[letters]


def start(now: Callable[[], datetime], file: Path | None = None) -> Callable[[], None]:
    """Writes every event from now on to `file` (created 0600, appended) or to standard error.
    Call what is returned to stop it."""
    silence_libraries()
    stream: TextIO = sys.stderr
    if file is not None:
        file.touch(mode=0o600, exist_ok=True)
        stream = file.open("a", encoding="utf-8", buffering=1)
    logger = structlog.wrap_logger(
        structlog.PrintLogger(stream), processors=[structlog.processors.JSONRenderer(ensure_ascii=False)]
    ).bind()  # gives the logger itself; without it, structlog makes a new one for each line

    def write(event: Event) -> None:
        name, names = _shape(event)
        at = now().isoformat(timespec="milliseconds")
        logger.msg(name, at=at, level=event.level.value, **{field: getattr(event, field) for field in names})

    remove = add_sink(write)

    def stop() -> None:
        remove()
        if stream is not sys.stderr:
            stream.close()

    return stop


def silence_libraries() -> None:
    for name in SILENCED:
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)
