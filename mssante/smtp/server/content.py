"""Receives the content of a message: from the 354 to the final dot, then to the commit.

Invariants: only one block is in memory, because we read the next one when the Intake has taken the last;
however the session ends, the intake is either committed or aborted; a commit that has begun runs to its end
even if the client has left, and the server waits for it before it stops.
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
    """The commits under way, and how many messages are between DATA and its reply. Ports may share one."""

    def __init__(self, messages_max: int = limits.MESSAGES_IN_FLIGHT_MAX) -> None:
        self._messages_max = messages_max
        self._messages = 0
        self._unbroken = Unbroken("smtp commit")

    def enter(self) -> None:
        """Takes a place for a message. Raises Passing(LIMIT_REACHED), a 452 4.3.1, when none is left (R3)."""
        if self._messages >= self._messages_max:
            raise Passing(Reason.LIMIT_REACHED)
        self._messages += 1

    def leave(self) -> None:
        self._messages -= 1

    async def commit(self, intake: Intake) -> Receipt:
        """Commits. Cancelling the caller does not cancel the commit (A29)."""
        return await self._unbroken.run(intake.commit())

    async def finish(self) -> None:
        """Waits for the commits under way. Call it before the store is closed."""
        await self._unbroken.finish()


async def take_content(wire: ServerWire, intake: Intake, parser: DataParser, session: SessionLimits) -> None:
    """Reads up to the end of data. If the message cannot be taken, aborts the intake and raises why."""
    trouble: Declined | None = None
    try:
        clock = asyncio.get_running_loop().time
        waited = 0.0
        received = 0
        while not parser.done:
            allowed = session.data_credit_seconds + received / session.data_octets_per_second_min
            begun = clock()
            # R7: we ask for a minimum rate, not for a total time. Only the time spent waiting for the client
            # counts; the time we take to seal and store does not.
            block = await wire.read_content(allowed - waited)
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
        # A malformed message is refused for good. Any trouble of our own, which would pass, counts less.
        trouble = Refused(parser.fault)
    if trouble is not None:
        await abort(intake)
        raise trouble


async def _written(intake: Intake, content: bytes) -> Declined | None:
    """Writes to the intake and returns what went wrong, if anything. It is not raised yet, because the client
    reads our reply only after it has sent the end of data."""
    try:
        await intake.write(content)
    except Declined as declined:
        return declined
    except Exception as error:
        report(crashed("smtp intake", error))
        return Passing(Reason.INTERNAL)
    return None


async def abort(intake: Intake) -> None:
    """Removes what was kept of the message so far."""
    try:
        await intake.abort()
    except Exception as error:
        report(crashed("smtp abort", error))
