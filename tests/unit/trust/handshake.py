"""A TLS handshake in memory, both ends ours: no socket, no clock."""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass

from mssante.demo.certs.make import Leaf

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


@dataclass
class Ends:
    """Both ends after the handshake, or the one error that ended it (`by` says whose)."""

    server: ssl.SSLObject
    client: ssl.SSLObject
    server_error: ssl.SSLError | None = None
    client_error: ssl.SSLError | None = None


def handshake(
    server: ssl.SSLContext,
    client: ssl.SSLContext,
    session: ssl.SSLSession | None = None,
    *,
    host: str | None = None,
) -> Ends:
    """`host` is the name that the client asks for (SNI), none by default."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = Ends(
        server=server.wrap_bio(to_server, to_client, server_side=True),
        client=client.wrap_bio(to_client, to_server, session=session, server_hostname=host),
    )
    finished: set[str] = set()
    for _ in range(10):
        for name, end in (("client", ends.client), ("server", ends.server)):
            if name in finished:
                continue
            try:
                end.do_handshake()
                finished.add(name)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                setattr(ends, f"{name}_error", error)
                return ends
        if len(finished) == 2:
            break
    # TLS 1.3: what the server still has to say (a ticket, an alert) comes with the first read.
    with contextlib.suppress(ssl.SSLWantReadError):
        ends.client.read(1)
    return ends


def peer_context(leaf: Leaf | None, *, server: bool, version: ssl.TLSVersion) -> ssl.SSLContext:
    """The other end: presents what it is told to, takes anything, at any strength."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:@SECLEVEL=0")
    if not server:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    if leaf is not None:
        context.load_cert_chain(leaf.chain_file, leaf.key_file)
    return context
