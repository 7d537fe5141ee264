"""A disk that is full, refuses writes, or is held by another process (C3, C4, C6), under a whole operator.

What cannot be kept is deferred, never refused for ever; what was acknowledged is there; it recovers alone.
"""

from __future__ import annotations

import asyncio
import os
import resource
import smtplib
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.operators.mail_clients import deliver, field, inbox, note, reading, relay, submit
from tests.support.operators.world import DOMAINS, Operator, World, alone, await_true

SENDER = f"medecin@{DOMAINS['a']}"
MIB = 2**20
RECOVERY_SECONDS_MAX = 5


@pytest.fixture(scope="module")
def b(shared_world: World) -> Iterator[Operator]:
    with alone(shared_world, shared_world.operator("b", name="b-storage")) as operator:
        yield operator


async def try_to_deliver(world: World, b: Operator, unique: str, body: bytes = b"Bonjour\r\n") -> str:
    """One delivery over a fresh session: the last reply."""
    talk = await relay(world, b, "operator-a")
    try:
        return await deliver(
            talk, SENDER, [b.login.address], note(SENDER, ["b@b.test"], unique=unique, body=body)
        )
    finally:
        talk.writer.close()


async def recovered(world: World, b: Operator, unique: str) -> float:
    """How long until a delivery is acknowledged again; what is said meanwhile must be 4xx."""
    began = time.monotonic()
    while not (reply := await try_to_deliver(world, b, unique)).startswith("250"):
        assert reply.startswith("4"), reply
        assert time.monotonic() - began < RECOVERY_SECONDS_MAX
        await asyncio.sleep(0.2)
    return time.monotonic() - began


