"""imapflow (Node's) at a day's work: lock, fetch, search, flags, move, append, a letter told by IDLE."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.programs import PATIENCE_SECONDS, installed
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, letter
from tests.support.smtp.house import pki

pytestmark = pytest.mark.client

SCRIPT = Path(__file__).with_name("imapflow_day.mjs")
PACKAGES = Path(sys.prefix) / "node"  # where `make clients` puts it
WORDS = "Glycémie à jeun"


async def test_a_day_with_imapflow(house: ImapHouse) -> None:
    assert (PACKAGES / "node_modules" / "imapflow").is_dir(), "`make clients` installs imapflow"
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.store.accounts.set_quota(row.id, 1_000_000)
    bodies = {4: f"{WORDS} 5,1 mmol/L\r\n"}
    await house.deliver(row.id, *(letter(n, body=bodies.get(n, "Bonjour\r\n")) for n in range(1, 6)))
    settings = {
        "port": house.implicit.port,
        "user": MARIE,
        "password": PASSWORD,
        "ca": pki().anchors.read_text(),
        "folder": "Projet é&",
        "words": WORDS,
    }
    process = await asyncio.create_subprocess_exec(
        *(installed("node"), SCRIPT, PACKAGES, json.dumps(settings)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    steps: list[dict[str, Any]] = []
    said = b""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for line in process.stdout:
                said += line
                if line.startswith(b'{"step"'):
                    steps.append(json.loads(line))
                    if steps[-1]["step"] == "idling":
                        await house.deliver(row.id, letter(6))
            assert await process.wait() == 0, said.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert [step["step"] for step in steps][-2:] == ["notified", "done"]
    client = await house.selected("Drafts")
    (draft,) = (await client.ok("FETCH 1:* (FLAGS INTERNALDATE)")).fetched().values()
    assert {r"\Draft", r"\Seen"} <= set(draft["FLAGS"])
    assert draft["INTERNALDATE"] == b" 2-Jan-2026 10:00:00 +0000"
