"""Every attack that could stop everybody's mail, all at once, beside people and peers who go on working.

What is measured: good peers' and readers' times, RSS of each server process, and whether every letter that
was acknowledged is found exactly once. On one process with SQLite, and on two that share a PostgreSQL.

What the figures leave out. Servers, attackers, good clients and PostgreSQL share the cores of one machine, so
each attacker is paced (the pace stands at the head of its file) and the attackers' process is nicer than the
servers: a faster attacker would take the processor from the server as a neighbour, which is no fault of the
server. Everybody is on loopback: networks are many addresses of 127.0.0.0/8, IPv6 and row 7 are not played;
no packet is lost and no line is slow but on purpose. The good doctor's password is remembered after the first
sign-in, as a mail program's is; others sign in for the first time since a restart, one after another, and
have a bound of their own. Memory of PostgreSQL is not counted. Rows 14 to 20 are no matter of load.

`CAMPAIGN_SECONDS` (60) is how long it is played, `CAMPAIGN_STRENGTH` (1) how much of each attack,
`CAMPAIGN_ROWS` ("1 4b 12") which rows; `CAMPAIGN_REPORT` names a file that the tables are added to.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.smtp.courier_remotes import Remote, Script, remote
from tests.support.attacks.process import attacks_of
from tests.support.attacks.stage import Peer, Ports, Scene
from tests.support.operators.good_traffic import FIRST, THINGS, Figures, GoodTraffic, percentile
from tests.support.operators.hosts import on_postgresql, twin_of
from tests.support.operators.mail_clients import contents, field, reading
from tests.support.operators.world import (
    DOMAINS,
    HOST,
    DemoLogin,
    Operator,
    World,
    free_ports,
    world_of,
)
from tests.support.postgres import Postgres

ROOT = Path(__file__).parents[3]
MIB = 2**20
DOMAIN = DOMAINS["a"]
DOCTOR = DemoLogin(f"camille.moreau@{DOMAIN}", "PER")
COLLEAGUE = DemoLogin(f"sacha.martin@{DOMAIN}", "PER")
KNOWN = tuple(DemoLogin(f"medecin{n}@{DOMAIN}", "PER") for n in range(20))
HOME = "127.0.77.1"  # where the good people sit, and somebody who sprays passwords
FAR = f"medecin@{DOMAINS['b']}"  # of the good operator that the doctor writes to
SILENT = tuple(f"muet-{n}.conformite.test" for n in range(300))
SLOW = tuple(f"lent-{n}.conformite.test" for n in range(20))
PREPARED_SECONDS_MAX = 400
DRAINED_SECONDS_MAX = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How it is played, and what must hold."""

    name: str
    seconds: float
    quiet_seconds: float
    strength: float = 1.0
    rows: str = ""
    known: int = len(KNOWN)
    p99_seconds: float
    first_seconds: float = 5  # with Argon2id, and the attackers' guesses on the same cores
    rss_octets: int = 512 * MIB


def whole(name: str) -> Form:
    environ = os.environ
    return Form(
        name=name,
        seconds=float(environ.get("CAMPAIGN_SECONDS", "60")),
        quiet_seconds=5,
        strength=float(environ.get("CAMPAIGN_STRENGTH", "1")),
        rows=environ.get("CAMPAIGN_ROWS", "").replace(",", " "),
        p99_seconds=2,
    )


