"""What an operator refuses to start with, in words that say what to mend; and what its doctor says (K14)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mssante.cli import main
from tests.support.operators.world import Operator, World

MISCONFIGURED = 78  # sysexits.h EX_CONFIG


@pytest.fixture(scope="module")
def laid(shared_world: World) -> Iterator[Operator]:
    """An operator that was set up and never started."""
    operator = shared_world.operator("b", name="b-start").set_up(shared_world)
    yield operator
    if operator.running:
        operator.shut()
    shared_world.operators.remove(operator)


def command(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        (sys.executable, "-m", "mssante", "--config", str(folder / "config.toml"), *words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def copy_of(operator: Operator, folder: Path) -> Path:
    shutil.copytree(operator.folder, folder, ignore=shutil.ignore_patterns("*.sock"))
    folder.chmod(0o700)
    return folder


def wide(folder: Path, name: str) -> Path:
    """Makes one secret of an operator readable by all."""
    path = folder / name
    path.touch()
    path.chmod(0o644)
    return path


def linked(folder: Path, name: str) -> Path:
    """Puts a link in the place of a file of ours: whoever made it chose where we write."""
    path = folder / name
    path.unlink(missing_ok=True)
    (folder / "elsewhere").touch(mode=0o600)
    path.symlink_to("elsewhere")
    return path


def test_secrets_open_to_others_keep_the_server_from_starting(laid: Operator, tmp_path: Path) -> None:
    """0644 on any of them, a link in place of a file of ours: exit 78, naming the file and what mends it."""
    cases = [(wide, name) for name in ("mail.db", "keys.db", "root.key", "tls.key", "mssante.log")]
    cases += [(linked, name) for name in ("mail.db", "root.key", "mssante.log")]
    started = {}
    for damage, name in cases:
        folder = copy_of(laid, tmp_path / f"{damage.__name__}-{name}")
        configured = (folder / "config.toml").read_text(encoding="utf-8")
        (key,) = re.findall(r'(?m)^key = "(.+)"$', configured)
        shutil.copy2(key, folder / "tls.key")
        (folder / "config.toml").write_text(configured.replace(key, "tls.key"), encoding="utf-8")
        started[damage(folder, name)] = damage, command(folder, "serve")
    for path, (damage, process) in started.items():
        _, said = process.communicate(timeout=240)
        assert process.returncode == MISCONFIGURED, said
        assert said.startswith("cannot start: "), said
        assert "Traceback" not in said
        if damage is linked:
            assert f"{path} is not a regular file" in said
        else:
            assert f"{path} is open to others (mode 0644): chmod 600 {path}" in said
            assert path.stat().st_mode & 0o777 == 0o644  # refused, not quietly repaired


def test_a_second_server_on_the_same_folder_ends_at_once(laid: Operator) -> None:
    laid.boot()
    process = command(laid.folder, "serve")
    _, said = process.communicate(timeout=60)
    assert process.returncode == MISCONFIGURED, said
    assert said.startswith("cannot start: ")
    assert "is held by another process" in said
    assert laid.ask("bal.list") == {"mailboxes": []}  # the first one never noticed


def test_fewer_descriptors_than_the_connections_need_keep_the_server_from_starting(
    laid: Operator, tmp_path: Path
) -> None:
    """Under load, connections would fail although their caps have room for them."""
    folder = copy_of(laid, tmp_path / "descriptors")
    process = subprocess.run(
        [
            *("prlimit", "--nofile=1000:1000", sys.executable, "-m", "mssante"),
            *("--config", str(folder / "config.toml"), "serve"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert process.returncode == MISCONFIGURED, process.stderr
    assert process.stderr.startswith("cannot start: "), process.stderr
    assert "and the system allows 1000: raise its limit (LimitNOFILE)" in process.stderr


def test_every_file_of_an_operator_is_its_own_alone(laid: Operator) -> None:
    if not laid.running:
        laid.boot()
    ours = [path for path in laid.folder.iterdir() if path.name != "stderr.txt"]  # that one is the test's
    assert {"mail.db", "mail.db-wal", "keys.db", "root.key", "mssante.log", "control.sock"} <= {
        path.name for path in ours
    }
    wide = [path.name for path in ours if path.stat().st_mode & 0o077 and path.name != "config.toml"]
    assert wide == []  # config.toml holds no secret
    assert laid.folder.stat().st_mode & 0o077 == 0
    assert laid.shut() == 0
    assert not (laid.folder / "control.sock").exists()


def test_a_crash_leaves_no_image_of_memory(laid: Operator) -> None:
    """K11: a core file would hold keys and letters. Linux says what a process may write."""
    if not laid.running:
        laid.boot()
    assert laid.server is not None
    limits = Path(f"/proc/{laid.server.pid}/limits").read_text(encoding="ascii")
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
    assert Path(f"/proc/{laid.server.pid}/mem").stat().st_uid == 0  # PR_SET_DUMPABLE 0: not our own user's


_SAYS_IF_DUMPABLE = """
import ctypes, resource, sys
from mssante.cli import main
try:
    main(sys.argv[1:], standalone_mode=False)
except SystemExit:
    pass
PR_GET_DUMPABLE = 3
print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))
"""


@pytest.mark.parametrize("words", [["serve"], ["bal", "list"], ["doctor"]])
def test_no_command_lets_others_look_into_its_memory(tmp_path: Path, words: list[str]) -> None:
    """K11: the kernel then gives a debugger of our own user nothing, and /proc/PID/mem to root alone."""
    done = subprocess.run(
        [sys.executable, "-c", _SAYS_IF_DUMPABLE, "--config", "none.toml", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split("\n")[-2] == "0 (0, 0)", done.stderr


def test_the_doctor_says_that_our_certificate_expired(shared_world: World) -> None:
    operator = shared_world.operator("a", name="a-expired").set_up(shared_world)
    try:
        leaf, text = shared_world.leaf("expire"), operator.config_file.read_text(encoding="utf-8")
        for old, new in (("operator-a.pem", leaf.chain_file.name), ("operator-a.key", leaf.key_file.name)):
            text = text.replace(old, new)
        operator.config_file.write_text(text, encoding="utf-8")
        stopped = CliRunner().invoke(main, ["--config", str(operator.config_file), "doctor", "--json"])
        running = operator.boot().ask("doctor")
    finally:
        operator.shut()
        shared_world.operators.remove(operator)
    assert stopped.exit_code == 1, stopped.stderr
    for findings in (json.loads(stopped.stdout)["findings"], running["findings"]):
        texts = [f["text"] for f in findings if f["state"] == "WRONG"]
        assert any(text.startswith("expired on ") and "renew it with IGC-Santé now" in text for text in texts)
        assert any("certificate_expired" in text for text in texts)
