"""IDLE: what others do is told at once, until the client says DONE.

Invariants: it waits for two things, a line from the client and news from the store; both waits have ended
before it returns, whatever made it end.
"""

from __future__ import annotations

import asyncio

from mssante.imap.grammar import responses
from mssante.imap.grammar.commands import Idle
from mssante.imap.grammar.events import RawLine
from mssante.imap.grammar.responses import ResponseStatus
from mssante.imap.server.session import OK, Answer, Session
from mssante.reasons import Passing
from mssante.tasks import end_task


async def idle(session: Session, command: Idle) -> Answer:
    """RFC 2177."""
    session.wire.expect_line()
    await session.send(responses.continuation("idling"))
    line = asyncio.create_task(session.next_event(patient=True))
    try:
        with session.mailbox.store.subscribe(session.mailbox.id) as changed:
            while not line.done():
                await _news_while_idle(session)
                news = asyncio.create_task(changed.wait())
                try:
                    await asyncio.wait((line, news), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    await end_task(news)
        event = line.result()
    finally:
        # If the wait for the line failed, `line.result()` above has raised that error already; or IDLE itself
        # was cancelled. So whatever this task raises here can be ignored.
        line.cancel()
        await asyncio.gather(line, return_exceptions=True)
    assert isinstance(event, RawLine), "the wire was told to expect a line"
    if event.octets.upper() == b"DONE":
        return OK
    return Answer(ResponseStatus.BAD, "DONE was expected")


async def _news_while_idle(session: Session) -> None:
    try:
        await session.look()
        await session.tell(expunges=True)
    except Passing:
        pass  # the next news, or the answer to DONE, tells it; the store has reported its trouble itself