def kept(world: World, b: Operator) -> list[str]:
    return [field(m, "Message-ID")[1:-12] for m in inbox(world, b, item="BODY.PEEK[HEADER]")]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own at `folder`."""
    folder.mkdir(mode=0o700, parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs takes root: the test with RLIMIT_FSIZE stands for it")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path, leave: int) -> Path:
    """A file that takes all the room but `leave` octets."""
    filler = folder / "filler"
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - leave)
    return filler


def test_a_full_disk_defers_and_recovers(shared_world: World) -> None:
    """C3: from 300 KiB free on, without a reserve; reading goes on; nothing acknowledged is lost."""
    operator = shared_world.operator("b", name="b-full", extra="[bounds]\ndisk_reserve_mib = 0\n")
    with small_disk(operator.folder, "24m"), alone(shared_world, operator) as b:
        replies: dict[str, str] = {}

        async def story() -> None:
            assert (await try_to_deliver(shared_world, b, "avant")).startswith("250")
            filler = fill(b.folder, leave=300 * 1024)
            for number in range(30):
                unique = f"plein-{number}"
                replies[unique] = await try_to_deliver(
                    shared_world, b, unique, b"x" * 70 + b"\r\n" * 300 * 50
                )
            assert "avant" in await asyncio.to_thread(kept, shared_world, b)
            filler.unlink()
            await recovered(shared_world, b, "apres")

        asyncio.run(story())
        told = {reply[:9] for reply in replies.values()}
        assert told <= {"250 2.0.0", "452 4.3.1", "451 4.3.0"}
        assert "452 4.3.1" in told, told
        assert replies["plein-29"].startswith("452 4.3.1 Stockage plein chez nous")
        present = kept(shared_world, b)
        acknowledged = [unique for unique, reply in replies.items() if reply.startswith("250")]
        assert sorted(present) == sorted(["avant", "apres", *acknowledged])
        assert b.running
        assert b.events("storage_trouble")


RESERVE = "[bounds]\ndisk_reserve_mib = 60\n"


def test_below_the_reserve_nothing_new_comes_in_and_people_make_room(shared_world: World) -> None:
    """R3 and C3: on a real file system, filled up to less than its reserve by somebody else."""
    operator = shared_world.operator("b", name="b-reserve", extra=RESERVE)
    with small_disk(operator.folder, "200m"), alone(shared_world, operator) as b:
        body = b"x" * 76 + b"\r\n" + (b"y" * 76 + b"\r\n") * (MIB // 78)
        for number in range(40):
            reply = asyncio.run(try_to_deliver(shared_world, b, f"avant-{number}", body))
            assert reply.startswith("250"), reply
        filler = fill(b.folder, leave=50 * MIB)

        assert asyncio.run(try_to_deliver(shared_world, b, "plein")).startswith("452 4.3.1 Stockage plein")
        with pytest.raises(smtplib.SMTPDataError) as declined:
            submit(shared_world, b, [b.login.address], note(b.login.address, [b.login.address]))
        assert declined.value.smtp_code == 452
        with reading(shared_world, b) as client:
            letter = note(SENDER, ["b@b.test"], unique="depose")
            status, said = client.append("INBOX", None, None, letter)
            assert (status, said[0][:13]) == ("NO", b"[UNAVAILABLE]")
            client.select("INBOX")
            status, said = client.copy("1", "INBOX")
            assert (status, said[0][:13]) == ("NO", b"[UNAVAILABLE]")
            assert client.fetch("1", "(BODY.PEEK[])")[0] == "OK"
            (finding,) = [f for f in b.ask("doctor")["findings"] if f["subject"] == "disk"]
            assert finding["state"] == "WRONG"
            # Deleting is done in slices that the disk has room for, and what is freed takes letters again.
            assert client.store("1:40", "+FLAGS.SILENT", "(\\Deleted)")[0] == "OK"
            status, gone = client.expunge()
            assert (status, len(gone)) == ("OK", 40)
            assert client.append("INBOX", None, None, letter)[0] == "OK"
        assert asyncio.run(try_to_deliver(shared_world, b, "apres", body)).startswith("250")
        assert filler.exists()
        assert len(b.events("disk_short")) == 1
        assert len(b.events("disk_has_room_again")) == 1


def test_a_disk_that_refuses_every_write_defers_and_recovers(shared_world: World, b: Operator) -> None:
    """C4: EFBIG on every write of the running process."""
    assert b.server is not None
    process = b.server.pid
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)

    async def story() -> None:
        assert (await try_to_deliver(shared_world, b, "efbig-avant")).startswith("250")
        resource.prlimit(process, resource.RLIMIT_FSIZE, (1, before[1]))
        replies = [await try_to_deliver(shared_world, b, f"efbig-{n}") for n in range(3)]
        large = await try_to_deliver(shared_world, b, "efbig-large", b"y" * 76 + b"\r\n" * MIB)
        resource.prlimit(process, resource.RLIMIT_FSIZE, before)
        assert {reply[:3] for reply in (*replies, large)} <= {"451", "452"}
        await recovered(shared_world, b, "efbig-apres")

    asyncio.run(story())
    assert b.running
    assert [name for name in kept(shared_world, b) if name.startswith("efbig")] == [
        "efbig-avant",
        "efbig-apres",
    ]


def test_a_locked_database_defers_within_six_seconds(shared_world: World, b: Operator) -> None:
    """C6: another process holds the write lock. Those who only read notice nothing, also where what they read
    is new: its keys are then wrapped anew, a write that nobody waits for."""
    asyncio.run(recovered(shared_world, b, "verrou-nouveau"))
    holder = sqlite3.connect(b.folder / "mail.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    async def bystander(stop: asyncio.Event) -> float:
        talk = await relay(shared_world, b, "operator-a")
        worst = 0.0
        while not stop.is_set():
            began = time.monotonic()
            assert (await talk.ask("RSET")).startswith("250")
            worst = max(worst, time.monotonic() - began)
            await asyncio.sleep(0.25)
        return worst

    async def story() -> tuple[str, float, float]:
        stop = asyncio.Event()
        watching = asyncio.create_task(bystander(stop))
        talk = await relay(shared_world, b, "operator-a")
        for command in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{b.login.address}>", "DATA"):
            await talk.ask(command)
        began = time.monotonic()
        await talk.send(note(SENDER, ["b@b.test"], unique="verrou") + b".\r\n")
        reading = time.monotonic()
        assert "verrou-nouveau" in await asyncio.to_thread(kept, shared_world, b)  # reading needs no lock
        reading = time.monotonic() - reading
        reply = await talk.reply()
        waited = time.monotonic() - began
        assert reading < 3
        # Read first, then sent: the wrapping begun by the reading does not hold up the letter either.
        for command in ("RSET", f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{b.login.address}>", "DATA"):
            await talk.ask(command)
        await asyncio.to_thread(kept, shared_world, b)
        again = time.monotonic()
        await talk.send(note(SENDER, ["b@b.test"], unique="verrou-encore") + b".\r\n")
        assert (await talk.reply()).startswith("451 4.3.0")
        waited = max(waited, time.monotonic() - again)
        stop.set()
        worst = await watching
        holder.execute("ROLLBACK")
        await recovered(shared_world, b, "verrou")
        return reply, waited, worst

    try:
        reply, waited, worst = asyncio.run(story())
    finally:
        holder.close()
    assert reply.startswith("451 4.3.0")
    assert 4.5 <= waited <= 6.5
    assert worst < 3  # of a machine that other tests share
    assert kept(shared_world, b).count("verrou") == 1
    await_true(lambda: bool(b.events("storage_trouble", store="mail")), 5)
