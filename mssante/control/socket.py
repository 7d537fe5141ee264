"""The control socket: a Unix socket beside the database, by which the CLI reaches a running server.

Invariants: mode 0600 and the peer's uid is ours or root's (SO_PEERCRED); one request a connection, one
JSON line each way, bounded; a bug ends the one request and its text stays here.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from pathlib import Path
from typing import Any

from mssante.control.catalogue import operate
from mssante.control.operations import Arguments, Parts, Result
from mssante.observe import report
from mssante.observe.events import crashed
from mssante.reasons import Declined, Passing, Reason, Refused

LINE_OCTETS_MAX = 4 * 1024 * 1024
STOP_SECONDS_MAX = 5
REQUEST_SECONDS_MAX = 600  # a whole verification of the data may take minutes


def socket_path(folder: Path) -> Path:
    """Where the socket of the operator configured in `folder` lies."""
    return folder / "control.sock"


class ControlServer:
    """Answers operations on behalf of a running operator."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._path = socket_path(parts.config.folder)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Raises OSError when the socket cannot be made."""
        self._path.unlink(missing_ok=True)  # left by a crash: the database's lock says we are alone
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=LINE_OCTETS_MAX)
        finally:
            os.umask(before)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
            try:
                async with asyncio.timeout(STOP_SECONDS_MAX):
                    await self._server.wait_closed()  # from Python 3.12 on: for those being answered too
            except TimeoutError:
                pass

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS_MAX):
                if _peer_uid(writer) in (os.getuid(), 0):
                    answer = await self._answer(await reader.readline())
                    writer.write(json.dumps(answer).encode() + b"\n")
                    await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # the CLI went away, or was not one
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        request = json.loads(line)
        try:
            return {"result": await operate(self._parts, request["operation"], request["arguments"])}
        except Declined as declined:
            kind = "passing" if isinstance(declined, Passing) else "refused"
            return {kind: declined.reason.value, "detail": declined.detail}
        except Exception as bug:
            report(crashed("control", bug))
            return {
                "passing": Reason.INTERNAL.value,
                "detail": f"{type(bug).__name__}; the server's log says where",
            }


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    credentials = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("3i", credentials)[1])


async def ask(folder: Path, name: str, arguments: Arguments) -> Result:
    """Runs an operation in the server running in `folder`. Raises what the operation raised;
    ConnectionError or FileNotFoundError when no server runs there."""
    reader, writer = await asyncio.open_unix_connection(socket_path(folder), limit=LINE_OCTETS_MAX)
    try:
        writer.write(json.dumps({"operation": name, "arguments": dict(arguments)}).encode() + b"\n")
        await writer.drain()
        line = await reader.readline()
    finally:
        writer.close()
    if not line:
        raise ConnectionResetError("the server ended before it answered")
    answer = json.loads(line)
    for kind, error in (("refused", Refused), ("passing", Passing)):
        if kind in answer:
            raise error(Reason(answer[kind]), answer["detail"])
    result: Result = answer["result"]
    return result
