"""Records every function that is entered while a command is answered (`sys.setprofile`).

Invariants: recording begins when the octets read inside TLS begin with the expected command, and ends when a
line written inside TLS begins with the expected answer, so that neither the client's own work nor what the
server does afterwards is recorded. For that it watches only the standard library's `ssl`; of the package it
knows nothing but its folder.
"""

from __future__ import annotations

import dis
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """A function entered. Two are the same step whichever thread entered them."""

    module: str
    function: str
    on_loop: bool = field(default=True, compare=False)


class Recorder:
    """Give `hear` to `sys.setprofile` and `threading.setprofile` before the server starts in the process's
    first thread. With `loop_only` no other thread's steps are kept."""

    def __init__(self, package: Path, *, loop_only: bool = False) -> None:
        self._loop_only = loop_only
        self._package = f"{package}/"
        self._above = len(str(package.parent)) + 1
        self._loop_thread = threading.main_thread().ident
        self._steps: list[Step] = []
        self._recording = False
        self._begins: bytes | None = None
        self._ends: bytes | None = None

    def wait_for(self, begins: bytes | None, ends: bytes | None) -> None:
        """Recording will begin with a command that begins with `begins`, and end with a line of an answer
        that begins with `ends`."""
        self._begins, self._ends = begins, ends

    def clear(self) -> None:
        self._steps = []

    def stop(self) -> list[Step]:
        """The steps since `clear`. Raises RuntimeError unless a command was seen to begin and to end."""
        if self._recording or not self._steps:
            raise RuntimeError("the command was not seen to begin and to end")
        return self._steps

    @contextmanager
    def this_thread(self) -> Iterator[None]:
        """Records while the context lasts, in this thread too."""
        self._recording = True
        sys.setprofile(self.hear)
        try:
            yield
        finally:
            sys.setprofile(None)
            self._recording = False

    def hear(self, frame: FrameType, event: str, result: Any) -> None:
        code = frame.f_code
        if code.co_filename == ssl.__file__:
            self._hear_tls(frame, event, result)
        elif self._recording and event == "call" and code.co_filename.startswith(self._package):
            name = code.co_qualname
            on_loop = threading.get_ident() == self._loop_thread
            if name.endswith(">") or frame.f_lasti > _start(code) or (self._loop_only and not on_loop):
                return
            module = code.co_filename[self._above :].removesuffix(".py").removesuffix("/__init__")
            self._steps.append(Step(module.replace("/", "."), name, on_loop))

    def _hear_tls(self, frame: FrameType, event: str, result: Any) -> None:
        name = frame.f_code.co_name
        if self._begins is not None and event == "return" and name == "read":
            if isinstance(result, bytes) and result.startswith(self._begins):
                self._recording, self._begins = True, None
        elif self._recording and self._ends is not None and event == "call" and name == "write":
            lines = bytes(frame.f_locals["data"]).split(b"\r\n")
            if any(line.startswith(self._ends) for line in lines):
                self._recording, self._ends = False, None


@cache
def _start(code: CodeType) -> int:
    """Where a function stands when it is entered; a coroutine that goes on stands further on."""
    return next((each.offset for each in dis.get_instructions(code) if each.opname == "RESUME"), -1)
