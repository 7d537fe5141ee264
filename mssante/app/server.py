"""Runs an operator: its ports, its queue runner, its control socket, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import ssl
from collections.abc import Awaitable, Sequence
from pathlib import Path

from mssante import __version__
from mssante.app.parts import CannotStart, open_parts
from mssante.app.process import keep_files_private, keep_memory_private
from mssante.clock import SystemClock
from mssante.config import Config, Endpoint
from mssante.control.operations import Parts
from mssante.control.outbox import outbox
from mssante.control.socket import ControlServer
from mssante.database import UnsafeFile, files
from mssante.delivery.backends import RelayBackend, SubmissionBackend
from mssante.delivery.couriers import LocalCourier
from mssante.delivery.reception import Reception
from mssante.delivery.routing import Routing
from mssante.delivery.runner import Runner
from mssante.delivery.sending import SendingBounds
from mssante.imap.server.persons import Persons
from mssante.imap.server.port import ImapServer
from mssante.limits import (
    CONNECTIONS_DISMISSED_AT_ONCE,
    KIB,
    OTHER_FILES_MAX,
    RECHECK_SECONDS,
    SERVER_STOP_SECONDS_MAX,
    SWEEP_SECONDS,
)
from mssante.model import Direction
from mssante.net.places import Caps
from mssante.net.status import StatusServer
from mssante.net.stream import ContextFactory
from mssante.net.throttle import Throttle
from mssante.observe import log, report
from mssante.observe.events import ServerStarted, ServerStopped, StorageTrouble, crashed
from mssante.observe.metrics import Metrics
from mssante.reasons import Declined
from mssante.smtp.client.courier import SmtpCourier
from mssante.smtp.client.resolver import Door, MxResolver, Resolver, StaticRoutes
from mssante.smtp.server.content import Commits
from mssante.smtp.server.port import SmtpServer
from mssante.smtp.server.proof import Relay, Submission
from mssante.smtp.server.wire import SessionLimits
from mssante.trust.policy import VerifiedPeer
from mssante.trust.tls import PeerListenerContexts, TlsCredentials, peer_client_context, user_server_context


async def serve(config: Config) -> None:
    """Runs the operator until SIGTERM or SIGINT. Raises CannotStart, Passing."""
    keep_files_private()
    keep_memory_private()
    clock = SystemClock()
    metrics = Metrics()
    with contextlib.ExitStack() as watching:
        watching.callback(log.start(clock.now, _private_log(config.log.file)))
        watching.callback(metrics.start())
        async with open_parts(config, clock=clock, serving=True) as parts:
            _require_descriptors(config)
            await _run(config, parts, metrics)
            report(ServerStopped())


def _private_log(file: Path | None) -> Path | None:
    """Makes the log file if there is none. Raises CannotStart for one that others can read, or that is a
    link (K14)."""
    try:
        if file is not None and not files.create(file):
            files.require_private(file)
    except (UnsafeFile, OSError) as error:
        raise CannotStart(f"log.file: {error}") from error
    return file


def _require_descriptors(config: Config) -> None:
    """Each connection is an open file. Asks the system for as many as the caps allow. Raises CannotStart when
    it allows fewer: otherwise, under load, connections would fail although the caps have room for them."""
    listen, most = config.listen, config.connections
    smtp = sum(each is not None for each in (listen.relay, listen.submission, listen.submissions))
    imap = sum(each is not None for each in (listen.imap, listen.imaps))
    connections = smtp * most.smtp_max + imap * most.imap_max
    needed = connections + (smtp + imap) * CONNECTIONS_DISMISSED_AT_ONCE + OTHER_FILES_MAX
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise CannotStart(
            f"{connections} connections need {needed} open files, and the system allows {hard}:"
            " raise its limit (LimitNOFILE) or lower [connections]"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


async def _run(config: Config, parts: Parts, metrics: Metrics) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    credentials = _credentials(config)
    reception = Reception(
        store=parts.store,
        broker=parts.broker,
        queue=await outbox(parts.store, parts.broker, parts.clock),
        clock=parts.clock,
        hostname=config.operator.hostname,
    )
    routing = Routing(
        domains=frozenset(config.operator.domains),
        store=parts.store,
        broker=parts.broker,
        directory=parts.directory,
        space=lambda: parts.trust.space,
    )
    courier = _courier(config, parts, credentials)
    local = LocalCourier(reception, routing)
    runner = Runner(reception=reception, broker=parts.broker, routing=routing, local=local, remote=courier)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(courier.aclose)
        opened: list[SmtpServer | ImapServer] = []
        stack.push_async_callback(_close, opened)
        for server, endpoint in _servers(config, parts, credentials, reception, routing):
            opened.append(server)
            await _open(server.open(endpoint.host, endpoint.port), endpoint)
        control = ControlServer(parts)
        await _open(control.start(), "control socket")
        stack.push_async_callback(control.stop)
        if (watched_at := config.listen.status) is not None:
            status = StatusServer(ready=lambda: _not_ready(parts), metrics=metrics.text)
            await _open(status.start(watched_at.host, watched_at.port), watched_at)
            stack.push_async_callback(status.stop)
        gc.collect()
        # What was made until now stays. Without this, each full collection looks through it again, and
        # everybody waits for 30 to 90 ms.
        gc.freeze()
        report(ServerStarted(version=__version__, domains=len(config.operator.domains)))
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(runner.run(), name="queue runner")
            others = [
                tasks.create_task(parts.trust.keep_fresh(), name="trust"),
                tasks.create_task(_housekeeping(parts), name="housekeeping"),
            ]
            await stopping.wait()
            runner.stop()  # it begins no more deliveries; at the same time the ports take no more mail
            await asyncio.gather(asyncio.wait([sending], timeout=SERVER_STOP_SECONDS_MAX), _close(opened))
            for task in (sending, *others):
                task.cancel()


def _credentials(config: Config) -> TlsCredentials:
    credentials = TlsCredentials(chain_file=config.tls.certificate, key_file=config.tls.key)
    try:
        files.require_private(config.tls.key.resolve())  # programs that renew keys often put a link there
        user_server_context(credentials)
    except UnsafeFile as error:
        raise CannotStart(f"tls.key: {error}") from error
    except (OSError, ssl.SSLError) as error:
        raise CannotStart(f"tls: {config.tls.certificate} and {config.tls.key}: {error}") from error
    return credentials


def _courier(config: Config, parts: Parts, credentials: TlsCredentials) -> SmtpCourier:
    routes = {domain: Door(target.host, target.port) for domain, target in config.courier.routes.items()}
    resolver: Resolver = StaticRoutes(routes, None if config.courier.only_routes else MxResolver())
    return SmtpCourier(
        hostname=config.operator.hostname,
        resolver=resolver,
        context=peer_client_context(credentials, parts.trust.anchors),
        verify=lambda chain: parts.trust.verify(chain, Direction.OUT),
    )


def _servers(
    config: Config, parts: Parts, credentials: TlsCredentials, reception: Reception, routing: Routing
) -> list[tuple[SmtpServer | ImapServer, Endpoint]]:
    listen = config.listen
    limits = SessionLimits(message_octets_max=config.messages.bytes_max)
    relay_backend = RelayBackend(reception, routing, foreign_authors=config.messages.foreign_authors)
    submission_backend = SubmissionBackend(reception, routing, parts.broker, _sending_bounds(config))
    throttle = Throttle(parts.clock, known=parts.broker.knows)
    persons = Persons()
    commits = Commits()  # shared by all ports: the room for messages that come in is for all together

    async def verify(chain: Sequence[bytes]) -> VerifiedPeer:
        return await asyncio.to_thread(parts.trust.verify, chain, Direction.IN)

    def smtp(name: str, *, implicit_tls: bool = False) -> SmtpServer:
        return SmtpServer(
            name=name,
            hostname=config.operator.hostname,
            role=Submission(throttle=throttle),
            backend=submission_backend,
            tls=_for_users(credentials),
            implicit_tls=implicit_tls,
            limits=limits,
            commits=commits,
            caps=_caps(config, config.connections.smtp_max),
        )

    def imap(name: str, *, implicit_tls: bool = False) -> ImapServer:
        return ImapServer(
            name=name,
            hostname=config.operator.hostname,
            store=parts.store,
            broker=parts.broker,
            clock=parts.clock,
            tls=_for_users(credentials),
            implicit_tls=implicit_tls,
            message_octets_max=config.messages.bytes_max,
            throttle=throttle,
            persons=persons,
            caps=_caps(config, config.connections.imap_max),
        )

    relay = SmtpServer(
        name="relay",
        hostname=config.operator.hostname,
        role=Relay(verify=verify),
        backend=relay_backend,
        tls=PeerListenerContexts(credentials, parts.trust.anchors).take,
        limits=limits,
        commits=commits,
        caps=_caps(config, config.connections.smtp_max),
    )
    wanted: list[tuple[SmtpServer | ImapServer, Endpoint | None]] = [
        (relay, listen.relay),
        (smtp("submission"), listen.submission),
        (smtp("submissions", implicit_tls=True), listen.submissions),
        (imap("imap"), listen.imap),
        (imap("imaps", implicit_tls=True), listen.imaps),
    ]
    return [(server, endpoint) for server, endpoint in wanted if endpoint is not None]


def _for_users(credentials: TlsCredentials) -> ContextFactory:
    context = user_server_context(credentials)
    return lambda: context


def _sending_bounds(config: Config) -> SendingBounds:
    return SendingBounds(
        recipients_per_hour=config.bounds.recipients_per_hour,
        queued_kib_max=config.bounds.queued_mib_max * KIB,
        queued_recipients_max=config.bounds.queued_recipients_max,
    )


def _caps(config: Config, total: int) -> Caps:
    per_address = config.connections.per_address_max
    return Caps(total=total, per_address=per_address, pre_tls_per_address=max(10, per_address // 5))


async def _open(opening: Awaitable[object], where: object) -> None:
    try:
        await opening
    except OSError as error:
        raise CannotStart(f"{where}: {error.strerror or error}") from error


async def _close(servers: list[SmtpServer | ImapServer]) -> None:
    """Closes all ports at once, to wait for the slowest conversation only, not for each port's in turn."""
    await asyncio.gather(*(server.close(SERVER_STOP_SECONDS_MAX) for server in servers))
    servers.clear()


async def _housekeeping(parts: Parts) -> None:
    """Every few seconds, ends accesses that other hosts ended; every hour, removes what was shredded from the
    files."""
    swept_at = float("-inf")
    while True:
        try:
            await parts.broker.recheck()
            if parts.clock.monotonic() - swept_at > SWEEP_SECONDS:
                await parts.store.sweep()
                swept_at = parts.clock.monotonic()
        except Declined as declined:
            report(StorageTrouble(store="housekeeping", cause=declined.reason.value))
        except Exception as bug:  # costs this round, not the server
            report(crashed("housekeeping", bug))
        await asyncio.sleep(RECHECK_SECONDS)


async def _not_ready(parts: Parts) -> list[str]:
    missing = []
    if not parts.store.accepts_writes:
        missing.append("the mail database takes no writes: restart")
    room = await parts.store.reserve.room()
    if room is not None and parts.store.reserve.is_short(room):
        missing.append("the disk is filled up to its reserve: make room")
    if parts.broker.trouble:
        missing.append("the key store opens no mailbox: mssante doctor")
    if not parts.trust.space.names:
        missing.append("the trust space is empty")
    if parts.trust.too_old:
        missing.append("the trust space is too old: fetch a new white list")
    return missing
