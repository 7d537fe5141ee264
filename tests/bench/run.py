"""`make bench`: what a message costs the server, ours and the anchor, in turns, in the same run.

Invariants: each repetition measures one side and then the other, so that both meet the same machine; CPU is
the servers' own, to the end of the delivery. `ARGS="--repeat 1"` is a quick look, `--imap` reads instead.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench import anchor, imap, imap_rows, ours
from tests.bench.rows import LOADS, Load, Measurement, results, table

LOAD_SECONDS_MAX = 180


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="repetitions of each load, of each side")
    parser.add_argument("--only", default="", help="loads whose name has this text, such as 50k")
    parser.add_argument("--ours", action="store_true", help="do not measure the anchor")
    parser.add_argument("--imap", action="store_true", help="IMAP instead of SMTP, both sides")
    parser.add_argument("--messages", type=int, default=10_000, help="in the folder that IMAP reads")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    return parser.parse_args()


@dataclass
class Bench:
    """Both sides while they run. `measured[side][load]` holds the repetitions."""

    work: Path
    generator: Path
    ours: ours.Ours
    anchor: anchor.Anchor | None = None
    measured: dict[str, dict[str, list[Measurement]]] = field(
        default_factory=lambda: {"ours": defaultdict(list), "anchor": defaultdict(list)}
    )

    async def repeat(self, times: int, only: str) -> None:
        for round_ in range(1, times + 1):
            for load in LOADS:
                if only not in load.key:
                    continue
                await self._one("ours", self.ours.target, load, round_)
                if self.anchor is not None and load.anchor_takes_it:
                    await self._one("anchor", self.anchor.target, load, round_)

    async def _one(self, side: str, target: list[str], load: Load, round_: int) -> None:
        found = await asyncio.to_thread(self._generate, target, load)
        self.measured[side][load.key].append(found)
        trouble = f"  {found['n_errors']} errors: {found['errors'][:1]}" if found["n_errors"] else ""
        print(
            f"{round_} {side:<7} {load.key:<22} {found['server_cpu_ms_per_msg']:8.2f} ms/msg"
            f" {found['msgs_per_s_drained']:8.1f} msg/s {found['peak_pss_mib']:6.0f} MiB{trouble}",
            flush=True,
        )

    def _generate(self, target: list[str], load: Load) -> dict[str, Any]:
        out = self.work / "load.json"
        out.unlink(missing_ok=True)
        command = [
            *(sys.executable, str(self.generator), *target, "--json", str(out), "--repeat", "1"),
            *("--size", load.size, "--mode", load.mode, "--conns", str(load.connections)),
            *("--count", str(load.count), "--count-large", str(load.count)),
        ]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_SECONDS_MAX)
        if ended.returncode:
            raise RuntimeError(f"{self.generator.name}: {ended.stderr[-600:]}")
        (measured,) = json.loads(out.read_text())
        return dict(measured)


async def _bench(arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    perf = anchor.perf_folder()
    rival, why_none = _rival(arguments, perf, work)
    generator = (perf or Path(__file__).parent) / "load_smtp.py"
    read: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    try:
        side = await ours.start(work)
        try:
            bench = Bench(work=work, generator=generator, ours=side, anchor=rival)
            if not arguments.imap:
                await bench.repeat(arguments.repeat, arguments.only)
            elif perf is None:
                print("IMAP is not measured: load_imap.py is not here (variable PERF)")
            else:
                sizes = {"messages": arguments.messages, "repeat": arguments.repeat}
                read = await imap.measure(side, rival, perf, work, **sizes)
        finally:
            await side.stop()
    finally:
        if rival is not None:
            rival.stop()
    if arguments.imap:
        found = imap_rows.results(*read, messages=arguments.messages)
    else:
        found = results(bench.measured["ours"], bench.measured["anchor"])
        found = [result for result in found if result.ours is not None or not arguments.only]
    print("\n" + table(found))
    if why_none:
        print(f"\nThe anchor was not measured: {why_none}.")
    return {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()},
        "anchor": why_none or "Postfix, LMTP, Dovecot with mail_crypt",
        "rows": [result.as_json() for result in found],
        "loads": [asdict(load) for load in LOADS],
        "measured": bench.measured,
        "imap": {"messages": arguments.messages, "ours": read[0], "anchor": read[1]},
    }


def _rival(arguments: argparse.Namespace, perf: Path | None, work: Path) -> tuple[anchor.Anchor | None, str]:
    if arguments.ours:
        return None, "not asked for"
    if perf is None:
        return None, "its scripts are not here (variable PERF)"
    try:
        return anchor.start(perf, work), ""
    except anchor.NoAnchor as no:
        return None, str(no)


def main() -> None:
    arguments = _arguments()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mssante-bench-") as folder:
        work = Path(folder)
        work.chmod(0o711)  # Dovecot's users walk through it to the anchor's mail
        report = asyncio.run(_bench(arguments, work))
    print(f"\n{time.monotonic() - started:.0f} s")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
