"""The checks of `make check` that could pass by mistake: they fail when there is something to find."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tools import audit, secret_scan

ROOT = Path(__file__).parents[2]
# In pieces, so that this file holds none.
PEM = "-----BEGIN " + "PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n"
AWS = "AKIA" + "Q3EGRTZN7LPXW2DV"
PASSWORD = 'password = "' + "h7Kq" + "-vT93x_mZ" + '"\n'
HEX = 'key = "' + "9f86d081" + "884c7d65" + "9a2feaa0" + "c55ad015" + '"\n'


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (PEM, "Private Key"),
        (f"there it is: {AWS}\n", "AWS Access Key"),
        (PASSWORD, "Secret Keyword"),
        (HEX, "Hex High Entropy String"),
    ],
)
def test_a_planted_secret_is_found(tmp_path: Path, text: str, kind: str) -> None:
    (tmp_path / "planted.py").write_text(f"# A first line.\n{text}", encoding="utf-8")
    found = secret_scan.unknown(tmp_path, ["planted.py"], ROOT / secret_scan.BASELINE)
    assert f"planted.py:2: {kind}" in found


def test_a_secret_known_in_one_file_is_not_known_in_another(tmp_path: Path) -> None:
    known = json.loads((ROOT / secret_scan.BASELINE).read_text(encoding="utf-8"))["results"]
    name = "tests/support/imap/house.py"
    assert name in known
    text = (ROOT / name).read_text(encoding="utf-8")
    for path in (tmp_path / name, tmp_path / "mssante" / "house.py"):
        path.parent.mkdir(parents=True)
        path.write_text(f"\n\n{text}", encoding="utf-8")
    baseline = ROOT / secret_scan.BASELINE
    assert secret_scan.unknown(tmp_path, [name], baseline) == []
    assert secret_scan.unknown(tmp_path, ["mssante/house.py"], baseline) != []


def _report(*dependencies: Mapping[str, object]) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


SOUND = {"name": "click", "version": "8.5.1", "vulns": []}
BAD = {"name": "x", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"], "aliases": []}]}
SKIPPED = {"name": "y", "skip_reason": "Dependency not found on PyPI: y (1)"}


def test_a_vulnerability_is_told_with_the_version_that_mends_it() -> None:
    assert audit.read(_report(SOUND, BAD), "").vulnerable == ["x 1: PYSEC-1 (mended in 2)"]
    assert audit.read(_report(SOUND), "") == audit.Found(1, [], [])


def test_a_package_unknown_to_a_service_that_answers_is_a_complaint() -> None:
    assert audit.read(_report(SOUND, SKIPPED), "").unknown == ["Dependency not found on PyPI: y (1)"]


@pytest.mark.parametrize(
    ("output", "errors"),
    [
        (_report(SKIPPED, SKIPPED), ""),
        (_report(), ""),
        ("", "Traceback …\nrequests.exceptions.ProxyError: HTTPSConnectionPool(host='pypi.org', port=443)"),
        ("", "ERROR:pip_audit._cli:x\npip_audit._service.interface.ConnectionError: Could not connect"),
    ],
)
def test_a_service_that_does_not_answer_is_not_taken_for_a_pass(output: str, errors: str) -> None:
    with pytest.raises(audit.NotAnswered):
        audit.read(output, errors)


def test_an_audit_that_breaks_for_another_reason_fails() -> None:
    with pytest.raises(RuntimeError, match="InvalidVersion"):
        audit.read("", "Traceback …\npackaging.version.InvalidVersion: Invalid version: '='")
