"""Whole operators as real processes: `mssante serve`, a development PKI, a trust space, free ports.

Invariants: every operator that runs when its test ends is asked whether all invariants of its data hold
(`doctor --verify-data` through its control socket), and a finding fails the test; nothing reaches into a
server but its sockets, its signals and its files.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mssante.control.catalogue import request_named
from mssante.control.json_values import encoded
from mssante.control.socket import ask
from mssante.demo import annuaire
from mssante.demo.certs.make import UNLISTED, Leaf, Pki, build, operator_subject
from mssante.demo.certs.white_list import write as write_white_list
from mssante.demo.operator import HOST, DemoLogin, DemoOperator

START_SECONDS_MAX = 60
TITLES = {"a": "CHU A", "b": "Opérateur B", "c": "Laboratoire C"}
DOMAINS = {"a": "chu-a.mssante.test", "b": "cabinet-b.mssante.test", "c": "labo-c.mssante.test"}
SHARED_DOMAIN = "ght-ab.mssante.test"  # listed with A's name and with B's
MAILBOXES = {
    "a": "camille.moreau@chu-a.mssante.test",
    "b": "etienne.lheveder@cabinet-b.mssante.test",
    "c": "resultats@labo-c.mssante.test",
}


_reserved: list[socket.socket] = []


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody has, below those the system lends to clients, ours while this process
    lasts: a bound socket that does not listen lets a server in (SO_REUSEADDR) and keeps other tests out."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(12_000, 32_000)
        holder = socket.socket()
        try:
            holder.bind((HOST, port))  # without SO_REUSEADDR: refused where anybody is
        except OSError:
            holder.close()
            continue
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _reserved.append(holder)
        found.append(port)
    return found


@dataclass(slots=True)
class Operator(DemoOperator):
    """One operator. `command` is what is run in place of `mssante` (a launcher that injects faults)."""

    command: tuple[str, ...] = ("-m", "mssante")
    server: subprocess.Popen[bytes] | None = None
    extra: str = ""  # configuration beside Starter's

    @property
    def login(self) -> DemoLogin:
        return self.logins[0]

    @property
    def relay_port(self) -> int:
        return self.ports[0]

    @property
    def stderr(self) -> Path:
        return self.folder / "stderr.txt"

    @property
    def config_file(self) -> Path:
        return self.folder / "config.toml"

    def set_up(self, world: World, routes: Sequence[tuple[str, str]] = ()) -> Operator:
        """Makes the working directory, as `mssante init` does."""
        pki = world.pki.directory
        asyncio.run(self.lay(pki, world.white_list, world.ldif, tuple(routes)))
        with self.config_file.open("a", encoding="utf-8") as file:
            file.write(self.extra)
        return self

    def spawn(self) -> None:
        """Starts the process and does not wait."""
        with self.stderr.open("ab") as stderr:
            self.server = subprocess.Popen(
                (sys.executable, *self.command, "--config", str(self.config_file), "serve"),
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
            )

    def await_ready(self) -> Operator:
        """Waits for the control socket, which opens last. Raises RuntimeError if the server ends instead."""
        assert self.server is not None
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self.answers():
            if self.server.poll() is not None:
                raise RuntimeError(self.stderr.read_text(errors="replace"))
            assert time.monotonic() < deadline, "the server did not start in time"
            time.sleep(0.02)
        return self

    def boot(self) -> Operator:
        self.spawn()
        return self.await_ready()

    def answers(self) -> bool:
        """Whether its control socket takes connections."""
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.folder / "control.sock"))
            except OSError:
                return False
        return True

    def populate(self) -> Operator:
        """Its mailboxes and people."""
        asyncio.run(self.people())
        return self

    @property
    def running(self) -> bool:
        return self.server is not None and self.server.poll() is None

    def kill(self) -> None:
        """SIGKILL, as a power cut does it to a process."""
        assert self.server is not None
        self.server.kill()
        self.server.wait()

    def shut(self, seconds: float = 40) -> int:
        """SIGTERM; returns the exit code."""
        assert self.server is not None
        if self.running:
            self.server.terminate()
        return self.server.wait(seconds)

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """An operation through the control socket, in plain JSON values. Not from inside an event loop."""
        result: dict[str, Any] = encoded(asyncio.run(ask(self.folder, request_named(operation, arguments))))
        return result

    def broken_invariants(self) -> list[str]:
        """What `doctor --verify-data` finds wrong with the data."""
        findings = self.ask("doctor", verify_data=True)["findings"]
        subjects = {finding["subject"] for finding in findings}
        wrong = [f for f in findings if f["state"] == "WRONG"]
        invariants = [f"{f['subject']}: {f['text']}" for f in wrong if f["subject"].startswith("invariant")]
        assert invariants or "data" in subjects, "the data was not verified"
        return invariants

    def events(self, event: str, since: int = 0, **fields: Any) -> list[dict[str, Any]]:
        """The events of that name with those fields, after the first `since` lines of the log."""
        path = self.folder / "mssante.log"
        lines = path.read_text(encoding="utf-8").splitlines()[since:] if path.exists() else []
        found = [line for line in map(json.loads, lines) if line["event"] == event]
        return [line for line in found if all(line[name] == value for name, value in fields.items())]

    def log_length(self) -> int:
        path = self.folder / "mssante.log"
        return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0

    def await_events(
        self, event: str, count: int = 1, since: int = 0, seconds: float = 30, **fields: Any
    ) -> list[dict[str, Any]]:
        """As `events`, once there are `count`. Fails after `seconds`."""
        await_true(lambda: len(self.events(event, since, **fields)) >= count, seconds, f"{count} {event}")
        return self.events(event, since, **fields)

    def memory(self, what: str = "VmHWM") -> int:
        """Peak (VmHWM) or present (VmRSS) memory in octets, without the files mapped (libraries lie in memory
        once, however many run; PSS shares them out, but keeps no peak)."""
        assert self.server is not None
        lines = Path(f"/proc/{self.server.pid}/status").read_text().splitlines()
        sizes = {
            line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith(" kB")
        }
        return sizes[what] - sizes["RssFile"]

    def resident(self, what: str = "VmHWM") -> int:
        """As `memory`, with the files mapped."""
        assert self.server is not None
        status = Path(f"/proc/{self.server.pid}/status").read_text()
        return int(status.partition(f"{what}:")[2].split()[0]) * 1024

    def forget_peak(self) -> None:
        """VmHWM starts again from now (proc(5), clear_refs). Only root may ask that of a server that keeps
        its memory to itself; otherwise the peak is that of its whole life."""
        assert self.server is not None
        with contextlib.suppress(PermissionError):
            Path(f"/proc/{self.server.pid}/clear_refs").write_text("5")


@dataclass(slots=True)
class World:
    """A PKI with the good and the bad certificates, and the list and the directory that name them."""

    directory: Path
    pki: Pki
    white_list: Path
    ldif: Path
    operators: list[Operator] = field(default_factory=list)

    @classmethod
    def make(cls, directory: Path, *, with_cases: bool = True, more: Sequence[str] = ()) -> World:
        """`more`: domains that are the operator `valide`'s too."""
        directory.mkdir(parents=True, exist_ok=True)
        pki = build(directory / "pki", now=datetime.now(UTC), with_cases=with_cases)
        world = cls(directory, pki, directory / "listeblanche.xml", directory / "annuaire.ldif")
        cases = [leaf for leaf in pki.leaves.values() if leaf.domain.endswith(".conformite.test")]
        pairs = [(DOMAINS[letter], operator_subject(letter).dn) for letter in DOMAINS]
        pairs += [(SHARED_DOMAIN, operator_subject(letter).dn) for letter in "ab"]
        pairs += [(leaf.domain, leaf.listed) for leaf in cases]
        other = (WITHOUT_TLS, *more)
        pairs += [(domain, leaf.listed) for leaf in cases if leaf.name == "valide" for domain in other]
        write_white_list(world.white_list, pairs, generated_at=datetime.now(UTC))
        shutil.copy(annuaire.dev_ldif_path(), world.ldif)
        with world.ldif.open("a", encoding="utf-8") as file:
            file.writelines(map(_directory_entries, cases))
            if cases:
                file.writelines(_domain_entry(domain, "valide") for domain in other)
        return world

    def leaf(self, name: str) -> Leaf:
        return self.pki.leaves[name]

    def operator(self, letter: str, *, name: str = "", extra: str = "", **fields: Any) -> Operator:
        """Operator `letter`, not yet laid out; `name` tells two of the same letter apart."""
        made = Operator(
            name=f"operator-{letter}",
            title=TITLES[letter],
            domain=DOMAINS[letter],
            folder=self.directory / (name or f"operator-{letter}"),
            ports=tuple(free_ports(6)),  # type: ignore[arg-type] # six of them
            logins=fields.pop("logins", (DemoLogin(MAILBOXES[letter], "PER"),)),
            extra=extra,
            **fields,
        )
        self.operators.append(made)
        return made

    def verify(self) -> None:
        """Fails when an invariant is broken at an operator that runs."""
        broken = {o.folder.name: o.broken_invariants() for o in self.operators if o.running}
        assert not any(broken.values()), broken

    def end(self) -> None:
        for operator in self.operators:
            if operator.running and operator.server is not None:
                operator.server.terminate()
        for operator in self.operators:
            if operator.server is not None:
                try:
                    operator.server.wait(40)
                except subprocess.TimeoutExpired:
                    operator.kill()


