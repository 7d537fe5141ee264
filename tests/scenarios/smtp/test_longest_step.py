"""No letter makes the others wait: the longest step of the loop while a hostile one is taken in (R10)."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mssante import limits
from mssante.delivery.reception import Recipient, Trace
from mssante.mime import addresses
from mssante.mime.structure import scan
from mssante.mime.summary import summarise
from mssante.model import Address, MessageSource, PeerIdentity
from tests.support.operators.delivery_house import house
from tests.unit.mime.bombs import BOMBS

STEP_SECONDS_MAX = 0.06  # three times what we want, for a loaded machine
Letter = Callable[[int], bytes]


class Steps:
    """The thread's CPU time of each step of the loop, that is of each callback."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.longest = 0.0
        run = asyncio.Handle._run

        def measured(handle: asyncio.Handle) -> object:
            began = time.thread_time()
            try:
                return run(handle)
            finally:
                self.longest = max(self.longest, time.thread_time() - began)

        monkeypatch.setattr(asyncio.Handle, "_run", measured)


@pytest.mark.parametrize("letter", BOMBS, ids=lambda letter: letter.__name__)
async def test_no_step_is_long_whatever_the_letter(
    letter: Letter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    octets = letter(limits.MIB)
    async with house(tmp_path) as operator:
        address = Address.parse("dr.a@chu-a.test")
        recipient = Recipient(await operator.mailbox(address.key), address)
        peer = PeerIdentity(dn="CN=a", serial="1", fingerprint="ab")
        trace = Trace(source=MessageSource.PEER, peer=peer, detail={"list": "test", "crl": 1})
        gc.collect()
        gc.freeze()  # as the server does: what the tests before have left is not looked through again
        steps = Steps(monkeypatch)
        intake = await operator.reception.deposit(sender=None, recipients=[recipient], trace=trace)
        for at in range(0, len(octets), limits.CHUNK_OCTETS):
            await intake.write(octets[at : at + limits.CHUNK_OCTETS])
            await asyncio.sleep(0)  # as when the next block is read
        await intake.commit()
        monkeypatch.undo()
        gc.unfreeze()
    print(f"{letter.__name__}: longest step {steps.longest * 1000:.1f} ms of CPU")
    assert steps.longest <= STEP_SECONDS_MAX


@pytest.mark.parametrize("letter", BOMBS, ids=lambda letter: letter.__name__)
def test_the_work_on_addresses_is_bounded_whatever_the_letter(
    letter: Letter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted, not timed: the pieces and the octets read of all address fields together."""
    pieces = octets = 0
    read = addresses._AddressReader._pass

    def counted(reader: addresses._AddressReader, position: int, *per_piece: int) -> None:
        nonlocal pieces, octets
        pieces += 1
        octets += position - reader.position
        read(reader, position, *per_piece)

    monkeypatch.setattr(addresses._AddressReader, "_pass", counted)
    message = letter(4 * limits.MIB)
    summarise(scan(message), internal_date=datetime(2026, 1, 1, tzinfo=UTC))
    assert pieces <= limits.MIME_ADDRESS_PIECES_MAX + 1
    longest = limits.MIME_ADDRESS_PIECES_MAX * limits.MIME_ADDRESS_PIECE_OCTETS
    assert octets <= longest + limits.MIME_ADDRESS_OCTETS_MAX
