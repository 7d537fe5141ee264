"""A first look at IMAP with load_imap.py of PERF: 10,000 letters loaded, then read, ours only."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from mssante.control.socket import ask
from tests.bench.ours import Ours

MESSAGES = 10_000
OPERATIONS = "select,flags,env_warm,hdr_warm,bodies_warm,store_seen"
SECONDS_MAX = 900


async def look(side: Ours, perf: Path | None, work: Path) -> list[dict[str, Any]]:
    """What load_imap.py measured, one dict for each operation and repetition. Empty without PERF."""
    if perf is None:
        print("IMAP was not measured: load_imap.py is not here (variable PERF)")
        return []
    login = side.operator.logins[0]
    person = {"person": login.address}
    mailbox = f"big10k@{side.operator.domain}"
    await ask(side.operator.folder, "bal.create", {"address": mailbox, "kind": "PER"})
    await ask(side.operator.folder, "person.create", {**person, "password": login.password.value})
    await ask(side.operator.folder, "access.grant", {**person, "address": mailbox})
    out = work / "imap.json"
    common = [
        *(sys.executable, str(perf / "load_imap.py"), "--port", str(side.operator.ports[4]), "--tls"),
        *("--servername", side.operator.hostname, "--cafile", str(side.pki / "anchors.pem")),
        *("--user", login.address, "--password", login.password.value, "--json", str(out)),
    ]
    assert side.operator.process is not None
    common += ["--server-pid", str(side.operator.process.pid)]
    if side.cgroup is not None:
        common += ["--server-cgroup", str(side.cgroup.path)]
    for command in (["preload", "--count", str(MESSAGES)], ["suite", "--ops", OPERATIONS, "--repeat", "2"]):
        await asyncio.to_thread(subprocess.run, [*common, *command], check=True, timeout=SECONDS_MAX)
    return list(json.loads(out.read_text()))
