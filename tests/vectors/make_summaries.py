"""Made summaries-v2.json, once: the letters of summaries-v1.json as version 2 keeps them.

summaries-v1.json was made by the program that wrote version 1: letters, their summaries, and the ENVELOPE,
BODY and BODYSTRUCTURE that were told of them. Both are frozen: they prove that what was kept then is read
now, and told in the same octets. `python -m tests.vectors.make_summaries tests/vectors/new.json`
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

from mssante.mime.structure import scan
from mssante.mime.summary import summarise

ARRIVED = datetime(2026, 1, 1, 10, tzinfo=timezone(timedelta(hours=2)))
FOLDER = Path(__file__).parent


class Vector(NamedTuple):
    """One letter of summaries-v1.json."""

    name: str
    letter: bytes
    summary: bytes
    envelope: bytes
    body: bytes
    bodystructure: bytes


def of_version_1() -> list[Vector]:
    rows = json.loads((FOLDER / "summaries-v1.json").read_text())
    return [Vector(name, *map(bytes.fromhex, row.values())) for row in rows if (name := row.pop("name"))]


def of_version_2() -> dict[str, bytes]:
    """The same letters' summaries, by name."""
    rows = json.loads((FOLDER / "summaries-v2.json").read_text())
    return {name: bytes.fromhex(summary) for name, summary in rows.items()}


if __name__ == "__main__":
    made = {
        each.name: summarise(scan(each.letter), internal_date=ARRIVED, head=each.letter).to_bytes().hex()
        for each in of_version_1()
    }
    with Path(sys.argv[1]).open("x", encoding="ascii") as file:
        json.dump(made, file, indent=1)
        file.write("\n")
