"""Runs programs that are not ours, beside the server under test in one event loop.

Invariants: a program that is missing fails the test and says what installs it; none outlives its test.
"""

from __future__ import annotations

import asyncio
import os
import pty
import shutil
import signal
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program printed (errors too), and its exit code."""

    code: int
    octets: bytes

    @property
    def text(self) -> str:
        return self.octets.decode("utf-8", "replace")


def installed(name: str) -> str:
    """Where the program is."""
    found = shutil.which(name)
    assert found is not None, f"{name} is missing: `make clients` installs it"
    return found


async def run(
    *command: str | Path,
    stdin: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Ended:
    """Waits until the program ends."""
    program, *arguments = map(str, command)
    process = await asyncio.create_subprocess_exec(
        installed(program),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
        cwd=folder,
        start_new_session=True,
    )
    try:
        octets, _ = await asyncio.wait_for(process.communicate(stdin), PATIENCE_SECONDS)
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    assert process.returncode is not None
    return Ended(process.returncode, octets)


async def done(*command: str | Path, **options: Any) -> Ended:
    """As `run`, of a program that must end well."""
    ended = await run(*command, **options)
    assert ended.code == 0, ended.text
    return ended


class Terminal:
    """A program on a screen of its own, as a person meets it: `typed` keys, `shown` text."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self._process = process
        self._master = master
        self._painted = asyncio.Event()
        self.screen = b""
        asyncio.get_running_loop().add_reader(master, self._read)

    @classmethod
    async def open(cls, *command: str | Path, environment: Mapping[str, str]) -> Terminal:
        master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (50, 132))
        try:
            process = await asyncio.create_subprocess_exec(
                *(installed("setsid"), "--ctty", "--wait", *map(str, command)),
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env={**os.environ, "TERM": "vt100", "LC_ALL": "C.UTF-8", **environment},
                start_new_session=True,
            )
        finally:
            os.close(slave)
        return cls(process, master)

    def _read(self) -> None:
        try:
            octets = os.read(self._master, 65536)
        except OSError:  # the program has closed its end
            octets = b""
        if not octets:
            asyncio.get_running_loop().remove_reader(self._master)
        self.screen += octets
        self._painted.set()

    def typed(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    async def shown(self, text: str) -> None:
        """Waits until it has been painted in one run."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while text.encode() not in self.screen:
                self._painted.clear()
                await self._painted.wait()

    async def ended(self) -> Ended:
        """Waits for the end; kills what does not end by itself."""
        try:
            await asyncio.wait_for(self._process.wait(), PATIENCE_SECONDS)
        finally:
            self.close()
        assert self._process.returncode is not None
        return Ended(self._process.returncode, self.screen)

    def close(self) -> None:
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
