"""Who may open which mailbox, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from mssante.clock import ManualClock
from mssante.crypto import Dek, EnvelopeForm, NotAuthentic, SealedKey, seal_dek
from mssante.crypto.keys import random_id
from mssante.database import Conflict, Database
from mssante.keys import KeyBroker, Ring, Role, RootKey, SignIn, WrongRootKey
from mssante.keys.tables import access
from mssante.model import BlobId, MailboxId, MessageId, PersonId, Secret
from mssante.reasons import Reason, Refused
from tests.support.key_floor import FloorInMemory
from tests.unit.keys.naming import named, outbox

ALICE = PersonId("alice@a.test")
PASSWORD = Secret("correct horse")
MAILBOX = MailboxId(b"A" * 16)
OTHER = MailboxId(b"B" * 16)
MESSAGE = MessageId(b"m" * 16)
BLOB = BlobId(b"b" * 16)


async def opened(broker: KeyBroker, role: Role = Role.FULL) -> tuple[SignIn, Ring]:
    await broker.create_mailbox(named(MAILBOX))
    await broker.create_person(ALICE, PASSWORD)
    await broker.grant(ALICE, MAILBOX, role)
    login = await broker.authenticate(ALICE, PASSWORD)
    return login, await broker.open(login, MAILBOX)


async def test_a_letter_sealed_by_delivery_opens_for_its_owner(broker: KeyBroker) -> None:
    _, ring = await opened(broker)
    dek = Dek.draw()
    sealed = seal_dek((await broker.create_mailbox(named(MAILBOX))).statement.key, MESSAGE, BLOB, dek)
    assert ring.unwrap(MESSAGE, BLOB, sealed).key == dek.key
    wrapped = ring.closed(MESSAGE, BLOB, dek, b"").key
    assert (sealed.form, wrapped.form) == (EnvelopeForm.SEALED, EnvelopeForm.WRAPPED)
    assert ring.unwrap(MESSAGE, BLOB, wrapped).key == dek.key


async def test_creating_a_mailbox_again_changes_nothing(broker: KeyBroker) -> None:
    mailbox = named(MAILBOX)
    first, second = await asyncio.gather(broker.create_mailbox(mailbox), broker.create_mailbox(mailbox))
    assert first == second == await broker.create_mailbox(mailbox)
    broker.verifier.verify(first)


@pytest.mark.parametrize(
    ("person", "password"), [(ALICE, "wrong"), ("bob@a.test", PASSWORD.value), (ALICE, "")]
)
async def test_wrong_evidence_is_refused_with_one_answer(
    broker: KeyBroker, person: PersonId, password: str
) -> None:
    await broker.create_person(ALICE, PASSWORD)
    with pytest.raises(Refused) as refusal:
        await broker.authenticate(person, Secret(password))
    assert refusal.value.reason is Reason.AUTHENTICATION_FAILED
    assert refusal.value.detail == ""


async def test_a_suspended_person_is_refused_until_resumed(broker: KeyBroker) -> None:
    login, ring = await opened(broker)
    await broker.suspend(ALICE)
    assert not ring.alive
    assert not login.alive
    with pytest.raises(Refused) as refusal:
        await broker.authenticate(ALICE, PASSWORD)
    assert refusal.value.reason is Reason.AUTHENTICATION_FAILED
    await broker.resume(ALICE)
    assert (await broker.authenticate(ALICE, PASSWORD)).alive


async def test_a_name_is_taken_once(broker: KeyBroker) -> None:
    await broker.create_person(ALICE, PASSWORD)
    with pytest.raises(Conflict):
        await broker.create_person(ALICE, PASSWORD)


async def test_without_a_grant_nothing_opens(broker: KeyBroker) -> None:
    login, _ = await opened(broker)
    await broker.create_mailbox(named(OTHER))
    with pytest.raises(Refused) as refusal:
        await broker.open(login, OTHER)
    assert refusal.value.reason is Reason.NOT_PERMITTED


async def test_a_login_made_by_hand_opens_nothing(broker: KeyBroker) -> None:
    real, _ = await opened(broker)
    with pytest.raises(Refused) as refusal:
        await broker.open(SignIn(ALICE, evidence=real.evidence), MAILBOX)
    assert refusal.value.reason is Reason.NOT_PERMITTED


async def test_a_dated_grant_opens_only_between_its_dates(broker: KeyBroker, clock: ManualClock) -> None:
    login, _ = await opened(broker)
    day = timedelta(days=1)
    await broker.grant(ALICE, MAILBOX, since=clock.now() + day, until=clock.now() + 2 * day)
    with pytest.raises(Refused):
        await broker.open(login, MAILBOX)
    clock.advance(day)
    ring = await broker.open(login, MAILBOX)
    assert ring.alive
    clock.advance(day)
    assert not ring.alive
    with pytest.raises(Refused) as refusal:
        ring.closed(MESSAGE, BLOB, Dek.draw(), b"")
    assert refusal.value.reason is Reason.NOT_PERMITTED


@pytest.mark.parametrize("ending", ["expires", "suspended", "closed"])
async def test_a_ring_that_ended_does_nothing(broker: KeyBroker, clock: ManualClock, ending: str) -> None:
    login, _ = await opened(broker)
    await broker.grant(ALICE, MAILBOX, until=clock.now() + timedelta(days=1))
    ring = await broker.open(login, MAILBOX)
    dek = Dek.draw()
    key, name = ring.closed(MESSAGE, BLOB, dek, b"").key, ring.seal_name("folder", "Patients")
    match ending:
        case "expires":
            clock.advance(timedelta(days=1))
        case "suspended":
            await broker.suspend(ALICE)
        case "closed":
            ring.close()
    acts: list[Callable[[], object]] = [
        lambda: ring.unwrap(MESSAGE, BLOB, key),
        lambda: ring.closed(MESSAGE, BLOB, dek, b""),
        lambda: ring.open_summaries([]),
        lambda: ring.seal_name("folder", "Patients"),
        lambda: ring.open_name("folder", name),
        lambda: ring.name_tag("folder", "Patients"),
        lambda: ring.seal_segment(1, b"words"),
        lambda: ring.open_segment(1, 1, b"sealed"),
    ]
    for act in acts:
        with pytest.raises(Refused) as refusal:
            act()
        assert refusal.value.reason is Reason.NOT_PERMITTED
    with pytest.raises(Refused):
        await ring.unwrap_many([(MESSAGE, BLOB, key)])


async def test_revoking_ends_the_ring_and_leaves_the_login(broker: KeyBroker) -> None:
    login, ring = await opened(broker)
    await broker.revoke(ALICE, MAILBOX)
    assert not ring.alive
    assert login.alive
    with pytest.raises(Refused):
        ring.seal_name("folder", "Patients")
    with pytest.raises(Refused):
        await broker.open(login, MAILBOX)
    assert await broker.grants_of(ALICE) == []
    with pytest.raises(Refused):
        await broker.revoke(ALICE, MAILBOX)


async def test_granting_again_ends_what_was_opened_before(broker: KeyBroker) -> None:
    login, ring = await opened(broker)
    await broker.grant(ALICE, MAILBOX, Role.READ)
    assert not ring.alive
    assert (await broker.open(login, MAILBOX)).role is Role.READ
    assert [grant.role for grant in await broker.people_of(MAILBOX)] == [Role.READ]


async def test_a_changed_password_ends_sessions_and_keeps_the_mail(broker: KeyBroker) -> None:
    login, ring = await opened(broker)
    dek = Dek.draw()
    wrapped = ring.closed(MESSAGE, BLOB, dek, b"").key
    await broker.change_password(ALICE, Secret("another one"))
    assert not ring.alive
    with pytest.raises(Refused):
        await broker.open(login, MAILBOX)
    with pytest.raises(Refused):
        await broker.authenticate(ALICE, PASSWORD)
    again = await broker.open(await broker.authenticate(ALICE, Secret("another one")), MAILBOX)
    assert again.unwrap(MESSAGE, BLOB, wrapped).key == dek.key


async def test_only_the_outbox_opens_without_a_person(broker: KeyBroker) -> None:
    await broker.create_mailbox(named(MAILBOX))
    await broker.create_mailbox(outbox(OTHER))
    await broker.create_person(ALICE, PASSWORD)
    assert (await broker.open_queue(OTHER)).alive
    with pytest.raises(Refused) as refusal:
        await broker.open_queue(MAILBOX)
    assert refusal.value.reason is Reason.NOT_PERMITTED
    with pytest.raises(Refused) as refusal:
        await broker.grant(ALICE, OTHER)
    assert refusal.value.reason is Reason.NOT_PERMITTED


@pytest.mark.parametrize(("nobody", "nowhere"), [(True, False), (False, True)])
async def test_a_grant_names_a_person_and_a_mailbox(broker: KeyBroker, nobody: bool, nowhere: bool) -> None:
    if not nowhere:
        await broker.create_mailbox(named(MAILBOX))
    if not nobody:
        await broker.create_person(ALICE, PASSWORD)
    with pytest.raises(Refused) as refusal:
        await broker.grant(ALICE, MAILBOX)
    assert refusal.value.reason is Reason.NOT_PERMITTED


async def test_one_damaged_key_does_not_hide_the_others(broker: KeyBroker) -> None:
    _, ring = await opened(broker)
    key = (await broker.create_mailbox(named(MAILBOX))).statement.key
    deks = [Dek.draw() for _ in range(20)]
    ids = [(MessageId(random_id()), BlobId(random_id())) for _ in deks]
    keys = [(m, b, seal_dek(key, m, b, dek)) for (m, b), dek in zip(ids, deks, strict=True)]
    keys[7] = (*ids[7], SealedKey(1, key.suite, EnvelopeForm.SEALED, b"damaged"))
    found = await ring.unwrap_many(keys)
    assert [each.key if each else None for each in found] == [
        None if i == 7 else dek.key for i, dek in enumerate(deks)
    ]


async def test_names_are_sealed_for_their_mailbox_and_kind(broker: KeyBroker) -> None:
    login, ring = await opened(broker)
    await broker.create_mailbox(named(OTHER))
    await broker.grant(ALICE, OTHER)
    elsewhere = await broker.open(login, OTHER)
    sealed = ring.seal_name("folder", "Dossier Éloïse")
    assert ring.open_name("folder", sealed) == "Dossier Éloïse"
    assert sealed != ring.seal_name("folder", "Dossier Éloïse")
    wrongs: list[Callable[[], str]] = [
        lambda: elsewhere.open_name("folder", sealed),
        lambda: ring.open_name("keyword", sealed),
    ]
    for wrong in wrongs:
        with pytest.raises(NotAuthentic):
            wrong()
    tag = ring.name_tag("folder", "Dossier Éloïse")
    assert tag == ring.name_tag("folder", "Dossier Éloïse")
    assert tag not in (
        elsewhere.name_tag("folder", "Dossier Éloïse"),
        ring.name_tag("keyword", "Dossier Éloïse"),
    )


async def test_a_segment_of_the_index_opens_in_its_mailbox_under_its_id(broker: KeyBroker) -> None:
    login, ring = await opened(broker)
    await broker.create_mailbox(named(OTHER))
    await broker.grant(ALICE, OTHER)
    elsewhere = await broker.open(login, OTHER)
    sealed = ring.seal_segment(2**63 - 1, b"words")
    assert ring.open_segment(2**63 - 1, ring.newest_epoch, sealed) == b"words"
    assert b"words" not in sealed
    assert sealed != ring.seal_segment(2**63 - 1, b"words")
    wrongs: list[Callable[[], bytes]] = [
        lambda: ring.open_segment(1, 1, sealed),
        lambda: ring.open_segment(2**63 - 1, 2, sealed),
        lambda: elsewhere.open_segment(2**63 - 1, 1, sealed),
        lambda: ring.open_segment(2**63 - 1, 1, sealed[:-1]),
    ]
    for wrong in wrongs:
        with pytest.raises(NotAuthentic):
            wrong()


async def test_the_store_opens_again_with_the_same_root_key(
    broker: KeyBroker, database: Database, root: RootKey, clock: ManualClock, floor: FloorInMemory
) -> None:
    _, ring = await opened(broker)
    dek = Dek.draw()
    wrapped = ring.closed(MESSAGE, BLOB, dek, b"").key
    again = await KeyBroker.start(database, root=root, clock=clock, floor=floor.keeper)
    assert again.dedup_key() == broker.dedup_key()
    other = await again.open(await again.authenticate(ALICE, PASSWORD), MAILBOX)
    assert other.unwrap(MESSAGE, BLOB, wrapped).key == dek.key
    again.close()


@pytest.mark.parametrize("said", ["this is not the root key 1", "does not know root key 2"])
async def test_another_root_key_is_found_at_start(
    broker: KeyBroker, database: Database, tmp_path: Path, clock: ManualClock, said: str
) -> None:
    other = RootKey.create(tmp_path / "other.key", number=int(said[-1]))
    with pytest.raises(WrongRootKey, match=said):
        await KeyBroker.start(database, root=other, clock=clock, floor=FloorInMemory().keeper)


async def test_what_another_process_ended_is_ended_at_the_next_recheck(
    broker: KeyBroker, database: Database, root: RootKey, clock: ManualClock, floor: FloorInMemory
) -> None:
    login, ring = await opened(broker)
    elsewhere = await KeyBroker.start(database, root=root, clock=clock, floor=floor.keeper)
    await broker.recheck()
    assert ring.alive
    await elsewhere.revoke(ALICE, MAILBOX)
    await broker.recheck()
    assert not ring.alive
    assert login.alive
    await elsewhere.change_password(ALICE, Secret("new"))
    await broker.recheck()
    assert not login.alive
    elsewhere.close()


async def test_a_closed_broker_leaves_no_ring_alive(broker: KeyBroker) -> None:
    login, ring = await opened(broker)
    broker.close()
    assert not ring.alive
    assert not login.alive


async def test_a_person_suspended_while_the_password_is_checked_does_not_get_in(
    broker: KeyBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await broker.create_person(ALICE, PASSWORD)

    async def right_but_late(password: Secret, stored: str | None, **_: object) -> None:
        await broker.suspend(ALICE)

    monkeypatch.setattr(broker._checks, "verify", right_but_late)
    with pytest.raises(Refused) as refusal:
        await broker.authenticate(ALICE, PASSWORD)
    assert refusal.value.reason is Reason.AUTHENTICATION_FAILED


async def test_a_grant_revoked_while_it_is_read_opens_nothing(
    broker: KeyBroker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    login, _ = await opened(broker)
    read = database.read

    async def read_then_revoke(fn: Callable[[Connection], object]) -> object:
        found = await read(fn)
        monkeypatch.setattr(database, "read", read)
        await broker.revoke(ALICE, MAILBOX)
        return found

    monkeypatch.setattr(database, "read", read_then_revoke)
    with pytest.raises(Refused) as refusal:
        await broker.open(login, MAILBOX)
    assert refusal.value.reason is Reason.NOT_PERMITTED


async def test_an_ended_grant_stays_on_record(broker: KeyBroker, database: Database) -> None:
    await opened(broker)
    await broker.revoke(ALICE, MAILBOX)
    await broker.grant(ALICE, MAILBOX, Role.READ)
    await broker.revoke(ALICE, MAILBOX)
    rows = await database.read(
        lambda connection: connection.execute(sa.select(access.c.role, access.c.revoked)).all()
    )
    assert [(row.role, row.revoked is not None) for row in rows] == [("full", True), ("read", True)]


async def test_a_revocation_keeps_its_own_date(
    broker: KeyBroker, database: Database, clock: ManualClock
) -> None:
    await opened(broker)
    await broker.revoke(ALICE, MAILBOX)
    clock.advance(timedelta(days=1))
    await broker.grant(ALICE, MAILBOX)
    await broker.revoke(ALICE, MAILBOX)
    dates = await database.read(
        lambda connection: connection.scalars(sa.select(access.c.revoked).order_by(access.c.id)).all()
    )
    assert dates[1] - dates[0] == 24 * 3600 * 1000


async def test_what_is_done_to_an_unknown_person_is_refused(broker: KeyBroker) -> None:
    acts: list[Callable[[], Awaitable[object]]] = [
        lambda: broker.change_password(ALICE, PASSWORD),
        lambda: broker.suspend(ALICE),
        lambda: broker.resume(ALICE),
        lambda: broker.revoke(ALICE, MAILBOX),
    ]
    for act in acts:
        with pytest.raises(Refused) as refusal:
            await act()
        assert refusal.value.reason is Reason.NOT_PERMITTED
