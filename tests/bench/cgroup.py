"""A cpuacct group around one process: its CPU to the nanosecond, threads included.

Where the kernel offers none (no root, cgroup v2 only), the load generator counts by process id, in ticks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_CPUACCT = Path("/sys/fs/cgroup/cpuacct")


@dataclass(frozen=True, slots=True)
class Cgroup:
    path: Path

    @classmethod
    def around(cls, pid: int) -> Cgroup | None:
        """None where there is no such thing."""
        path = _CPUACCT / f"mssante-bench-{os.getpid()}"
        try:
            path.mkdir()
            (path / "cgroup.procs").write_text(str(pid))
        except OSError:
            return None
        return cls(path)

    def remove(self) -> None:
        """Once its process has ended."""
        try:
            self.path.rmdir()
        except OSError:
            pass  # an empty group left behind costs nothing
