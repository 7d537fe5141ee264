"""From 354 to the last dot and to the commit: content flows to an Intake as it comes, and no further.

Invariants: memory is one block (the Intake's pace is the reader's); whatever ends the conversation, the
intake is committed or aborted; a commit once begun is finished, whoever has left, and is awaited when
the server stops.
"""

from __future__ import annotations

import asyncio

from mssante import limits
from mssante.delivery.reception import Intake, Receipt
from mssante.observe.events import crashed, report
from mssante.reasons import Declined, Passing, Reason, Refused
from mssante.smtp.grammar.data import DataParser
from mssante.smtp.server.wire import ServerWire, SessionLimits
from mssante.tasks import Unbroken
from mssante.words.smtp import smtp_answer


class Commits:
    """The commits under way, and how many messages are between DATA and their reply. Shareable."""

    def __init__(self, messages_max: int = limits.MESSAGES_IN_FLIGHT_MAX) -> None:
        self._messages_max = messages_max
        self._messages = 0
        self._unbroken = Unbroken("smtp commit")

    def enter(self) -> None:
        """Takes a place for a message. Raises Passing(LIMIT_REACHED): 452 4.3.1 (R3)."""
        if self._messages >= self._messages_max:
            raise Passing(Reason.LIMIT_REACHED)
        self._messages += 1

    def leave(self) -> None:
        self._messages -= 1

    async def commit(self, intake: Intake) -> Receipt:
        """Cancelling the caller does not cancel the commit (A29)."""
        return await self._unbroken.run(intake.commit())

    async def finish(self) -> None:
        """Waits for the commits under way: before the store is closed."""
        await self._unbroken.finish()


async def take_content(wire: ServerWire, intake: Intake, parser: DataParser, session: SessionLimits) -> None:
    """Reads to the end of data. Raises why the message cannot be taken, the intake then aborted."""
    trouble: Declined | None = None
    try:
        clock = asyncio.get_running_loop().time
        waited = 0.0
        received = 0
        while not parser.done:
            allowed = session.data_credit_seconds + received / session.data_octets_per_second_min
            begun = clock()
            block = await wire.read_content(
                allowed - waited
            )  # R7: a rate, not a total time; our own time is not theirs
            waited += clock() - begun
            received += len(block)
            content = parser.receive_data(block)
            if parser.exhausted:
                fault = parser.fault or Reason.MESSAGE_TOO_LARGE
                await wire.hang_up(smtp_answer(Refused(fault)), "content without end")
            if content and trouble is None:
                trouble = await _written(intake, content)
    except BaseException:
        await abort(intake)
        raise
    wire.give_back(parser.leftover)
    if parser.fault is not None:
        trouble = Refused(parser.fault)  # for ever, even if we had trouble of our own meanwhile
    if trouble is not None:
        await abort(intake)
        raise trouble


async def _written(intake: Intake, content: bytes) -> Declined | None:
    """A trouble of the intake is told at the end of data, not before: the far side listens only then."""
    try:
        await intake.write(content)
    except Declined as declined:
        return declined
    except Exception as error:
        report(crashed("smtp intake", error))
        return Passing(Reason.INTERNAL)
    return None


async def abort(intake: Intake) -> None:
    """Leaves nothing of the message."""
    try:
        await intake.abort()
    except Exception as error:
        report(crashed("smtp abort", error))
