"""Fails when a tracked file holds what looks like a secret: detect-secrets, against a list of what is known.

`.secrets.baseline` holds the settings of the scan and, as hashes, the passwords and keys that only tests use.
They are compared by file, kind and hash, not by line: text may move. It works without a network, because
nobody is asked whether a secret is in use.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from detect_secrets.core import baseline
from detect_secrets.core.secrets_collection import SecretsCollection

BASELINE = ".secrets.baseline"
HOW_TO_ADD = (
    "Take it out, and hold it for known to others if it was committed. If only tests use it:"
    " .venv/bin/detect-secrets scan --no-verify --baseline .secrets.baseline"
)


def unknown(root: Path, names: Sequence[str], known: Path) -> list[str]:
    """`file:line: kind` of each secret in the files `names` under `root` that the baseline `known` lacks."""
    listed = baseline.load(baseline.load_from_file(str(known)))  # it sets the settings of the scan too
    before = {(name, secret.type, secret.secret_hash) for name, secret in listed}
    found = SecretsCollection(root=str(root))
    found.scan_files(*names)
    return sorted(
        f"{name}:{secret.line_number}: {secret.type}"
        for name, secret in found
        if (name, secret.type, secret.secret_hash) not in before
    )


def main() -> int:
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    names = [name for name in listed.split("\0") if name and name != BASELINE and Path(name).is_file()]
    complaints = unknown(Path(), names, Path(BASELINE))
    print("\n".join([*complaints, HOW_TO_ADD] if complaints else [f"{len(names)} files without a secret"]))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
