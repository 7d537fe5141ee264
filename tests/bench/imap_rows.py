"""The IMAP rows: which operation of load_imap.py, against which target, and how they become results.

Invariants: a figure is the median of its repetitions; `reference` is the anchor's on the quiet machine that
`target` is meant for, so that a row is judged by its ratio wherever both were measured. Whole-folder rows are
per 10,000 messages, whatever the folder has.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.rows import Result, Row

Measured = Sequence[Mapping[str, Any]]  # load_imap.py's words, every operation and repetition
PER = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapRow:
    """`figure` takes one repetition of `op`; `whole`: it grows with the folder."""

    title: str
    op: str
    target: float
    reference: float | None
    unit: str = "ms"
    whole: bool = False
    figure: Callable[[Mapping[str, Any]], float] = lambda one: float(one["server_cpu_s"]) * 1000

    def value(self, measured: Measured, messages: int) -> float | None:
        """None when it was not measured, or met an error."""
        found = [one for one in measured if one["op"] == self.op]
        if not found or any(one.get("n_errors") or one.get("missed_30s") for one in found):
            return None
        scale = PER / messages if self.whole else 1
        return round(statistics.median(map(self.figure, found)) * scale, 3)


def _row(title: str, op: str, target: float, reference: float | None, *, whole: bool = True) -> ImapRow:
    return ImapRow(title=title, op=op, target=target, reference=reference, whole=whole)


ROWS = (
    _row("ENVELOPE of 10,000, first time", "fetch_env_cold", 400, 18_700),
    _row("the same of 1,000 delivered ones, first time", "delivered_first", 40, None, whole=False),
    _row("ENVELOPE of 10,000, again", "fetch_env_warm", 160, 161),
    _row("header fields of 10,000, first time", "fetch_hdr_cold", 600, 17_500),
    _row("header fields of 10,000, again", "fetch_hdr_warm", 120, 60),
    _row("FLAGS of 10,000", "fetch_flags", 20, 9),
    _row("500 bodies of 8 KiB, first time", "fetch_500_bodies_cold", 150, 951, whole=False),
    _row("500 bodies of 8 KiB, again", "fetch_500_bodies_warm", 150, None, whole=False),
    _row("SEARCH FROM in 10,000", "search_from", 60, 24),
    _row("SEARCH TEXT in 10,000", "search_text", 2000, 17_900),
    _row("STORE \\Seen on 10,000", "store_seen", 60, 8),
    _row("COPY of 1,000", "uid_copy_1000", 150, 3840, whole=False),
    _row("MOVE of 1,000", "uid_move_1000", 150, 3850, whole=False),
    _row("APPEND of 500 × 50 KiB", "append_500x50k", 1200, 1964, whole=False),
    _row("TLS, login, SELECT of 10,000", "login+select", 8, 2.0, whole=False),
    ImapRow(
        title="1,000 connections in IDLE",
        op="idle",
        unit="MiB PSS",
        target=150,
        reference=1240,
        figure=lambda one: (one["pss_after_mib"] - one["pss_before_mib"]) * 1000 / one["n"],
    ),
    ImapRow(
        title="SMTP 250 to EXISTS in IDLE, median",
        op="notify",
        target=20,
        reference=365,
        figure=lambda one: float(one["from_250_ms"]["p50"]),
    ),
    ImapRow(
        title="SMTP 250 to EXISTS in IDLE, p99",
        op="notify",
        target=100,
        reference=530,
        figure=lambda one: float(one["from_250_ms"]["p99"]),
    ),
)


def results(ours: Measured, anchor: Measured, *, messages: int) -> list[Result]:
    """Both sides' measurements made into rows. A notification that comes before the 250 counts as at once."""
    return [
        Result(
            row=Row(
                title=row.title,
                unit=row.unit,
                loads=(),
                figure=lambda measured: 0.0,
                target=row.target,
                ratio=None if row.reference is None else row.reference / row.target,
            ),
            ours=_at_least(row.value(ours, messages)),
            anchor=_at_least(row.value(anchor, messages)),
        )
        for row in ROWS
    ]


def _at_least(value: float | None) -> float | None:
    return None if value is None else max(value, 0.01)
