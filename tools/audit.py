"""Asks whether a package of requirements-test.txt has a known vulnerability: pip-audit, and PyPI's answers.

A package index may be a mirror that hands out packages and knows nothing of vulnerabilities, and there may be
no network at all. Then pip-audit reports no vulnerability, or breaks off. Neither is a passed check, so this
tool prints NOT CHECKED. With `AUDIT=required`, as before a release, it also fails. A known vulnerability
always fails, and so does a package that the service does not know although it knows others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LOCK = "requirements-test.txt"
REQUIRED = "required"
# What ends pip-audit's output when its service could not be reached, as `requests` and pip-audit name it.
_UNREACHED = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "ProxyError", "SSLError", "ServiceError")


class NotAnswered(Exception):
    """The service could not be reached, or knows none of the packages."""


@dataclass(frozen=True, slots=True)
class Found:
    """`vulnerable` and `unknown` are sentences, one for each package; `packages` counts all."""

    packages: int
    vulnerable: Sequence[str]
    unknown: Sequence[str]


def read(output: str, errors: str) -> Found:
    """What pip-audit printed. Raises NotAnswered, or RuntimeError when it failed for another reason."""
    try:
        dependencies = json.loads(output)["dependencies"]
    except ValueError:
        last = (errors.strip().splitlines() or ["pip-audit said nothing"])[-1]
        if any(name in last.partition(": ")[0] for name in _UNREACHED):
            raise NotAnswered(last) from None
        raise RuntimeError(errors) from None
    unknown = [entry["skip_reason"] for entry in dependencies if "skip_reason" in entry]
    if len(unknown) == len(dependencies):
        raise NotAnswered(unknown[0] if unknown else f"{LOCK} names no package")
    vulnerable = [_sentence(entry) for entry in dependencies if entry.get("vulns")]
    return Found(len(dependencies), vulnerable, unknown)


def _sentence(entry: Mapping[str, Any]) -> str:
    known = ", ".join(
        f"{each['id']} (mended in {', '.join(each['fix_versions']) or 'no version yet'})"
        for each in entry["vulns"]
    )
    return f"{entry['name']} {entry['version']}: {known}"


def main() -> int:
    asked = ("-r", LOCK, "--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off")
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", *asked], check=False, capture_output=True, text=True
    )
    try:
        found = read(done.stdout, done.stderr)
    except NotAnswered as reason:
        print(f"NOT CHECKED: known vulnerabilities of the packages in {LOCK}: no answer. {reason}")
        return 1 if os.environ.get("AUDIT") == REQUIRED else 0
    complaints = [*found.vulnerable, *found.unknown]
    print("\n".join(complaints) or f"{found.packages} packages without a known vulnerability")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
