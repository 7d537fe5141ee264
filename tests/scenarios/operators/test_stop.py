"""SIGTERM with everything under way (C30): the ports close at once, what was taken is kept."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from tests.scenarios.smtp.courier_remotes import Script, remote
from tests.scenarios.smtp.test_ans_cases import server_context
from tests.support.operators.mail_clients import note, reading, submit
from tests.support.operators.world import HOST, Trio, World, alone, await_true, free_ports

SLOW = "valide.conformite.test"


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((HOST, port)) == 0


def _stopped(trio: Trio, world: World, *, name: str, patient: bool) -> tuple[float, float]:
    """Seconds until the ports were closed, and until the process ended (0 unless `patient`: then it is
    killed). A remote has the whole letter meanwhile, and does not answer; somebody idles."""
    (port,) = free_ports(1)
    operator = world.operator("a", name=name)
    leaf = world.leaf("valide")
    context = server_context(trio, leaf.chain_file, leaf.key_file)
    with alone(world, operator, ((SLOW, f"{HOST}:{port}"),)) as a:
        recipient = f"medecin@{SLOW}"

        async def story() -> tuple[float, float]:
            async with remote(Script(final_seconds=120), context, port=port) as far:
                letter = note(a.login.address, [recipient])
                await asyncio.to_thread(submit, world, a, [recipient], letter)
                await asyncio.to_thread(await_true, lambda: bool(far.commands), 20, "the letter under way")
                began = time.monotonic()
                assert a.server is not None
                a.server.terminate()
                ports = a.ports[:5]
                await asyncio.to_thread(await_true, lambda: not any(map(is_open, ports)), 20, "closed ports")
                closed = time.monotonic() - began
                if not patient:
                    a.kill()
                    return closed, 0
                assert await asyncio.to_thread(a.shut, 50) == 0
                return closed, time.monotonic() - began

        with reading(world, a) as idle:
            idle.send(b"x IDLE\r\n")
            assert idle.readline().startswith(b"+")
            times = asyncio.run(story())
        a.boot()
        assert len(a.ask("queue.list")["recipients"]) == 1
    return times


def test_ports_close_at_once_while_a_remote_still_thinks(trio: Trio, shared_world: World) -> None:
    closed, _ = _stopped(trio, shared_world, name="a-stopping", patient=False)
    assert closed < 3


@pytest.mark.campaign
def test_a_remote_that_thinks_holds_a_stop_up_for_half_a_minute(trio: Trio, shared_world: World) -> None:
    closed, ended = _stopped(trio, shared_world, name="a-stopping-long", patient=True)
    assert closed < 3
    assert ended < 40
