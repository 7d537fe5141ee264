"""What talks to a whole operator: other operators' relays, people who submit, people who read.

Invariants: plain clients of the standard library, so that nothing of ours judges ours; a client checks the
server's certificate against the development PKI alone.
"""

from __future__ import annotations

import base64
import imaplib
import re
import secrets
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mssante.demo.operator import HOST, DemoLogin
from tests.support.operators.world import Operator, World
from tests.support.smtp.house import Talk

PATIENCE_SECONDS = 60


def peer_context(world: World, leaf: str | None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """The client side of a relay session: shows `leaf`'s certificate and chain, or none."""
    context = ssl.create_default_context(cafile=str(world.pki.anchors))
    context.check_hostname = False  # operators know each other by their DN
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if leaf is not None:
        context.set_ciphers("DEFAULT:@SECLEVEL=1")
        context.load_cert_chain(world.leaf(leaf).chain_file, world.leaf(leaf).key_file)
    return context


def user_context(world: World) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(world.pki.anchors))


async def relay(
    world: World,
    operator: Operator,
    leaf: str | None,
    *,
    helo: str = "mss.pair.test",
    context: ssl.SSLContext | None = None,
) -> Talk:
    """A session on `operator`'s port 25, past STARTTLS and EHLO; what comes next is the caller's."""
    talk = await Talk.open(operator.relay_port)
    assert (await talk.reply()).startswith("220")
    assert (await talk.ask(f"EHLO {helo}")).startswith("250")
    await talk.start_tls(context or peer_context(world, leaf))
    await talk.ask(f"EHLO {helo}")
    return talk


async def submission(operator: Operator, context: ssl.SSLContext) -> Talk:
    """A session on `operator`'s port 587, logged in as its first person."""
    talk = await Talk.open(operator.ports[1])
    assert (await talk.reply()).startswith("220")
    await talk.ask("EHLO poste.test")
    await talk.start_tls(context)
    await talk.ask("EHLO poste.test")
    login = operator.login
    secret = base64.b64encode(f"\0{login.address}\0{login.password.value}".encode()).decode()
    assert (await talk.ask(f"AUTH PLAIN {secret}")).startswith("235")
    return talk


async def deliver(talk: Talk, sender: str, recipients: Sequence[str], message: bytes) -> str:
    """One transaction: the last reply, or the first that refuses."""
    for command in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{each}>" for each in recipients)):
        reply = await talk.ask(command)
        if not reply.startswith("250"):
            return reply
    reply = await talk.ask("DATA")
    if not reply.startswith("354"):
        return reply
    await talk.send(stuffed(message) + b".\r\n")
    return await talk.reply()


def stuffed(message: bytes) -> bytes:
    """RFC 5321 §4.5.2, the sending half."""
    return re.sub(rb"(?m)^\.", b"..", message)


def note(
    sender: str,
    recipients: Sequence[str],
    *,
    subject: str = "XDM/1.0/DDM+essai",
    body: bytes = b"Bonjour\r\n",
    unique: str = "",
) -> bytes:
    """A small message. `unique` names it (Message-ID)."""
    unique = unique or secrets.token_hex(12)
    return (
        f"From: <{sender}>\r\nTo: {', '.join(f'<{each}>' for each in recipients)}\r\n"
        f"Subject: {subject}\r\nDate: Mon, 02 Mar 2026 10:00:00 +0000\r\n"
        f"Message-ID: <{unique}@essai.test>\r\n\r\n"
    ).encode() + body


def submit(
    world: World,
    operator: Operator,
    recipients: Sequence[str],
    message: bytes,
    login: DemoLogin | None = None,
) -> dict[str, tuple[int, bytes]]:
    """As a person of `operator`, on port 587: which recipients were refused. Raises SMTPException."""
    login = login or operator.login
    with smtplib.SMTP(HOST, operator.ports[1], timeout=PATIENCE_SECONDS) as client:
        client.starttls(context=user_context(world))
        client.login(login.address, login.password.value)
        options = ["body=8bitmime"] if not message.isascii() else []
        return client.sendmail(login.address, list(recipients), message, options)


def _logged_in(world: World, operator: Operator, user: str = "") -> imaplib.IMAP4:
    client = imaplib.IMAP4(HOST, operator.ports[3], timeout=PATIENCE_SECONDS)
    client.starttls(ssl_context=user_context(world))
    client.login(user or operator.login.address, operator.login.password.value)
    return client


@contextmanager
def reading(world: World, operator: Operator, user: str = "") -> Iterator[imaplib.IMAP4]:
    """An IMAP session of the operator's first person; `user` names another mailbox as LOGIN/ADDRESS."""
    client = _logged_in(world, operator, user)
    try:
        yield client
    finally:
        client.shutdown()


def contents(client: imaplib.IMAP4, folder: str = "INBOX", item: str = "BODY.PEEK[]") -> Iterator[bytes]:
    """Every message of a folder, in order, a hundred at a time."""
    status, data = client.select(folder, readonly=True)
    assert status == "OK", data
    many = int(data[0] or b"0")
    for first in range(1, many + 1, 100):
        status, answers = client.fetch(f"{first}:{min(first + 99, many)}", f"({item})")
        assert status == "OK"
        yield from (answer[1] for answer in answers if isinstance(answer, tuple))


_kept_open: dict[tuple[Path, str], imaplib.IMAP4] = {}  # a password check costs a quarter of a second


def inbox(world: World, operator: Operator, *, item: str = "BODY.PEEK[]") -> list[bytes]:
    """What lies in the INBOX, as its first person sees it, in a session kept for the next time."""
    key = operator.folder, operator.login.address
    client = _kept_open.pop(key, None) or _logged_in(world, operator)
    try:
        found = list(contents(client, item=item))
    except (imaplib.IMAP4.abort, OSError):  # the server was started again meanwhile
        client = _logged_in(world, operator)
        found = list(contents(client, item=item))
    _kept_open[key] = client
    return found


def field(message: bytes, name: str) -> str:
    """The one field of that name in a message's header, unfolded; "" when there is none."""
    header = re.sub(rb"\r\n[ \t]+", b" ", message.partition(b"\r\n\r\n")[0])
    found = re.search(rb"(?im)^%b:[ \t]*(.*)$" % re.escape(name.encode()), header)
    return found[1].strip().decode("utf-8", "replace") if found else ""
