"""Memory and speed of content (attack catalogue R1, R2, R8, S8), on a server in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.smtp.process import Caller, Running, running

MIB = 2**20


@pytest.fixture(scope="module", params=[False, True], ids=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest) -> Iterator[Running]:
    with running(uvloop=request.param) as found:
        _delivered(found, b"x" * 76 + b"\r\n", MIB)  # what a first message loads is not what it costs
        yield found


def _delivered(server: Running, line: bytes, octets: int) -> tuple[int, float]:
    """Peak memory above the start, and MiB of content per second of the server's processor."""
    caller = Caller(server.port)
    block = line * (65536 // len(line))
    caller.data()
    before = server.memory()
    began = server.processor_seconds()
    caller.pour(block, octets)
    assert caller.ask(".").startswith("250")
    seconds = max(server.processor_seconds() - began, 0.01)
    caller.close()
    return server.memory() - before, octets / MIB / seconds


def _check_amplification(server: Running, octets: int) -> None:
    for length in (998, 76, 10, 1, 0):
        grown, speed = _delivered(server, b"x" * length + b"\r\n", octets)
        print(f"{octets // MIB} MiB in lines of {length}: +{grown / MIB:.1f} MiB, {speed:.0f} MiB/s")
        assert grown <= 16 * MIB
        assert speed >= 20


def test_memory_stays_flat_whatever_the_lines(server: Running) -> None:
    _check_amplification(server, 8 * MIB)


@pytest.mark.campaign
def test_fifty_mebibytes_at_every_line_length(server: Running) -> None:
    _check_amplification(server, 50 * MIB)


def _endless(server: Running, octets: int) -> None:
    caller = Caller(server.port)
    caller.data()
    before = server.memory()
    sent = caller.pour(b"x" * 65536, octets)
    grown = server.memory() - before
    print(f"{sent / MIB:.0f} MiB of one line taken, +{grown / MIB:.1f} MiB")
    assert grown <= 2 * MIB
    assert sent <= 2 * 60 * MIB


def test_a_line_without_end_costs_nothing(server: Running) -> None:
    _endless(server, 20 * MIB)


@pytest.mark.campaign
def test_four_hundred_mebibytes_of_one_line_are_cut_at_twice_the_maximum(server: Running) -> None:
    _endless(server, 400 * MIB)


def test_a_thousand_silent_connections_cost_little_and_a_peer_still_delivers(server: Running) -> None:
    before = server.memory("VmRSS")
    silent = []
    for number in range(1000):
        try:
            caller = Caller(server.port, tls=False, source=f"127.0.2.{number % 100 + 1}")
        except (AssertionError, OSError):
            continue
        silent.append(caller)
    began = time.perf_counter()
    _delivered(server, b"x" * 76 + b"\r\n", 65536)
    assert time.perf_counter() - began < 2
    assert len(silent) == 160  # 80 % of the connections before TLS: strangers
    assert server.memory("VmRSS") - before <= 30 * MIB
    for caller in silent:
        caller.close()
