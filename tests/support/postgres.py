"""A throw-away PostgreSQL for the tests, on a Unix socket of its own; it syncs, as the real one must."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "16MB",
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
    "wal_init_zero": "off",
    "autovacuum": "off",
    "log_statement": "none",
}

_WIPE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid();
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT nspname FROM pg_namespace
   WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
  LOOP EXECUTE format('DROP SCHEMA %I CASCADE', name); END LOOP;
  CREATE SCHEMA public;
END $$
"""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server. `url()` makes a new empty database and returns its URL."""

    folder: Path
    programs: Path
    user: str
    port: int = 5432

    @classmethod
    def start(cls, *, tls: Path | None = None, port: int = 5432) -> Postgres:
        """With `tls`, a folder with server.crt and server.key, also on that port of loopback. Raises if
        PostgreSQL is missing: the tests fail, they do not skip."""
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3]))
        if not found:
            raise RuntimeError("PostgreSQL is missing: run tests/support/services.sh")
        # Not pytest's tmp_path: root's is closed to the user PostgreSQL runs as, and socket paths are short.
        folder = Path(tempfile.mkdtemp(prefix="mssante-pg-"))
        user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        server = cls(folder, found[-1].parent, user, port)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        server._run(
            "initdb", "-D", str(folder / "data"), "-U", user, "-A", "trust", "-E", "UTF8", "--no-locale", "-N"
        )
        options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        options += f" -c listen_addresses='' -k {folder} -p {port}"
        if tls is not None:
            for file in ("server.crt", "server.key"):
                shutil.copy(tls / file, folder / "data" / file)
                shutil.chown(folder / "data" / file, user)
            options += " -c ssl=on -c listen_addresses=localhost"
        server._run(
            "pg_ctl", "-D", str(folder / "data"), "-l", str(folder / "log"), "-w", "-o", options, "start"
        )
        server._stop_when_orphaned()
        return server

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self, mode: str = "immediate") -> None:
        """Restarts with the same settings ("fast" or "immediate")."""
        self._run(
            "pg_ctl",
            "-D",
            str(self.folder / "data"),
            "-l",
            str(self.folder / "log"),
            "-w",
            "-m",
            mode,
            "restart",
        )

    def url(self) -> str:
        name = f"t{uuid.uuid4().hex[:16]}"
        self.sql(f'CREATE DATABASE "{name}"')
        return f"postgresql://{self.user}@/{name}?host={quote(str(self.folder))}&port={self.port}"

    def wipe(self, url: str) -> None:
        """Empties a database made by `url()`: ten times faster than making another."""
        self.sql(_WIPE, "t" + url.partition("/t")[2].partition("?")[0])

    def sql(self, statement: str, database: str = "postgres") -> str:
        return self._run(
            "psql",
            "-X",
            "-q",
            "-At",
            "-h",
            str(self.folder),
            "-p",
            str(self.port),
            "-U",
            self.user,
            "-c",
            statement,
            database,
        )

    def _stop_when_orphaned(self) -> None:
        """A test run that is killed leaves no server behind."""
        watch = (
            "while kill -0 $0 && test -d $1; do sleep 2; done; "
            "kill -INT $(head -1 $1/data/postmaster.pid) && sleep 2; rm -rf $1"
        )
        subprocess.Popen(
            ["sh", "-c", watch, str(os.getpid()), str(self.folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _run(self, program: str, *arguments: str) -> str:
        command = [str(self.programs / program), *arguments]
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        # A file, not a pipe: the server inherits it and would keep a pipe open for ever.
        with tempfile.TemporaryFile() as out:
            done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, cwd="/", timeout=120)
            out.seek(0)
            text = out.read().decode(errors="replace").strip()
        if done.returncode:
            raise RuntimeError(f"{program} failed: {text}")
        return text
