"""The control socket as another program speaks to it: one JSON line each way, and no mistake of a caller is a
bug of ours."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mssante.app.first import Starter, lay
from mssante.app.parts import open_parts
from mssante.config import load
from mssante.control.bal import BalCreated, BalListing, CreateBal, ListBal, ShowBal
from mssante.control.socket import ControlServer, ask, socket_path
from mssante.model import Address, MailboxKind, MailboxStatus
from mssante.observe.event import Event, add_sink
from mssante.observe.events import Crashed
from mssante.reasons import Passing, Reason, Refused

DOMAIN = "chu-a.mssante.test"


@pytest.fixture
async def folder() -> AsyncIterator[Path]:
    """Where a server listens. Not `tmp_path`: a Unix socket's path is short."""
    made = Path(tempfile.mkdtemp(prefix="mssante-control-"))
    starter = Starter(name="CHU A", hostname="mss.operateur-a.test", domains=(DOMAIN,))
    async with open_parts(load(await lay(made, starter))) as parts:
        server = ControlServer(parts)
        await server.start()
        yield made
        await server.stop()
    shutil.rmtree(made)


async def said(folder: Path, line: object) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(socket_path(folder))
    writer.write(json.dumps(line).encode() + b"\n")
    answer: dict[str, Any] = json.loads(await reader.readline())
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        ({"operation": "bal.show", "arguments": {}}, "address is missing"),
        (
            {"operation": "bal.show", "arguments": {"address": f"x@{DOMAIN}", "colour": 1}},
            "colour is unknown",
        ),
        ({"operation": "queue.retry", "arguments": {"message": "one"}}, "message is "),
        ({"operation": "bal.list"}, "arguments is missing"),
        ({"operation": "bal.list", "arguments": []}, "arguments is "),
        ({"arguments": {}}, "operation is missing"),
        ({"operation": 3, "arguments": {}}, "operation is "),
        (["bal.list"], "a request is not an object"),
    ],
)
async def test_a_mistake_in_a_request_is_told_by_its_name_and_is_no_crash(
    folder: Path, line: object, detail: str
) -> None:
    events: list[Event] = []
    forget = add_sink(events.append)
    answer = await said(folder, line)
    forget()
    assert answer["refused"] == "argument_malformed"
    assert answer["detail"].startswith(detail)
    assert not [event for event in events if isinstance(event, Crashed)]


async def test_a_request_is_readable_and_its_answer_too(folder: Path) -> None:
    address = f"cardiologie@{DOMAIN}"
    request = {"operation": "bal.create", "arguments": {"address": address, "kind": "ORG"}}
    assert await said(folder, request) == {"result": {"address": address, "kind": "ORG", "status": "active"}}


async def test_a_typed_request_is_answered_with_a_typed_result_or_its_refusal(folder: Path) -> None:
    address = Address.parse(f"cardiologie@{DOMAIN}")
    assert await ask(folder, ListBal()) == BalListing(mailboxes=())
    made = await ask(folder, CreateBal(address=address, kind=MailboxKind.ORG))
    assert made == BalCreated(address=address, kind=MailboxKind.ORG, status=MailboxStatus.ACTIVE)
    with pytest.raises(Refused) as refused:
        await ask(folder, ShowBal(Address.parse(f"nobody@{DOMAIN}")))
    assert refused.value.reason is Reason.MAILBOX_UNKNOWN


async def test_the_answer_of_another_version_says_what_to_do() -> None:
    folder = Path(tempfile.mkdtemp(prefix="mssante-control-"))

    async def other_version(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"result": {"boxes": []}}\n')
        writer.close()

    server = await asyncio.start_unix_server(other_version, socket_path(folder))
    try:
        with pytest.raises(Passing, match="another version, restart it: boxes is unknown"):
            await ask(folder, ListBal())
    finally:
        server.close()
        shutil.rmtree(folder)