def _directory_entries(leaf: Leaf) -> str:
    """A case as the directory has it: an operator, and its domain."""
    return (
        f"\ndn: mssCodeOperateur={leaf.name},ou=operateurs,{annuaire.BASE_DN}\n"
        f"objectClass: mssOperateur\nmssCodeOperateur: {leaf.name}\nmssNomOperateur: {leaf.name}\n"
        f"mssDnCertificat: {leaf.listed}\n"
    ) + _domain_entry(leaf.domain, leaf.name)


def _domain_entry(domain: str, operator: str) -> str:
    return (
        f"\ndn: mssNomDomaine={domain},ou=domaines,{annuaire.BASE_DN}\n"
        f"objectClass: mssDomaine\nmssNomDomaine: {domain}\nmssCodeOperateur: {operator}\n"
    )


@dataclass(slots=True)
class Trio:
    """Three operators that know each other; `case_ports`: by domain, where a test may play its operator."""

    world: World
    a: Operator
    b: Operator
    c: Operator
    case_ports: dict[str, int]

    def __getitem__(self, letter: str) -> Operator:
        found: Operator = getattr(self, letter)
        return found

    def __iter__(self) -> Iterator[Operator]:
        return iter((self.a, self.b, self.c))


BIG_MESSAGES = f"\n[messages]\nbytes_max = {72 * 2**20}\n"
# The ANS conformity cases (facts §1) that a test may play; `sans-tls` has a good certificate, no STARTTLS.
WITHOUT_TLS = "sans-tls.conformite.test"
PLAYED = ("valide", "expire", "revoque", "non-igc", "no-match", "cn-diff-dn")


