"""The anchor's side: Postfix with mutual TLS, LMTP, Dovecot with mail_crypt, set up by the scripts of PERF.

PERF is a folder outside the project (variable PERF, or ../shared/perf beside the checkout). It is copied,
never written to. Without it, or without root, only ours is measured, and the table says why.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup/cpuacct/perf_anchor")
_SERVERS = ("dovecot-ec", "postfix-ec")  # in the order they start
_PORT = "12525"


class NoAnchor(Exception):
    """The anchor cannot be measured here; `args[0]` says why."""


def perf_folder() -> Path | None:
    """Where the load generators and the anchor's scripts are, if they are."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "perf"
    folder = Path(os.environ.get("PERF") or beside)
    return folder if (folder / "load_smtp.py").exists() else None


@dataclass(frozen=True, slots=True)
class Anchor:
    """Running servers. `folder` is the scratch copy they live in."""

    folder: Path

    @property
    def target(self) -> list[str]:
        """The arguments of load_smtp.py that point it here; a delivery counts once it left the queue."""
        certs = self.folder / "certs"
        arguments = [
            *("--port", _PORT, "--starttls", "--cafile", str(certs / "ca.pem")),
            *("--cert", str(certs / "ec-client.pem"), "--key", str(certs / "ec-client.key")),
            *("--rcpt", "u{1-10}@mdbox.test"),
        ]
        arguments += self.counted
        for queue in ("incoming", "active", "deferred"):
            arguments += ["--drain-dir", str(self.folder / "spool-ec" / queue)]
        return arguments

    @property
    def counted(self) -> list[str]:
        """The load generators' arguments that say whose CPU and memory counts: both servers'."""
        arguments = []
        for server in _SERVERS:
            pid = (self.folder / "pids" / server).read_text().strip()
            arguments += ["--server-pid", pid]
            if (_CGROUPS / server).exists():
                arguments += ["--server-cgroup", str(_CGROUPS / server)]
        return arguments

    def stop(self) -> None:
        for server in reversed(_SERVERS):
            _run(self.folder, "ctl.sh", "stop", server)


def start(perf: Path, work: Path) -> Anchor:
    """Copies PERF into `work` and starts both servers. Raises NoAnchor."""
    if os.geteuid() != 0:
        raise NoAnchor("Postfix and Dovecot want root")
    missing = [name for name in ("/usr/sbin/postfix", "/usr/sbin/dovecot") if not Path(name).exists()]
    if missing:
        raise NoAnchor(f"{' and '.join(missing)} not installed")
    folder = work / "anchor"
    shutil.copytree(perf, folder)
    for path in (folder, *folder.iterdir()):
        path.chmod(path.stat().st_mode | 0o755 if path.is_dir() or path.suffix == ".sh" else 0o644)
    anchor = Anchor(folder)
    try:
        _run(folder, "setup.sh")
        for server in _SERVERS:
            _run(folder, "ctl.sh", "start", server)
            if server.startswith("dovecot"):
                _run(folder, "keys.sh")
    except NoAnchor:
        anchor.stop()
        raise
    return anchor


def _run(folder: Path, *command: str) -> None:
    log = folder / "bench.log"
    with log.open("ab") as output:
        ended = subprocess.run(
            ["bash", *command],
            cwd=folder,
            env={**os.environ, "PERF_DIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    if ended.returncode and command[1:2] != ("stop",):
        own = [path.read_text(errors="replace")[-300:] for path in (folder / "log").glob(f"{command[-1]}.*")]
        raise NoAnchor(f"{' '.join(command)}: {log.read_text(errors='replace')[-200:]} {' '.join(own)}")
