"""Operators that are not laid out as `mssante init` does it: on PostgreSQL, and on two hosts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from tests.support.operators.world import Operator, World


def edited(operator: Operator, changes: dict[str, str]) -> Operator:
    """Its config.toml with lines replaced: each key is the line's beginning."""
    lines = operator.config_file.read_text(encoding="utf-8").splitlines()
    for beginning, replacement in changes.items():
        (place,) = [n for n, line in enumerate(lines) if line.startswith(beginning)]
        lines[place] = replacement
    operator.config_file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return operator


def on_postgresql(operator: Operator, url: str) -> Operator:
    for name in ("mail.db", "keys.db"):
        for file in operator.folder.glob(name + "*"):
            file.unlink()
    return edited(operator, {"database = ": f'database = "{url}"', "keys = ": f'keys = "{url}"'})


def twin_of(world: World, operator: Operator, name: str, routes: Sequence[tuple[str, str]] = ()) -> Operator:
    """A second host of the same operator: the same databases and root key, nothing else in common."""
    twin = world.operator("a", name=name, logins=operator.logins).set_up(world, routes)
    for file in (*twin.folder.glob("mail.db*"), *twin.folder.glob("keys.db*")):
        file.unlink()
    shutil.copy2(operator.folder / "root.key", twin.folder / "root.key")
    lines = operator.config_file.read_text().splitlines()
    url = next(line for line in lines if line.startswith("database = "))
    return edited(twin, {"database = ": url, "keys = ": url.replace("database", "keys", 1)})
