"""The control socket: a Unix socket beside the database, by which the CLI reaches a running server.

Invariants: the socket has mode 0600, and only a process with our uid or root's is answered (SO_PEERCRED). A
connection carries one request: one JSON line each way, of bounded length. A bug ends its own request only,
and the exception's text is not sent.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mssante.control.catalogue import name_of, operate
from mssante.control.json_values import decoded, encoded
from mssante.control.operations import OperationRequest, Parts, result_type
from mssante.limits import CONTROL_LINE_OCTETS_MAX, CONTROL_REQUEST_SECONDS_MAX, CONTROL_STOP_SECONDS_MAX
from mssante.observe import report
from mssante.observe.events import crashed
from mssante.reasons import Declined, Passing, Reason, Refused

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _SocketLine:
    """What goes over the socket: `{"operation": "bal.show", "arguments": {"address": "…"}}`."""

    operation: str
    arguments: dict[str, Any]


def socket_path(folder: Path) -> Path:
    """Where the socket of the operator configured in `folder` lies."""
    return folder / "control.sock"


class ControlServer:
    """Answers operations on behalf of a running operator."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._path = socket_path(parts.settings.folder)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Raises OSError when the socket cannot be made."""
        self._path.unlink(missing_ok=True)  # left by a crash: the database's lock proves that we are alone
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(
                self._serve, self._path, limit=CONTROL_LINE_OCTETS_MAX
            )
        finally:
            os.umask(before)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
            try:
                async with asyncio.timeout(CONTROL_STOP_SECONDS_MAX):
                    await self._server.wait_closed()  # from Python 3.12 on: for those being answered too
            except TimeoutError:
                pass

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CONTROL_REQUEST_SECONDS_MAX):
                if _peer_uid(writer) in (os.getuid(), 0):
                    answer = await self._answer(await reader.readline())
                    writer.write(json.dumps(answer).encode() + b"\n")
                    await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # the CLI went away, or was not one
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        values = json.loads(line)
        try:
            asked = decoded(_SocketLine, values)
            return {"result": await operate(self._parts, asked.operation, asked.arguments)}
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


async def ask(folder: Path, request: OperationRequest[R]) -> R:
    """Has an operation done by the server running in `folder`. Raises what the operation raised;
    ConnectionError or FileNotFoundError when no server runs there."""
    line = _SocketLine(name_of(request), encoded(request))
    reader, writer = await asyncio.open_unix_connection(socket_path(folder), limit=CONTROL_LINE_OCTETS_MAX)
    try:
        writer.write(json.dumps(encoded(line)).encode() + b"\n")
        await writer.drain()
        answered = await reader.readline()
    finally:
        writer.close()
    if not answered:
        raise ConnectionResetError("the server ended before it answered")
    answer = json.loads(answered)
    for kind, error in (("refused", Refused), ("passing", Passing)):
        if kind in answer:
            raise error(Reason(answer[kind]), answer["detail"])
    try:
        return decoded(result_type(type(request)), answer["result"], what="the server's answer")
    except Refused as odd:
        raise Passing(
            Reason.INTERNAL, f"the server that runs here is of another version, restart it: {odd.detail}"
        ) from None
