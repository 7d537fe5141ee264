"""What is measured, against which target, and how a table is made of it.

Invariants: a figure is the median of its repetitions; a row whose load met an error has no figure.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Measurement = Mapping[str, Any]  # one repetition, in load_smtp.py's words


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One kind of traffic: `size` as load_smtp.py writes it, `count` messages in one repetition."""

    size: str
    mode: str
    connections: int
    count: int
    anchor_takes_it: bool = True

    @property
    def key(self) -> str:
        return f"{self.size} {self.mode} {self.connections}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. `more_is_better` for a rate; otherwise the figure is a cost. `target` holds on
    a quiet machine like the one the anchor's reference figures come from; `ratio` is the same target as a
    multiple of the anchor measured in the same run, which holds on any machine."""

    title: str
    unit: str
    loads: tuple[Load, ...]
    figure: Callable[[Sequence[Measurement]], float]
    target: float
    ratio: float | None = None
    more_is_better: bool = False


def _median(field: str) -> Callable[[Sequence[Measurement]], float]:
    return lambda measured: statistics.median(float(one[field]) for one in measured)


def _highest(field: str) -> Callable[[Sequence[Measurement]], float]:
    return lambda measured: max(float(one[field]) for one in measured)


def _cost(title: str, load: Load, *, target: float, reference: float) -> Row:
    """Server CPU for one message; `reference` is the anchor's on the quiet machine `target` is meant for."""
    figure = _median("server_cpu_ms_per_msg")
    return Row(
        title=title, unit="ms/msg", loads=(load,), figure=figure, target=target, ratio=reference / target
    )


LETTER = Load(size="50k", mode="persistent", connections=4, count=400)
SMALL = Load(size="4k", mode="persistent", connections=4, count=400)
LARGE = Load(size="1m", mode="persistent", connections=4, count=60)
ONE_EACH = Load(size="50k", mode="perconn", connections=4, count=200)
SIXTEEN = Load(size="50k", mode="persistent", connections=16, count=600)
HUGE = Load(size="50m", mode="persistent", connections=2, count=6, anchor_takes_it=False)
LOADS = (LETTER, SMALL, LARGE, ONE_EACH, SIXTEEN, HUGE)

ROWS = (
    _cost("50 KiB in, persistent connections", LETTER, target=2.5, reference=8.0),
    _cost("4 KiB in, persistent", SMALL, target=1.3, reference=6.3),
    _cost("1 MiB in, persistent", LARGE, target=15, reference=23.4),
    _cost("50 KiB, a new connection each", ONE_EACH, target=5.5, reference=11.2),
    Row(
        title="stored per second, 50 KiB, 16 connections",
        unit="msg/s",
        loads=(SIXTEEN,),
        figure=_median("msgs_per_s_drained"),
        target=400,
        ratio=400 / 216,
        more_is_better=True,
    ),
    Row(
        title="peak memory while receiving",
        unit="MiB PSS",
        loads=(LETTER, SMALL, LARGE, ONE_EACH, SIXTEEN),
        figure=_highest("peak_pss_mib"),
        target=120,
    ),
    Row(
        title="peak memory, 50 MiB messages",
        unit="MiB PSS",
        loads=(HUGE,),
        figure=_highest("peak_pss_mib"),
        target=120,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A row as measured; None where there is no figure. `ratio` above 1 is in our favour."""

    row: Row
    ours: float | None
    anchor: float | None

    @property
    def ratio(self) -> float | None:
        if not self.ours or not self.anchor:
            return None
        return self.ours / self.anchor if self.row.more_is_better else self.anchor / self.ours

    @property
    def reached(self) -> bool | None:
        """By the ratio where there is one, since the machine is as it is today; else by the figure."""
        if self.ours is None:
            return None
        if self.ratio is not None and self.row.ratio is not None:
            return self.ratio >= self.row.ratio
        return self.ours >= self.row.target if self.row.more_is_better else self.ours <= self.row.target

    def as_json(self) -> dict[str, Any]:
        return {
            "row": self.row.title,
            "unit": self.row.unit,
            "ours": self.ours,
            "anchor": self.anchor,
            "ratio": self.ratio,
            "target": self.row.target,
            "target_ratio": self.row.ratio,
            "reached": self.reached,
        }


def results(
    ours: Mapping[str, Sequence[Measurement]], anchor: Mapping[str, Sequence[Measurement]]
) -> list[Result]:
    """Both sides' measurements, by Load.key, made into rows."""
    return [Result(row=row, ours=_figure(row, ours), anchor=_figure(row, anchor)) for row in ROWS]


def _figure(row: Row, by_load: Mapping[str, Sequence[Measurement]]) -> float | None:
    measured = [one for load in row.loads for one in by_load.get(load.key, ())]
    if not measured or any(one["n_errors"] or not one["drained"] for one in measured):
        return None
    return round(row.figure(measured), 3)


def table(found: Iterable[Result]) -> str:
    """Markdown, for the terminal and for docs/performance.md."""
    lines = ["| work | unit | ours | anchor | ratio | target | |", "|---|---|---|---|---|---|---|"]
    for result in found:
        bound = "≥" if result.row.more_is_better else "≤"
        verdict = {True: "reached", False: "missed", None: "not measured"}[result.reached]
        cells = (_shown(result.ours), _shown(result.anchor), _shown(result.ratio, suffix="×"))
        wanted = f"{bound} {result.row.target:g}"
        if result.row.ratio is not None:
            wanted += f", {_shown(result.row.ratio, suffix='×')}"
        lines.append(
            f"| {result.row.title} | {result.row.unit} | {' | '.join(cells)} | {wanted} | {verdict} |"
        )
    return "\n".join(lines)


def _shown(value: float | None, *, suffix: str = "") -> str:
    if value is None:
        return "–"
    return (f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}") + suffix
