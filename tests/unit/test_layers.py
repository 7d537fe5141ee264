"""The contracts of import-linter fail when they should: forbidden imports planted in a copy are seen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLANTED = {
    "mssante/mailbox/folders.py": "mssante.imap.grammar.folder_names",
    "mssante/store/live.py": "mssante.imap.rules.view",
    "mssante/net/listener.py": "mssante.imap.server.port",
    "mssante/net/throttle.py": "mssante.smtp.server.wire",
    "mssante/imap/server/login.py": "mssante.smtp.server.login",
    "mssante/smtp/server/login.py": "mssante.imap.server.login",
    "mssante/imap/grammar/wire.py": "mssante.imap.rules.state",
    "mssante/control/doctor.py": "mssante.config",
    "mssante/trust/state.py": "mssante.annuaire.directory",
    "mssante/smtp/server/port.py": "aiosmtpd.smtp",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "mssante", folder / "mssante", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name, imported in PLANTED.items():
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(f"\nimport {imported}\n")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", PLANTED)
def test_a_forbidden_import_is_seen(told: str, name: str) -> None:
    module = name.removesuffix(".py").replace("/", ".")
    imported = "aiosmtpd" if PLANTED[name].startswith("aiosmtpd") else PLANTED[name]
    assert f"{module} -> {imported}" in " ".join(told.split())
