"""Remote operators to knock at, each with one fault: a scripted SMTP server over real sockets.

It is deliberately not ours and deliberately lenient: what it takes for the end of a message is what the
worst receiver of the field would take.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

EXTENSIONS = ("SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES")
STRICT_END = re.compile(rb"\r\n\.\r\n")
LENIENT_END = re.compile(rb"(?:\r\n|\n|\r)\.(?:\r\n|\n|\r)")


@dataclass(frozen=True, kw_only=True)
class Script:
    """What the remote does."""

    banner: str | None = "220 remote ESMTP"  # None: says nothing
    starttls: bool = True
    clear_extensions: tuple[str, ...] = ()
    extensions: tuple[str, ...] = EXTENSIONS
    starttls_reply: bytes = b"220 2.0.0 go\r\n"
    after_starttls: bytes = b""  # said in clear behind the 220, in the same segment
    later_in_clear: bytes = b""  # and in a segment of its own
    handshake: bool = True
    mail: str = "250 2.1.0 ok"
    rcpt: Mapping[str, str] = field(default_factory=dict)
    data: str = "354 go"
    final: str | None = "250 2.0.0 kept"  # None: hangs up after the final dot
    final_seconds: float = 0.0
    early: str | None = None  # said in the middle of DATA, then no more reading
    end: re.Pattern[bytes] = STRICT_END
    after_final: str | None = None  # said a moment after the answer to a message, unasked


@dataclass
class Remote:
    """A running remote and what it saw."""

    script: Script
    context: ssl.SSLContext | None
    port: int = 0
    connections: int = 0
    ended: int = 0
    in_clear: list[bytes] = field(default_factory=list)
    commands: list[bytes] = field(default_factory=list)
    messages: list[tuple[bytes, tuple[bytes, ...], bytes]] = field(default_factory=list)
    octets: Callable[[bytes], None] | None = None  # takes message content instead of keeping it

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._talk(reader, writer)
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, TimeoutError):
            pass
        finally:
            self.ended += 1
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script, secured = self.script, False
        sender, recipients = b"", list[bytes]()
        if script.banner is not None:
            writer.write(script.banner.encode() + b"\r\n")
        while line := await reader.readline():
            (self.commands if secured else self.in_clear).append(line.rstrip(b"\r\n"))
            verb = line.strip().upper()
            if verb.startswith(b"EHLO"):
                offered = script.extensions if secured else script.clear_extensions
                if script.starttls and not secured:
                    offered = (*offered, "STARTTLS")
                lines = ["remote", *offered]
                text = "".join(f"250{'-' if i < len(lines) - 1 else ' '}{w}\r\n" for i, w in enumerate(lines))
                writer.write(text.encode())
            elif verb == b"STARTTLS":
                if not await self._upgrade(writer):
                    return
                secured = True
            elif verb.startswith(b"MAIL"):
                sender, recipients = line.strip(), []
                writer.write(script.mail.encode() + b"\r\n")
            elif verb.startswith(b"RCPT"):
                address = line.partition(b"<")[2].partition(b">")[0]
                reply = script.rcpt.get(address.decode(), "250 2.1.5 ok")
                if reply.startswith("2"):
                    recipients.append(address)
                writer.write(reply.encode() + b"\r\n")
            elif verb == b"DATA":
                writer.write(script.data.encode() + b"\r\n")
                if not script.data.startswith("354"):
                    continue
                if not await self._take(reader, writer, sender, tuple(recipients)):
                    return
            elif verb == b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                return
            elif verb == b"RSET":
                writer.write(b"250 2.0.0 ok\r\n")
            else:
                writer.write(b"500 5.5.1 what?\r\n")

    async def _upgrade(self, writer: asyncio.StreamWriter) -> bool:
        script = self.script
        writer.write(script.starttls_reply + script.after_starttls)
        if script.later_in_clear:
            await asyncio.sleep(0.05)
            writer.write(script.later_in_clear)
        await writer.drain()
        if not script.handshake or self.context is None:
            writer.write(b"\x15\x03\x01\x00\x02\x02\x28")  # a TLS alert: handshake failure
            return False
        await writer.start_tls(self.context, ssl_handshake_timeout=5)
        return True

    async def _take(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        sender: bytes,
        recipients: tuple[bytes, ...],
    ) -> bool:
        """Reads a message; what lies behind its end is read as commands, as a smuggler hopes."""
        script, held, taken = self.script, b"\r\n", 0
        if script.early is not None:
            await reader.read(1000)
            writer.write(script.early.encode() + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0.3)
            return False
        while not (found := script.end.search(held)):
            block = await reader.read(65536)
            if not block:
                return False
            if self.octets:
                keep = max(0, len(held) - 5)
                self.octets(held[:keep])
                taken, held = taken + keep, held[keep:]
            held += block
        content, rest = held[: found.start()] + b"\r\n", held[found.end() :]
        self.messages.append((sender, recipients, b"" if self.octets else unstuffed(content[2:])))
        for smuggled in rest.splitlines():
            self.commands.append(smuggled.strip())
            if smuggled.strip().upper().startswith(b"DATA"):
                self.messages.append((b"smuggled", (), rest))
        if script.final is None:
            return False
        await asyncio.sleep(script.final_seconds)
        writer.write(script.final.encode() + b"\r\n")
        if script.after_final is not None:
            await asyncio.sleep(0.05)
            writer.write(script.after_final.encode() + b"\r\n")
        return True


def unstuffed(content: bytes) -> bytes:
    """RFC 5321 §4.5.2, the receiving half."""
    return re.sub(rb"(^|\r\n)\.", rb"\1", content)


@asynccontextmanager
async def remote(
    script: Script,
    context: ssl.SSLContext | None,
    octets: Callable[[bytes], None] | None = None,
    *,
    port: int = 0,
) -> AsyncIterator[Remote]:
    """A remote on loopback, on a free port unless one is given."""
    server_side = Remote(script, context, octets=octets)
    server = await asyncio.start_server(server_side.serve, "127.0.0.1", port)
    server_side.port = server.sockets[0].getsockname()[1]
    try:
        yield server_side
    finally:
        server.close()
