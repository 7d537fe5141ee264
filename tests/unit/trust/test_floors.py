"""What was accepted of list and revocation lists is a floor: for this run, and for the next one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mssante.annuaire.ldif import LdifDirectory
from mssante.app.trust import trust_state
from mssante.clock import ManualClock
from mssante.config import load
from mssante.demo.certs.white_list import write
from mssante.model import Direction, Domain, Malformed
from mssante.observe.event import Event, add_sink
from mssante.reasons import Reason, Refused
from mssante.trust.state import TrustState
from tests.unit.trust.conftest import NOW, World, chain_of

DAY = timedelta(days=1)
A, B = "operator-a", "operator-b"


class Disk:
    """An operator's configuration and its files of trust. `start` is a new process that reads them."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.list = folder / "liste.xml"
        self.crls = folder / "crls"
        self.crls.mkdir()
        self.revoke(number=1)
        self.clock = ManualClock(NOW)
        (folder / "config.toml").write_text(
            f"""
[operator]
name = "A"
hostname = "mss.a.test"
domains = ["{world.domain(A)}"]
environment = "test"
[tls]
certificate = "tls.pem"
key = "tls.key"
[trust]
anchors = "{world.pki.anchors}"
intermediates = "{world.pki.issuing}"
crls = "crls"
sources = ["list"]
white_list = "liste.xml"
[directory]
ldif = "a.ldif"
[storage]
root_key = "root.key"
[listen]
relay = "127.0.0.1:0"
"""
        )

    def publish(self, *names: str, at: datetime, more: int = 0, dn: str = "CN=mss.x.test,O=X,C=FR") -> None:
        """A list of these operators, and of `more` others."""
        pairs = [(str(self.world.domain(name)), self.world.leaf(name).dn) for name in names]
        write(self.list, [*pairs, *((f"d{n}.test", dn) for n in range(more))], generated_at=at)

    def revoke(self, *names: str, number: int, at: datetime = NOW) -> None:
        fallen = [self.world.leaf(name).issued.certificate for name in names]
        crl = self.world.pki.organisations.crl(now=at, number=number, revoked=fallen)
        (self.crls / "a.crl").write_bytes(crl.public_bytes(Encoding.DER))
        if not (self.crls / "root.crl").exists():
            (self.crls / "root.crl").write_bytes(self.world.pki.root.crl(now=NOW).public_bytes(Encoding.DER))

    def state(self) -> TrustState:
        directory = LdifDirectory(b"version: 1\n")
        return trust_state(load(self.folder / "config.toml"), directory, self.clock)

    async def start(self) -> TrustState:
        state = self.state()
        await state.load()
        return state


def listed(state: TrustState) -> int:
    return len(state.space.names_by_domain)


def is_revoked(state: TrustState, world: World, name: str) -> bool:
    try:
        state.verify(chain_of(world.leaf(name)), Direction.IN)
    except Refused as refused:
        return refused.reason is Reason.CERTIFICATE_REVOKED
    return False


@pytest.fixture
def disk(world: World, tmp_path: Path) -> Disk:
    return Disk(world, tmp_path)


@pytest.fixture
def told() -> Iterator[list[str]]:
    names: list[str] = []

    def note(event: Event) -> None:
        names.append(type(event).__name__)

    remove = add_sink(note)
    yield names
    remove()


@pytest.mark.parametrize("ahead", [timedelta(minutes=6), timedelta(days=73 * 365)])
async def test_a_list_dated_in_the_future_never_freezes_the_space(
    disk: Disk, world: World, ahead: timedelta
) -> None:
    disk.publish(A, B, at=NOW)
    state = await disk.start()
    disk.publish(A, at=NOW + ahead)
    await state.renew()
    assert listed(state) == 2
    disk.clock.advance(timedelta(minutes=1))
    disk.publish(B, at=NOW + timedelta(seconds=30))  # the true next list is taken
    await state.renew()
    assert set(state.space.names_by_domain) == {world.domain(B)}


async def test_at_the_first_start_a_list_dated_in_the_future_is_refused_with_its_reason(disk: Disk) -> None:
    disk.publish(A, at=datetime(2099, 1, 1, tzinfo=NOW.tzinfo))
    with pytest.raises(Malformed, match="in the future: is the machine's clock right"):
        await disk.start()
    disk.publish(A, at=NOW + timedelta(minutes=4))  # clocks differ
    assert listed(await disk.start()) == 1


async def test_after_a_restart_an_older_list_brings_nobody_back(disk: Disk, world: World) -> None:
    disk.publish(A, B, at=NOW - DAY)
    await disk.start()
    disk.publish(A, at=NOW)
    struck_off = await disk.start()
    assert listed(struck_off) == 1
    disk.publish(A, B, at=NOW - DAY)
    again = await disk.start()
    assert set(again.space.names_by_domain) == {world.domain(A)}  # the last good one serves on
    assert "older than the one accepted before" in again.held["list"].why


async def test_after_a_restart_an_older_revocation_list_brings_nobody_back(disk: Disk, world: World) -> None:
    disk.publish(A, B, at=NOW)
    disk.revoke(B, number=6)
    assert is_revoked(await disk.start(), world, B)
    disk.revoke(number=5)
    assert is_revoked(await disk.start(), world, B)
    for file in disk.crls.iterdir():  # nor does its loss
        file.unlink()
    assert is_revoked(await disk.start(), world, B)


