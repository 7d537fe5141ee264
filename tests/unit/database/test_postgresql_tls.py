"""Which PostgreSQL is believed, and what a host in the middle learns: nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import make_url

from mssante.database import CannotOpen
from mssante.database.postgresql_tls import proven
from tests.support.postgres import Postgres
from tests.unit.database.letters import opened


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGSSLMODE", "PGSSLROOTCERT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://mssante@db.chu-a.test/mail",
        "postgresql://mssante@10.0.0.5:5433/mail",
        "postgresql://mssante@/mail?host=db.chu-a.test",
        "postgresql://mssante@/mail?host=/run/postgresql&host=db.chu-a.test:5432",
        "postgresql://mssante@db.chu-a.test/mail?sslmode=verify-full",
        "postgresql://mssante@db.chu-a.test/mail?sslmode=verify-full&sslrootcert=system",
    ],
)
def test_a_server_elsewhere_is_verified_name_and_chain(url: str) -> None:
    plain, arguments = proven(make_url(url))
    context = arguments["ssl"]
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert "ssl" not in str(plain)


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca"])
def test_nothing_less_is_taken_for_a_server_elsewhere(mode: str) -> None:
    with pytest.raises(CannotOpen, match=r"db\.chu-a\.test needs sslmode=verify-full"):
        proven(make_url(f"postgresql://mssante@db.chu-a.test/mail?sslmode={mode}"))


def test_the_environment_makes_it_no_weaker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "prefer")
    monkeypatch.setenv("PGHOST", "db.chu-a.test")
    for url in ("postgresql://mssante@/mail", "postgresql://mssante@db.chu-a.test/mail"):
        with pytest.raises(CannotOpen, match="verify-full"):
            proven(make_url(url))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///mail",
        "postgresql://mssante@/mail?host=/run/postgresql",
        "postgresql://mssante@localhost/mail",
        "postgresql://mssante@127.0.0.1:5433/mail",
        "postgresql://mssante@[::1]/mail",
    ],
)
def test_this_machine_needs_no_proof(url: str) -> None:
    assert proven(make_url(url))[1] == {}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("sslmode=verifyfull", "sslmode is one of disable"),
        ("gssencmode=disable", "has gssencmode: it takes host, port"),
        ("sslmode=verify-full&sslrootcert=/nowhere/ca.pem", "/nowhere/ca.pem: No such file"),
    ],
)
async def test_a_word_that_is_wrong_is_told_in_words(words: str, told: str) -> None:
    with pytest.raises(CannotOpen, match=told):
        await opened(f"postgresql://mssante@localhost/mail?{words}")


async def test_a_host_in_the_middle_that_has_no_tls_hears_no_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGPASSWORD", "a secret")
    heard: list[bytes] = []
    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1000))
        writer.write(b"N")  # PostgreSQL's manual, 55.2.10: not willing to do TLS
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                heard.append(await reader.read(1000))
        writer.close()
        over.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(CannotOpen, match="does not prove who it is"):
            await opened(f"postgresql://mssante@127.0.0.1:{port}/mail?sslmode=verify-full")
        await over.wait()
    assert [each for each in heard if each] == [(8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of `localhost`, signed by itself."""
    folder = tmp_path_factory.mktemp("pg")
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(folder / "server.key"), "-out", str(folder / "server.crt")),
        ],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def with_tls(certificate: Path) -> Iterator[tuple[Postgres, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Postgres.start(tls=certificate, port=port)
    yield server, port
    server.stop()


async def test_a_real_server_is_believed_for_its_certificate_only(
    with_tls: tuple[Postgres, int], certificate: Path
) -> None:
    server, port = with_tls
    name = server.url().partition("@/")[2].partition("?")[0]
    base = f"postgresql://{server.user}@%s:{port}/{name}?sslmode=verify-full"
    known = f"&sslrootcert={certificate / 'server.crt'}"
    database = await opened(base % "localhost" + known)
    await database.close()
    with pytest.raises(CannotOpen, match=r"does not prove who it is: .*self-signed certificate"):
        await opened(base % "localhost")
    with pytest.raises(CannotOpen, match=r"does not prove who it is: .*IP address mismatch"):
        await opened(base % "127.0.0.1" + known)
