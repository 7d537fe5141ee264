"""SORT and THREAD give the order that Dovecot gave (tests/vectors/make_sorting.py)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mssante.flags import FlagNames
from mssante.imap.grammar.lexer import Cursor
from mssante.imap.grammar.search import All
from mssante.imap.grammar.sorting import Algorithm, parse_criteria
from mssante.imap.rules.matching import Context
from mssante.imap.server.sorting import Sorter, run_steps
from tests.support.owner import Owner
from tests.unit.imap.server.test_sorting import sorter

_VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "vectors" / "sorting-v1.json").read_text(encoding="utf-8")
)


@pytest.fixture
async def filled(owner: Owner) -> Owner:
    inbox = await owner.folders.named("INBOX")
    drafts = []
    for letter in _VECTORS["letters"]:
        content = letter["content"].encode()
        draft = await owner.writer.draft(inbox, 0, len(content))
        await draft.write(content)
        await draft.finish(datetime.fromtimestamp(letter["received"], UTC))
        drafts.append(draft)
    await owner.writer.keep(drafts)
    return owner


def _context(owner: Owner) -> Context:
    count = len(_VECTORS["letters"])
    return Context(names=FlagNames(), last_sequence=count, last_uid=count, now=owner.clock.now())


async def test_the_order_is_dovecots(filled: Owner) -> None:
    sorting: Sorter = sorter(filled)
    selected = await filled.selected()
    for keys, order in _VECTORS["sorts"].items():
        criteria = parse_criteria(Cursor(f"({keys})".encode()))
        assert await sorting.sort(selected, criteria, All(), _context(filled)) == order, keys


async def test_the_threads_are_dovecots(filled: Owner) -> None:
    for name, threads in _VECTORS["threads"].items():
        forest, uids = await sorter(filled).threads(
            await filled.selected(), Algorithm(name), All(), _context(filled)
        )
        assert (await run_steps(forest.render(uids))).decode() == threads, name
