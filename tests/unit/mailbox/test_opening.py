"""mssante.mailbox.opening: a login opens the mailbox it means, by a grant in force and by nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mssante.keys.ring import Role
from mssante.model import MailboxKind, PersonId, Secret
from mssante.reasons import Reason, Refused
from tests.support.owner import Desk


async def refused(desk: Desk, user: str, password: Secret | None = None) -> Reason:
    with pytest.raises(Refused) as refusal:
        await (desk.opened(user) if password is None else desk.opened(user, password))
    return refusal.value.reason


async def test_a_login_that_is_an_address_opens_that_mailbox(desk: Desk) -> None:
    await desk.mailbox("autre@a.test", "marie@a.test")
    own = await desk.mailbox("marie@a.test", "marie@a.test")
    assert (await desk.opened("marie@a.test")).id == own
    assert (await desk.opened("marie@a.test/Marie@A.test")).id == own


async def test_a_login_that_is_no_address_opens_the_persons_own_or_first_mailbox(desk: Desk) -> None:
    team = await desk.mailbox("equipe@a.test", "810", kind=MailboxKind.ORG)
    assert (await desk.opened("810")).id == team
    own = await desk.mailbox("dr@a.test", "810")
    assert (await desk.opened("810")).id == own
    assert (await desk.opened("810/equipe@a.test")).id == team


async def test_every_refusal_is_the_same(desk: Desk) -> None:
    theirs = await desk.mailbox("autre@a.test", "autre")
    await desk.mailbox("marie@a.test", "marie@a.test")
    await desk.grant("sans", theirs)
    await desk.broker.revoke(PersonId("sans"), theirs)
    for user in (
        "nobody",
        "marie@a.test/autre@a.test",
        "marie@a.test/nowhere@a.test",
        "marie@a.test/x",
        "sans",
    ):
        assert await refused(desk, user) is Reason.AUTHENTICATION_FAILED
    assert await refused(desk, "marie@a.test", Secret("wrong")) is Reason.AUTHENTICATION_FAILED


async def test_a_grant_to_read_writes_nothing(desk: Desk) -> None:
    team = await desk.mailbox("equipe@a.test")
    await desk.grant("lecteur", team, Role.READ)
    opened = await desk.opened("lecteur")
    assert opened.read_only
    with pytest.raises(Refused) as refusal:
        opened.require_writable()
    assert refusal.value.reason is Reason.NOT_PERMITTED


async def test_a_grant_that_ends_ends_the_ring(desk: Desk) -> None:
    team = await desk.mailbox("equipe@a.test")
    await desk.broker.create_person(PersonId("interim"), Secret("correct horse"))
    until = desk.clock.now() + timedelta(days=1)
    await desk.broker.grant(PersonId("interim"), team, until=until)
    opened = await desk.opened("interim")
    assert opened.ring.alive
    desk.clock.advance(timedelta(days=1))
    assert not opened.ring.alive
    assert await refused(desk, "interim") is Reason.ACCESS_EXPIRED