def make_trio(world: World) -> Trio:
    """A, B and C, running, with one mailbox each."""
    a, b, c = (world.operator(letter, extra=BIG_MESSAGES) for letter in "abc")
    played = [*(world.leaf(name).domain for name in PLAYED), WITHOUT_TLS]
    case_ports = dict(zip(played, free_ports(len(played)), strict=True))
    routes = [(operator.domain, f"{HOST}:{operator.relay_port}") for operator in (a, b, c)]
    routes += [(domain, f"{HOST}:{port}") for domain, port in case_ports.items()]
    for operator in (a, b, c):
        others = [route for route in routes if route[0] != operator.domain]
        operator.set_up(world, others).spawn()
    for operator in (a, b, c):
        operator.await_ready().populate()
    return Trio(world, a, b, c, case_ports)


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One PKI and trust space for the run; for operators of a test's own, see `alone`."""
    world = World.make(tmp_path_factory.mktemp("world"), with_cases=True)
    yield world
    world.end()


@contextmanager
def alone(world: World, operator: Operator, routes: Sequence[tuple[str, str]] = ()) -> Iterator[Operator]:
    """Lays out and starts an operator of a test's own, with its people; verifies and stops it at the end."""
    try:
        yield operator.set_up(world, routes).boot().populate()
        if operator.running:
            assert operator.broken_invariants() == []
    finally:
        if operator.running:
            operator.shut()
        world.operators.remove(operator)


@pytest.fixture(scope="session")
def running_trio(shared_world: World) -> Trio:
    """Started once for the run (and for each xdist worker)."""
    return make_trio(shared_world)


@pytest.fixture
def trio(running_trio: Trio) -> Iterator[Trio]:
    """Three operators, whose invariants hold when the test ends."""
    yield running_trio
    running_trio.world.verify()


def await_true(condition: Callable[[], bool], seconds: float, what: str = "") -> None:
    """Waits for what other processes are about to do; fails when they do not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition}"
        time.sleep(0.02)


@contextmanager
def world_of(directory: Path, **options: Any) -> Iterator[World]:
    """A world of a test's own; its operators are verified and stopped at the end."""
    world = World.make(directory, **options)
    try:
        yield world
        world.verify()
    finally:
        world.end()


def domains_of(operators: Iterable[Operator]) -> list[str]:
    return [operator.domain for operator in operators]


__all__ = [
    "BIG_MESSAGES",
    "DOMAINS",
    "HOST",
    "MAILBOXES",
    "SHARED_DOMAIN",
    "UNLISTED",
    "DemoLogin",
    "Operator",
    "Trio",
    "World",
    "alone",
    "await_true",
    "domains_of",
    "free_ports",
    "make_trio",
    "running_trio",
    "shared_world",
    "trio",
    "world_of",
]
