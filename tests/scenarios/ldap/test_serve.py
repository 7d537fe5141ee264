"""`annuaire/serve` starts a real slapd, says where, and leaves nothing behind."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mssante.annuaire.ldap import LdapDirectory
from mssante.demo import annuaire
from mssante.demo.annuaire.slapd import SlapdFailed, serve
from mssante.ldap.client.session import LdapTarget
from mssante.model import Address

ROOT = Path(__file__).parents[3]
SERVE = ROOT / "annuaire" / "serve"


@contextmanager
def _served(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        # Any Python will do: the script needs the standard library alone.
        [str(SERVE), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"TMPDIR": str(folder), "PATH": os.environ["PATH"]},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_it_answers_until_a_signal_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with _served(tmp_path) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("ldap://127.0.0.1:")
        directory = LdapDirectory(LdapTarget.parse(url, base_dn=annuaire.BASE_DN))
        found = await directory.mailbox(Address.parse("dpi@chu-a.mssante.test"))
        assert found is not None
        await directory.aclose()
        assert [path.stat().st_mode & 0o77 for path in tmp_path.iterdir()] == [0]
        process.send_signal(number)
        assert process.wait(15) == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 1):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another; the other tests run as it is")
def test_it_works_as_an_ordinary_user(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    # A checkout may lie where only root can go: the package is copied to where everyone can.
    folder = Path("/tmp") / f"{tmp_path.name}-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        shutil.copytree(ROOT / "annuaire", folder / "annuaire")
        shutil.copytree(ROOT / "mssante", folder / "mssante")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)  # whatever the umask of this run and of its checkout
        home = folder / "home"
        home.mkdir()
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        process = subprocess.Popen(
            [str(folder / "annuaire" / "serve")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"TMPDIR": str(home), "PATH": "/usr/bin:/bin"},
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
        )
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline()
        assert url.startswith("ldap://127.0.0.1:"), process.stderr.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        process.communicate()
        assert list(home.iterdir()) == []
    finally:
        shutil.rmtree(folder)


def test_a_given_port_is_taken_and_one_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with _served(tmp_path, "--port", str(port)) as process:
            assert process.wait(30) == 75
    with serve(port=port, into=tmp_path) as running:
        assert running.url == f"ldap://127.0.0.1:{port}"
        assert running.admin_password not in repr(running)


def test_data_that_slapd_refuses_is_told(tmp_path: Path) -> None:
    data = tmp_path / "bad.ldif"
    data.write_text("dn: dc=annuaire,dc=test\nobjectClass: mssBal\nmssAdresse: x\n")
    with _served(tmp_path, "--data", str(data)) as process:
        assert process.wait(30) == 75
        assert process.stderr is not None
        assert "refuses bad.ldif" in process.stderr.read()


def test_a_missing_slapd_is_an_error_not_a_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mssante.demo.annuaire.slapd._SLAPD", ("/nowhere/slapd",))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SlapdFailed, match="not installed"), serve(into=tmp_path):
        pass
