"""What an operator installs: the wheel holds one package, and from it alone the demo runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def run(*command: str, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Built from a copy: setuptools would put what an earlier build left in the checkout into the wheel too.
    checkout = tmp_path_factory.mktemp("checkout") / "mssante"
    shutil.copytree(
        ROOT, checkout, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    )
    run(*PIP, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "dist", ".", cwd=checkout)
    (built,) = (checkout / "dist").iterdir()
    return built


def test_nothing_but_mssante_lands_in_site_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
    assert {name.partition("/")[0] for name in names} == {
        "mssante",
        f"{wheel.name.rsplit('-', 3)[0]}.dist-info",
    }
    assert "mssante/py.typed" in names


def test_the_demo_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    venv, elsewhere = tmp_path / "venv", tmp_path / "elsewhere"
    elsewhere.mkdir()
    python = str(venv / "bin" / "python")
    run(sys.executable, "-m", "venv", "--without-pip", str(venv), cwd=tmp_path)
    install = (*PIP, "--python", python, "install", "-q", "--no-compile")
    run(*install, "--require-hashes", "-r", str(ROOT / "requirements.txt"), cwd=tmp_path)
    run(*install, "--no-deps", str(wheel), cwd=tmp_path)
    said = run(str(venv / "bin" / "mssante"), "demo", "--once", "--json", cwd=elsewhere)
    report = json.loads(said.splitlines()[-1])
    assert report["delivered"] is True
    assert report["read_back_equal"] is True
    # What a trial needs besides, as docs/operators/install.md says.
    run(python, "-m", "mssante.demo.certs.make", "pki", cwd=elsewhere)
    assert (elsewhere / "pki" / "operator-a.pem").exists()
    run(python, "-m", "mssante.demo.annuaire.serve", "--help", cwd=elsewhere)
    assert [path.name for path in elsewhere.iterdir()] == ["pki"]
