"""Receives the content of a message: from the 354 to the final dot, then to the commit.

Invariants: only one block is in memory, because we read the next one when the Intake has taken the last; what
a message costs is taken from the shared room before it is kept, and given back when nothing of it is left to
keep; however the session ends, the intake is either committed or aborted; a commit that has begun runs to its
end even if the client has left, and the server waits for it before it stops.
"""

from __future__ import annotations

import asyncio
from functools import partial

from mssante import limits
from mssante.delivery.reception import Intake, Receipt
from mssante.net.room import Pace, Room, RoomBounds
from mssante.observe.event import report
from mssante.observe.events import crashed
from mssante.reasons import Declined, Passing, Reason, Refused
from mssante.smtp.grammar.data import DataParser
from mssante.smtp.server.wire import ServerWire, SessionLimits
from mssante.tasks import Unbroken
from mssante.words.smtp import smtp_answer

_LEAVE = smtp_answer(Passing(Reason.TOO_SLOW_FOR_OTHERS))
_MEMORY = RoomBounds(octets_max=limits.INTAKE_OCTETS_MEMORY_MAX)
_DISK = RoomBounds(octets_max=limits.INTAKE_OCTETS_DISK_MAX)


def memory_of(octets: int) -> int:
    """How many octets of memory a message holds while it comes in, when so many of it have come."""
    return min(octets * limits.INTAKE_OCTETS_PER_OCTET, limits.INTAKE_OCTETS_PER_LETTER_MAX)


class Holding:
    """What one message between DATA and its reply holds of memory and disk (R3). A client that has sent
    nothing holds nothing."""

    def __init__(self, memory: Room, disk: Room, *, port: str, party: str, wire: ServerWire) -> None:
        self.pace = Pace(partial(wire.cut, _LEAVE, "too slow for others"), asyncio.get_running_loop().time)
        self._memory = memory.enter(port=port, party=party, pace=self.pace)
        self._disk = disk.enter(port=port, party=party, pace=self.pace)

    async def hold(self, octets: int) -> None:
        """Makes room for a message of so many octets. Raises Passing(LIMIT_REACHED), a 452 4.3.1."""
        await self._memory.hold(memory_of(octets))
        await self._disk.hold(octets)

    async def hold_beside(self, octets: int) -> None:
        """Makes room for what is held of a message besides its octets. Raises as `hold`."""
        await self._memory.hold(self._memory.octets + octets)

    def give_back(self) -> None:
        self._memory.give_back()
        self._disk.give_back()


class Commits:
    """The commits under way, and the room for messages between DATA and its reply. Ports share one."""

    def __init__(self, *, memory: RoomBounds = _MEMORY, disk: RoomBounds = _DISK) -> None:
        self.memory = Room("memory", memory)
        self.disk = Room("disk", disk)
        self._unbroken = Unbroken("smtp commit")

    def enter(self, *, port: str, party: str, wire: ServerWire) -> Holding:
        """For one message. `party` is who sends it: a peer's DN or a login. Give it back at the end."""
        return Holding(self.memory, self.disk, port=port, party=party, wire=wire)

    async def commit(self, intake: Intake) -> Receipt:
        """Commits. Cancelling the caller does not cancel the commit (A29)."""
        return await self._unbroken.run(intake.commit())

    async def finish(self) -> None:
        """Waits for the commits under way. Call it before the store is closed."""
        await self._unbroken.finish()


async def take_content(
    wire: ServerWire, intake: Intake, holding: Holding, parser: DataParser, session: SessionLimits
) -> None:
    """Reads up to the end of data. If the message cannot be taken, aborts the intake and raises why."""
    trouble: Declined | None = None
    pace = holding.pace
    try:
        while not parser.done:
            allowed = session.data_credit_seconds + pace.octets / session.data_octets_per_second_min
            # R7: we ask for a minimum rate, not for a total time. Only the time spent waiting for the client
            # counts; the time we take to seal and store does not.
            pace.listen()
            block = await wire.read_content(allowed - pace.waited)
            pace.heard(len(block))
            content = parser.receive_data(block)
            if parser.exhausted:
                fault = parser.fault or Reason.MESSAGE_TOO_LARGE
                await wire.hang_up(smtp_answer(Refused(fault)), "content without end")
            if trouble is None:
                trouble = await _written(intake, holding, content, parser)
                if trouble is not None:  # the rest is only read: it needs no room
                    await _drop(intake, holding)
    except BaseException:
        if trouble is None:
            await _drop(intake, holding)
        raise
    wire.give_back(parser.leftover)
    if parser.fault is not None:
        # A malformed message is refused for good. Any trouble of our own, which would pass, counts less.
        raise Refused(parser.fault)
    if trouble is not None:
        raise trouble


async def make_room_for_copies(intake: Intake, holding: Holding) -> None:
    """A letter for two hundred mailboxes holds two hundred summaries and headers until they are kept. Raises
    Refused, Passing; then nothing of the message is kept."""
    copies = await intake.complete()
    try:
        await holding.hold_beside(copies)
    except BaseException:
        await _drop(intake, holding)
        raise


async def _written(intake: Intake, holding: Holding, content: bytes, parser: DataParser) -> Declined | None:
    """Writes to the intake and returns what went wrong, if anything. It is not raised yet, because the client
    reads our reply only after it has sent the end of data."""
    if parser.fault is not None:
        return Refused(parser.fault)
    try:
        if content:
            await holding.hold(parser.octets)
            await intake.write(content)
    except Declined as declined:
        return declined
    except Exception as error:
        report(crashed("smtp intake", error))
        return Passing(Reason.INTERNAL)
    return None


async def _drop(intake: Intake, holding: Holding) -> None:
    """Removes what was kept of the message so far."""
    try:
        await intake.abort()
    except Exception as error:
        report(crashed("smtp abort", error))
    finally:
        holding.give_back()
