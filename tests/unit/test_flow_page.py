"""docs/flow.md names files that are there, and the page leads through each wing."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/flow.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`([a-z_]+(?:/[a-z_]+)*(?:\.py|/))`")


def missing(page: str) -> list[str]:
    places = (ROOT / "mssante", ROOT)
    return [name for name in NAMED.findall(page) if not any((place / name).exists() for place in places)]


def test_every_file_it_names_is_there() -> None:
    assert missing(PAGE) == []
    assert len(set(NAMED.findall(PAGE))) > 50


def test_a_name_that_is_nowhere_is_found() -> None:
    assert missing("`net/imapd.py` and `net/stream.py` and `nowhere/`") == ["net/imapd.py", "nowhere/"]