async def test_a_floor_holds_although_the_copy_is_gone(disk: Disk, world: World) -> None:
    disk.publish(A, B, at=NOW)
    disk.revoke(B, number=6)
    await disk.start()
    kept = disk.folder / "trust-kept"
    for copy in [*kept.glob("list-*"), *kept.glob("crls/*")]:
        copy.unlink()
    disk.revoke(number=5)
    state = await disk.start()
    assert [unused.why for unused in state.crls.unused] == ["older than the list in use"]
    for copy in kept.glob("list-*"):
        copy.unlink()
    disk.publish(A, at=NOW - DAY)
    with pytest.raises(Malformed, match="older than the one accepted before"):
        await disk.start()


async def test_a_revocation_list_dated_in_the_future_does_not_count(disk: Disk, world: World) -> None:
    disk.publish(A, B, at=NOW)
    state = await disk.start()
    disk.revoke(B, number=99, at=NOW + timedelta(hours=2))  # dated an hour less
    await state.renew()
    assert [unused.why for unused in state.crls.unused] == ["dated in the future"]
    disk.revoke(B, number=2)
    await state.renew()
    assert is_revoked(state, world, B)


async def test_a_list_that_lost_most_of_its_entries_waits_for_an_operator(
    disk: Disk, told: list[str]
) -> None:
    disk.publish(A, B, at=NOW, more=8_653)
    state = await disk.start()
    disk.publish(A, at=NOW + timedelta(seconds=1))
    await state.renew()
    await state.renew()
    assert listed(state) == 8_655
    assert told.count("TrustSourceHeld") == 1
    assert state.held["list"].why == "it lost 8654 of 8655 pairs of domain and name"
    again = await disk.start()  # a restart does not take it either
    assert listed(again) == 8_655
    digest = again.held["list"].floor.digest
    with pytest.raises(Malformed, match="look again"):
        await again.accept("list", "0" * 16)
    assert listed(again) == 8_655
    assert (await again.accept("list", digest)).pairs == 1
    assert (listed(again), again.held) == (1, {})
    assert listed(await disk.start()) == 1


@pytest.mark.parametrize(("left", "taken"), [(75, True), (74, False)])
async def test_a_quarter_may_go(disk: Disk, left: int, taken: bool) -> None:
    disk.publish(at=NOW, more=100)
    state = await disk.start()
    disk.publish(at=NOW, more=left)
    await state.renew()
    assert (listed(state) == left) is taken


async def test_a_small_list_may_lose_much(disk: Disk) -> None:
    disk.publish(A, B, at=NOW, more=9)
    state = await disk.start()
    disk.publish(A, at=NOW)
    await state.renew()
    assert listed(state) == 1


async def test_an_operator_that_moves_all_its_domains_to_another_name_is_no_loss(disk: Disk) -> None:
    """facts §1: 1,027 entries in one day, from one DN to two."""
    disk.publish(A, at=NOW, more=100)
    state = await disk.start()
    disk.publish(A, at=NOW, more=100, dn="CN=mss.nouveau.test,O=X,C=FR")
    await state.renew()
    assert state.held == {}
    assert [str(name) for name in state.space.names_for(Domain("d7.test"))] == [
        "CN=mss.nouveau.test,O=X,C=FR"
    ]


async def test_no_operator_accepts_the_future(disk: Disk) -> None:
    disk.publish(A, B, at=NOW)
    state = await disk.start()
    disk.publish(A, at=NOW + DAY)
    await state.renew()
    with pytest.raises(Malformed, match="in the future"):
        await state.accept("list", state.held["list"].floor.digest)
    assert listed(state) == 2


def _lose(kept: Path) -> None:
    (kept / "floors.json").unlink()


def _damage(kept: Path) -> None:
    (kept / "floors.json").write_bytes((kept / "floors.json").read_bytes()[:-9])


def _open(kept: Path) -> None:
    (kept / "floors.json").chmod(0o666)


def _of_another_version(kept: Path) -> None:
    tree = json.loads((kept / "floors.json").read_bytes())
    (kept / "floors.json").write_text(json.dumps({**tree, "version": 2}))


@pytest.mark.parametrize("harm", [_lose, _damage, _open, _of_another_version])
async def test_floors_that_cannot_be_read_are_not_taken_for_none(disk: Disk, harm: object) -> None:
    disk.publish(A, at=NOW)
    await disk.start()
    assert callable(harm)
    harm(disk.folder / "trust-kept")
    for _ in range(2):
        with pytest.raises(Malformed, match="put it back from a backup"):
            await disk.start()


async def test_without_anything_kept_trust_begins_anew_and_says_so(disk: Disk, told: list[str]) -> None:
    disk.publish(A, at=NOW)
    await disk.start()
    await disk.start()
    assert told.count("TrustBegun") == 1


async def test_a_command_that_only_looks_writes_nothing(disk: Disk) -> None:
    disk.publish(A, at=NOW)
    await disk.state().load(keep=False)
    await disk.state().read_space()
    assert not (disk.folder / "trust-kept").exists()


async def test_a_disk_that_takes_no_floor_does_not_hold_up_a_newer_list(disk: Disk, told: list[str]) -> None:
    """It may strike an operator off, so it counts; an alarm says that a restart would forget it."""
    disk.publish(A, B, at=NOW - DAY)
    state = await disk.start()
    (disk.folder / "trust-kept").rename(disk.folder / "elsewhere")
    (disk.folder / "trust-kept").touch()  # no folder can be made here
    disk.publish(A, at=NOW)
    await state.renew()
    assert listed(state) == 1
    assert "trust-kept" in state.not_kept
    assert "StorageTrouble" in told
    (disk.folder / "trust-kept").unlink()
    (disk.folder / "elsewhere").rename(disk.folder / "trust-kept")
    await state.renew()
    assert state.not_kept == ""
    disk.publish(A, B, at=NOW - DAY)
    assert listed(await disk.start()) == 1
