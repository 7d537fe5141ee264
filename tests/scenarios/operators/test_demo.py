"""The README's first command, as its reader runs it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

MSSANTE = (sys.executable, "-m", "mssante")


def test_the_demo_delivers_a_letter_and_reads_it_back(tmp_path: Path) -> None:
    done = subprocess.run(
        [*MSSANTE, "demo", "--once", "--json", "--directory", str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert list(report) == [
        "delivered",
        "from",
        "to",
        "tls_version",
        "peer_dn",
        "sealed_bytes",
        "read_back_equal",
        "seconds",
    ]
    assert report["delivered"] is True
    assert report["read_back_equal"] is True
    assert report["tls_version"] == "TLSv1.3"
    assert report["peer_dn"].startswith("CN=mss.operateur-a.test,")
    assert report["sealed_bytes"] > 4096
    # Nothing of the letter lies in clear in either operator's files.
    for file in (tmp_path / "demo").rglob("*"):
        if file.is_file():
            assert b"DUMONT-TEST" not in file.read_bytes(), file


async def test_the_demo_stays_up_and_says_what_to_type(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(*MSSANTE, "demo", "--directory", str(tmp_path / "demo")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    said = []
    async with asyncio.timeout(120):
        async for line in process.stdout:
            said.append(line.decode())
            if "Both operators are running" in said[-1]:
                break
    text = "".join(said)
    for wanted in ("anchors.pem", "IMAP server", "SMTP server", "password", "personal", "organisational"):
        assert wanted in text
    for address in (
        "camille.moreau@chu-a.mssante.test",
        "cardiologie@chu-a.mssante.test",
        "etienne.lheveder@cabinet-b.mssante.test",
        "centre.de.sante@cabinet-b.mssante.test",
    ):
        assert address in text
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(40):
        assert await process.wait() == 0


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    done = subprocess.run(
        [*MSSANTE, "demo", "--once", "--directory", str(tmp_path)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert "is not empty" in done.stderr
    assert (tmp_path / "mine").read_text() == "x"


def test_a_demo_stopped_too_early_is_no_success(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*MSSANTE, "demo", "--once", "--directory", str(tmp_path / "demo")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "PKI" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped before the letter was read back" in said