SHORT = Form(
    name="a few attackers, one process, SQLite",
    seconds=6,
    quiet_seconds=1,
    strength=0.05,
    rows="1 2 4 6 8 9 10 12",
    known=1,
    first_seconds=120,
    p99_seconds=60,  # of a machine that is busy with other tests too
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was seen. `attacks`: as the players tell it; `found`: tokens in the mailboxes."""

    quiet: Figures
    attacked: Figures
    attacks: Sequence[dict[str, Any]]
    rss: Sequence[int]
    processor: Sequence[float]
    machine: float
    events: Counter[str]
    found: dict[str, Counter[str]]
    arrived: dict[str, float]

    def acknowledged(self) -> dict[str, set[str]]:
        delivered = self.quiet.delivered | self.attacked.delivered
        submitted = self.quiet.submitted.keys() | self.attacked.submitted.keys()
        return {DOCTOR.address: delivered, COLLEAGUE.address: submitted, FAR: submitted}

    def lost(self) -> dict[str, int]:
        return {who: len(tokens - self.found[who].keys()) for who, tokens in self.acknowledged().items()}

    def on_the_way(self) -> list[float]:
        """Seconds from 250 to the other operator, of what was submitted under attack."""
        submitted = self.attacked.submitted
        return [self.arrived[token] - at for token, at in submitted.items() if token in self.arrived]

    def twice(self) -> dict[str, int]:
        """Only letters that were acknowledged: the attackers' own have no token, and each of them is kept."""
        return {
            who: sum(self.found[who][token] > 1 for token in tokens)
            for who, tokens in self.acknowledged().items()
        }


class Players:
    """The attackers' process."""

    def __init__(self, scene: Scene, rows: str) -> None:
        self._scene = scene
        self._rows = rows

    async def prepare(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.attacks.process"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            limit=2**20,
        )
        self._say(self._scene.as_json())
        self._say(self._rows)
        assert await self._heard(PREPARED_SECONDS_MAX) == b"ready\n", "the players did not get ready"

    def go(self) -> None:
        self._say("go")

    async def stop(self) -> list[dict[str, Any]]:
        self._say("stop")
        told: list[dict[str, Any]] = json.loads(await self._heard(60))
        return told

    async def end(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    async def _heard(self, seconds: float) -> bytes:
        assert self._process.stdout is not None
        async with asyncio.timeout(seconds):
            return await self._process.stdout.readline()


def attackers_of(form: Form) -> list[DemoLogin]:
    """People who have a mailbox, and mean no good."""
    people = [name for attack in attacks_of(form.rows) for name in attack.people]
    return [DemoLogin(f"{name}@{DOMAIN}", "PER") for name in people]


def scene_of(world: World, hosts: Sequence[Operator], form: Form, silent: int, slow: int) -> Scene:
    peers = {
        name: Peer(str(world.leaf(name).chain_file), str(world.leaf(name).key_file), f"medecin@{domain}")
        for name, domain in (("valide", world.leaf("valide").domain), ("operator-c", DOMAINS["c"]))
    }
    return Scene(
        hosts=tuple(Ports(relay=h.ports[0], submission=h.ports[1], imaps=h.ports[4]) for h in hosts),
        anchors=str(world.pki.anchors),
        peers=peers,
        passwords={login.address: login.password.value for login in hosts[0].logins},
        domain=DOMAIN,
        recipient=COLLEAGUE.address,
        victims=tuple(login.address for login in (DOCTOR, COLLEAGUE, *attackers_of(form))),
        home=HOME,
        silent_domains=SILENT,
        silent_port=silent,
        slow_domains=SLOW,
        slow_port=slow,
        strength=form.strength,
    )


async def story(world: World, hosts: Sequence[Operator], form: Form, scene: Scene, far: int) -> Outcome:
    """A restart, a moment of quiet, then everybody at once; then what was acknowledged is looked for."""
    good = GoodTraffic(
        world,
        hosts,
        peer=("operator-b", f"medecin@{DOMAINS['b']}"),
        doctor=DOCTOR,
        home=HOME,
        colleagues=[COLLEAGUE.address, FAR],
    )
    known = KNOWN[: form.known]
    await good.sign_in_once(known)
    for host in hosts:
        await asyncio.to_thread(host.shut)
    for host in hosts:
        await asyncio.to_thread(host.boot)
    players = Players(scene, form.rows)
    async with AsyncExitStack() as stack:
        their_mail = await stack.enter_async_context(remote(Script(), far_context(world), port=far))
        arrived: dict[str, float] = {}
        watching = asyncio.create_task(watch(their_mail, arrived))
        stack.push_async_callback(players.end)
        await players.prepare()
        for host in hosts:
            host.forget_peak()
        quiet = await during(good, form.quiet_seconds)
        before, machine = [processor_seconds(host) for host in hosts], machine_seconds()
        players.go()
        attacked = await during(good, form.seconds, known)
        attacks = await players.stop()
        rss = [host.resident("VmHWM") for host in hosts]
        processor = [processor_seconds(host) - was for host, was in zip(hosts, before, strict=True)]
        machine = machine_seconds() - machine
        submitted = quiet.submitted.keys() | attacked.submitted.keys()
        found = await drained(world, hosts[-1], submitted, their_mail)
        watching.cancel()
    return Outcome(
        quiet=quiet,
        attacked=attacked,
        attacks=attacks,
        rss=rss,
        processor=processor,
        machine=machine,
        events=sum((logged(host) for host in hosts), Counter()),
        found=found,
        arrived=arrived,
    )


def far_context(world: World) -> ssl.SSLContext:
    """The good operator that the doctor writes to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(world.leaf("operator-b").chain_file, world.leaf("operator-b").key_file)
    context.load_verify_locations(world.pki.anchors)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def during(good: GoodTraffic, seconds: float, first: Sequence[DemoLogin] = ()) -> Figures:
    stopping = asyncio.Event()
    every = seconds / max(1, len(first))
    work = asyncio.create_task(good.run(stopping, first=first, first_every=every))
    await asyncio.wait([work], timeout=seconds)
    stopping.set()
    return await work


async def drained(
    world: World, host: Operator, submitted: set[str], their_mail: Remote
) -> dict[str, Counter[str]]:
    """What lies in the mailboxes once the queue has brought what was submitted, or time is up."""
    found: dict[str, Counter[str]] = {}
    async with asyncio.timeout(DRAINED_SECONDS_MAX + 60):
        deadline = asyncio.get_running_loop().time() + DRAINED_SECONDS_MAX
        while True:
            for address in (COLLEAGUE.address, DOCTOR.address):
                found[address] = await asyncio.to_thread(tokens_in, world, host, address)
            found[FAR] = Counter(map(token_of, (content for _, _, content in their_mail.messages)))
            arrived = found[COLLEAGUE.address].keys() & found[FAR].keys()
            if submitted <= arrived or asyncio.get_running_loop().time() > deadline:
                return found
            await asyncio.sleep(1)


async def watch(their_mail: Remote, arrived: dict[str, float]) -> None:
    """Notes when each letter came to the other operator."""
    seen = 0
    while True:
        for _, _, content in their_mail.messages[seen:]:
            arrived.setdefault(token_of(content), time.monotonic())
            seen += 1
        await asyncio.sleep(0.1)


def token_of(message: bytes) -> str:
    return field(message, "Message-ID").strip("<>").partition("@")[0]


def tokens_in(world: World, host: Operator, address: str) -> Counter[str]:
    with reading(world, host, user=f"{DOCTOR.address}/{address}") as client:
        return Counter(map(token_of, contents(client, item="BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]")))


def processor_seconds(host: Operator) -> float:
    assert host.server is not None
    fields = Path(f"/proc/{host.server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_seconds() -> float:
    """Of processor, used by everybody on this machine since it was started."""
    user, nice, system, _, _, *rest = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def logged(host: Operator) -> Counter[str]:
    lines = (host.folder / "mssante.log").read_text(encoding="utf-8").splitlines()
    return Counter(str(json.loads(line)["event"]) for line in lines)


# What is said of it


def table(form: Form, outcome: Outcome) -> str:
    lines = [f"== {form.name}: {form.seconds:.0f} s, strength {form.strength:g}", ""]
    lines += [f"{'row':<4} {'attack':<36} {'made':<58} heard"]
    for attack in outcome.attacks:
        made, heard = counted(attack["made"]), counted(attack["heard"])
        lines += [f"{attack['row']:<4} {attack['name']:<36} {made:<58} {heard}"]
    lines += ["", f"{'good traffic':<18} {'quiet: n':>9} {'p50':>7} {'p99':>7} {'attacked: n':>13}"]
    lines[-1] += f" {'p50':>7} {'p99':>7} {'most':>7}   declined"
    for name in THINGS:
        quiet, attacked = outcome.quiet, outcome.attacked
        lines += [
            f"{name:<18} {len(quiet.seconds[name]):>9} {quiet.percentile(name, 0.5):>7.3f}"
            f" {quiet.percentile(name, 0.99):>7.3f} {len(attacked.seconds[name]):>13}"
            f" {attacked.percentile(name, 0.5):>7.3f} {attacked.percentile(name, 0.99):>7.3f}"
            f" {attacked.percentile(name, 1):>7.3f}   {counted(attacked.declined[name])}"
        ]
    kept = {who: len(tokens) for who, tokens in outcome.acknowledged().items()}
    way = outcome.on_the_way()
    lines += [f"to the other operator: p50 {percentile(way, 0.5):.1f} s, p99 {percentile(way, 0.99):.1f} s"]
    lines += ["", f"acknowledged {kept}", f"lost {outcome.lost()}", f"there twice {outcome.twice()}"]
    for number, (rss, processor) in enumerate(zip(outcome.rss, outcome.processor, strict=True), 1):
        lines += [f"process {number}: peak RSS {rss / MIB:.0f} MiB, {processor:.0f} s of processor"]
    lags = outcome.attacked.lags
    lines += [
        f"machine: {os.cpu_count()} cores, {outcome.machine:.0f} s of processor used by all; the good"
        f" clients' own timers were late by {percentile(lags, 0.99):.3f} s (p99), {max(lags):.3f} s at most"
    ]
    lines += [f"logged: {counted(dict(outcome.events.most_common(25)))}", ""]
    return "\n".join(lines)


def counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {what}" for what, number in counts.items()) or "nothing"


def judge(form: Form, outcome: Outcome) -> None:
    text = table(form, outcome)
    print(f"\n{text}")
    if report := os.environ.get("CAMPAIGN_REPORT"):
        with Path(report).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
    broken = [
        attack["name"] for attack in outcome.attacks if any("BROKE" in what for what in attack["heard"])
    ]
    assert not broken, f"players with a defect: {broken}"
    assert not any(outcome.lost().values()), outcome.lost()
    assert not any(outcome.twice().values()), outcome.twice()
    assert not outcome.events["crashed"], "a conversation met a defect: see the log"
    too_large = [f"{rss / MIB:.0f} MiB" for rss in outcome.rss if rss > form.rss_octets]
    p99 = {name: round(outcome.attacked.percentile(name, 0.99), 2) for name in THINGS}
    slow = {
        name: seconds
        for name, seconds in p99.items()
        if seconds > (form.first_seconds if name == FIRST else form.p99_seconds)
    }
    assert (slow, too_large) == ({}, []), f"p99 above {form.p99_seconds} s, or too much memory"


def laid_out(world: World, ports: Sequence[int], form: Form) -> tuple[Operator, list[tuple[str, str]]]:
    """The operator that is attacked, and its routes: to the good operator, the silent and the slow ones."""
    far, silent, slow = ports
    routes = [(DOMAINS["b"], f"{HOST}:{far}")]
    routes += [(domain, f"{HOST}:{silent}") for domain in SILENT]
    routes += [(domain, f"{HOST}:{slow}") for domain in SLOW]
    logins = (DOCTOR, COLLEAGUE, *KNOWN[: form.known], *attackers_of(form))
    operator = world.operator("a", name="attacked", logins=logins)
    return operator.set_up(world, routes), routes


def granted(operator: Operator) -> None:
    """The doctor reads for the colleague."""
    operator.ask("access.grant", person=DOCTOR.address, address=COLLEAGUE.address)


def on_one_process(folder: Path, form: Form) -> None:
    with world_of(folder, more=(*SILENT, *SLOW)) as world:
        ports = free_ports(3)
        operator, _ = laid_out(world, ports, form)
        operator.boot().populate()
        granted(operator)
        scene = scene_of(world, [operator], form, ports[1], ports[2])
        judge(form, asyncio.run(story(world, [operator], form, scene, ports[0])))


def on_two_processes(folder: Path, url: str, form: Form) -> None:
    with world_of(folder, more=(*SILENT, *SLOW)) as world:
        ports = free_ports(3)
        operator, routes = laid_out(world, ports, form)
        on_postgresql(operator, url).boot().populate()
        granted(operator)
        hosts = [operator, twin_of(world, operator, "twin", routes).boot()]
        scene = scene_of(world, hosts, form, ports[1], ports[2])
        judge(form, asyncio.run(story(world, hosts, form, scene, ports[0])))


def test_a_few_attackers_at_once_lose_no_letter(tmp_path: Path) -> None:
    on_one_process(tmp_path / "world", SHORT)


@pytest.mark.campaign
def test_everyone_at_once_on_one_process(tmp_path: Path) -> None:
    on_one_process(tmp_path / "world", whole("one process, SQLite"))


@pytest.mark.campaign
def test_everyone_at_once_on_two_processes_that_share_a_postgresql(
    tmp_path: Path, postgres: Postgres
) -> None:
    on_two_processes(tmp_path / "world", postgres.url(), whole("two processes, one PostgreSQL"))
