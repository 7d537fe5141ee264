"""Who can write the mail database sends no letter by it: what our reception did not put into the queue is
returned to its sender and goes to nobody."""

from __future__ import annotations

import secrets

import pytest

from mssante.delivery.reception import Reception
from mssante.observe.event import Event
from mssante.observe.events import LetterNotProven
from tests.support.operators.delivery_house import LETTER, FakeCourier, House

A, B, Z = "dr.a@chu-a.test", "dr.b@cabinet-b.test", "dr.z@chu-a.test"


async def forge(house: House, recipient: str) -> None:
    """Writes the rows of a waiting letter, as anybody can who has the database: the outbox's public key lies
    there, and every other key of a letter is drawn for it. Only the key of the queue's tags is missing."""
    ours = house.reception
    house.reception = Reception(
        store=house.store, broker=house.broker, queue=house.queue, clock=house.clock, hostname="x"
    )
    house.reception.secret = secrets.token_bytes(32)
    await house.submit([recipient])
    house.reception = ours


@pytest.mark.parametrize("recipient", [B, Z])
async def test_a_letter_that_only_lies_in_the_database_is_not_sent(
    a_house: House, events: list[Event], recipient: str
) -> None:
    await a_house.mailbox(A)
    await a_house.mailbox(Z)
    await forge(a_house, recipient)
    far = FakeCourier()
    await a_house.runner(far).run_once()
    assert (far.attempts, await a_house.inbox(Z)) == ([], [])
    assert len([event for event in events if isinstance(event, LetterNotProven)]) == 1
    (notice,) = await a_house.inbox(A)
    assert b"Content-Type: multipart/report" in notice
    assert await a_house.store.queue.messages() == []


async def test_a_letter_of_ours_beside_it_is_sent(a_house: House) -> None:
    await a_house.mailbox(A)
    await forge(a_house, B)
    await a_house.submit([B], LETTER.replace(b"<1@", b"<2@"))
    far = FakeCourier()
    await a_house.runner(far).run_once()
    ((address, sent),) = far.delivered
    assert (str(address), b"<2@" in sent) == (B, True)


@pytest.mark.parametrize("proof", [None, bytes(32), b""])
async def test_a_letter_without_the_right_proof_is_returned_and_not_lost(
    a_house: House, monkeypatch: pytest.MonkeyPatch, proof: bytes | None
) -> None:
    await a_house.mailbox(A)
    monkeypatch.setattr("mssante.delivery.reception.route_proof", lambda *_: proof)
    await a_house.submit([B])
    far = FakeCourier()
    await a_house.runner(far).run_once()
    (notice,) = await a_house.inbox(A)
    assert far.attempts == []
    assert f"Final-Recipient: rfc822; {B}".encode() in notice
