"""A throw-away slapd: loopback, a free port, a temporary directory, this project's schema and data.

Invariants: it listens on 127.0.0.1 alone; it writes under one temporary directory, which is removed when it
stops; nobody reads `mssResponsable` except the administrator, whose password is a new random one at each
start. Works as root and as an ordinary user. Standard library only.
"""

from __future__ import annotations

import base64
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mssante.demo.annuaire import BASE_DN, dev_ldif_path, schema_path
from mssante.limits import DEMO_SLAPD_PORT_TRIES, DEMO_SLAPD_START_SECONDS_MAX, DEMO_SLAPD_STOP_SECONDS_MAX

ADMIN_DN = f"cn=admin,{BASE_DN}"

# Where distributions put them: Debian first, then Fedora and Arch, then BSD.
_SLAPD = ("/usr/sbin/slapd", "/usr/libexec/slapd", "/usr/lib/slapd", "/usr/local/libexec/slapd")
_CORE_SCHEMA = ("/etc/ldap/schema", "/etc/openldap/schema", "/usr/local/etc/openldap/schema")
_MODULES = ("/usr/lib/ldap", "/usr/lib64/openldap", "/usr/lib/openldap", "/usr/local/libexec/openldap")


class SlapdFailed(Exception):
    """slapd is missing or would not start; the text is slapd's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files that make slapd speak LDAPS and StartTLS."""

    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A slapd that answers."""

    url: str
    tls_url: str | None
    port: int
    directory: Path
    process: subprocess.Popen[bytes]
    admin_password: str = field(repr=False)

    base_dn: str = BASE_DN


@contextmanager
def serve(
    data: Path | None = None, *, port: int = 0, tls: TlsFiles | None = None, into: Path | None = None
) -> Iterator[Running]:
    """Runs slapd with `data` (dev.ldif by default) until the block ends.

    `port` 0 takes a free one. The temporary directory is made under `into`, or where the system says.
    Raises SlapdFailed when slapd is missing, refuses the data, or does not answer within
    DEMO_SLAPD_START_SECONDS_MAX.
    """
    with tempfile.TemporaryDirectory(prefix="mssante-slapd-", dir=into) as made:
        directory = Path(made)
        password = secrets.token_urlsafe(24)
        _load(directory, data or dev_ldif_path(), password, tls)
        running = _start(directory, port, password, with_tls=tls is not None)
        try:
            yield running
        finally:
            _stop(running.process)


def _start(directory: Path, port: int, password: str, *, with_tls: bool) -> Running:
    for _ in range(DEMO_SLAPD_PORT_TRIES):
        plain = port or _free_port()
        tls_port = _free_port() if with_tls else None
        urls = [f"ldap://127.0.0.1:{plain}/"] + ([f"ldaps://127.0.0.1:{tls_port}/"] if tls_port else [])
        with (directory / "log").open("ab") as log:
            process = subprocess.Popen(
                [_slapd(), "-d", "0", "-F", str(directory / "config"), "-h", " ".join(urls)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C at our terminal must not reach slapd directly: we end it ourselves, once.
                start_new_session=True,
            )
        try:
            answering = _answers(process, plain)
        except BaseException:
            _stop(process)
            raise
        if answering:
            return Running(
                url=urls[0].rstrip("/"),
                tls_url=urls[1].rstrip("/") if tls_port else None,
                port=plain,
                directory=directory,
                process=process,
                admin_password=password,
            )
        _stop(process)  # most often, another program took the port before slapd did
        if port:
            break
    raise SlapdFailed((directory / "log").read_text(errors="replace").strip() or "slapd does not answer")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + DEMO_SLAPD_START_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                # A port already taken by another makes slapd leave: give it the time to say so.
                time.sleep(0.05)
                return process.poll() is None
        except OSError:
            time.sleep(0.02)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(DEMO_SLAPD_STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _load(directory: Path, data: Path, password: str, tls: TlsFiles | None) -> None:
    for name in ("config", "data"):
        (directory / name).mkdir(mode=0o700)
    config = directory / "config.ldif"
    config.touch(mode=0o600)
    config.write_text(_config(directory, password, tls), encoding="utf-8")
    _slapadd(directory, "0", config)
    config.unlink()  # it held the password
    _slapadd(directory, "1", data)


def _slapadd(directory: Path, database: str, ldif: Path) -> None:
    done = subprocess.run(
        [_slapd(), "-T", "add", "-n", database, "-F", str(directory / "config"), "-l", str(ldif)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=300,
    )
    if done.returncode:
        raise SlapdFailed(f"slapd refuses {ldif.name}: {done.stderr.strip()}")


def _config(directory: Path, password: str, tls: TlsFiles | None) -> str:
    """The cn=config of one database; values that are not ours go in base64."""
    files = (
        f"olcTLSCertificateFile: {tls.certificate}\n"
        f"olcTLSCertificateKeyFile: {tls.key}\n"
        f"olcTLSCACertificateFile: {tls.ca}\n"
        if tls
        else ""
    )
    modules = next((path for path in _MODULES if (Path(path) / "back_mdb.so").exists()), None)
    module = (
        "dn: cn=module{0},cn=config\nobjectClass: olcModuleList\ncn: module{0}\n"
        f"olcModulePath: {modules}\nolcModuleLoad: back_mdb\n\n"
        if modules
        else ""  # built in
    )
    secret = base64.b64encode(password.encode()).decode()
    return (
        "dn: cn=config\nobjectClass: olcGlobal\ncn: config\n"
        f"olcPidFile: {directory / 'pid'}\nolcArgsFile: {directory / 'args'}\n{files}\n"
        f"{module}"
        "dn: cn=schema,cn=config\nobjectClass: olcSchemaConfig\ncn: schema\n\n"
        f"{_core_schema().read_text(encoding='utf-8')}\n\n"
        f"{schema_path().read_text(encoding='utf-8')}\n\n"
        "dn: olcDatabase={0}config,cn=config\nobjectClass: olcDatabaseConfig\nolcDatabase: {0}config\n"
        "olcAccess: {0}to * by * none\n\n"
        "dn: olcDatabase={1}mdb,cn=config\nobjectClass: olcDatabaseConfig\nobjectClass: olcMdbConfig\n"
        f"olcDatabase: {{1}}mdb\nolcSuffix: {BASE_DN}\nolcDbDirectory: {directory / 'data'}\n"
        f"olcRootDN: {ADMIN_DN}\nolcRootPW:: {secret}\n"
        # The data is thrown away, so it need not reach the disk. The reader bounds its pages; we do not.
        "olcDbNoSync: TRUE\nolcDbMaxSize: 1073741824\nolcSizeLimit: -1\n"
        "olcDbIndex: objectClass eq\nolcDbIndex: mssAdresse eq,sub\nolcDbIndex: mssNomDomaine eq\n"
        "olcAccess: {0}to attrs=mssResponsable by * none\nolcAccess: {1}to * by * read\n"
    )


def _slapd() -> str:
    found = next((path for path in _SLAPD if Path(path).exists()), None) or shutil.which("slapd")
    if found is None:
        raise SlapdFailed("slapd is not installed (Debian: apt-get install slapd)")
    return found


def _core_schema() -> Path:
    found = next(
        (Path(path) / "core.ldif" for path in _CORE_SCHEMA if (Path(path) / "core.ldif").exists()), None
    )
    if found is None:
        raise SlapdFailed("OpenLDAP's core.ldif is not where it is looked for")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
