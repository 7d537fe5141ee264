"""The store against a model of a few dictionaries: whatever is done, both tell the same, also when commands
are done in slices of one to three messages."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from mssante import limits
from mssante.clock import ManualClock
from mssante.database import Database
from mssante.limits import KIB, PLACE_OCTETS
from mssante.model import FolderId, MailboxId, ModSeq, SpecialUse
from mssante.reasons import Reason, Refused
from mssante.store import FlagsMode, MailStore
from mssante.store.mail_store import MIGRATIONS
from tests.unit.store.building import AUDIT, VERIFIER, House, acceptance, deposit
from tests.unit.store.conftest import emptied

DELETED = 8
QUOTA_KIB = 40

uid_sets = st.lists(st.integers(1, 14), max_size=8) | st.builds(
    range, st.integers(1, 6), st.sampled_from([3, 9, 2**32])
)
masks = st.sampled_from([1, 2, DELETED, DELETED | 1, 1 << 20])


@dataclass
class Model:
    """One mailbox: folders of {uid: (message, flags)}, next UIDs, and what a watcher of each knows."""

    folders: list[dict[int, tuple[int, int]]] = field(default_factory=lambda: [{}, {}])
    uidnext: list[int] = field(default_factory=lambda: [1, 1])
    messages: int = 0

    def place(self, folder: int, message: int, flags: int) -> int:
        uid = self.uidnext[folder]
        self.uidnext[folder] += 1
        self.folders[folder][uid] = (message, flags)
        return uid

    @property
    def places(self) -> int:
        return sum(map(len, self.folders))

    def used_kib(self, *, messages: int = 0, places: int = 0) -> int:
        """What counts in the quota, with so many messages and places more."""
        return 4 * (len(self.living) + messages) + (self.places + places) * PLACE_OCTETS // KIB

    @property
    def living(self) -> set[int]:
        return {message for folder in self.folders for message, _ in folder.values()}


class StoreMachine(RuleBasedStateMachine):
    """Runs every step on a store and on the model."""

    def __init__(self, url: str | None = None) -> None:
        super().__init__()
        self.url = url
        self.runner = asyncio.Runner()
        self.folder_of_files = tempfile.TemporaryDirectory()
        self.model = Model()
        self.watched: list[dict[int, int]] = [{}, {}]
        self.known: list[ModSeq] = [ModSeq(0), ModSeq(0)]

    @initialize()
    def begin(self) -> None:
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        url = self.url or f"sqlite:///{Path(self.folder_of_files.name) / 'mail.db'}"
        database = await Database.open(url, purpose="mail", migrations_package=MIGRATIONS)
        await database.write(emptied)
        store = await MailStore.start(database, clock=ManualClock(), audit=AUDIT.public, verifier=VERIFIER)
        self.house = House(store, database)
        self.mailbox: MailboxId = await self.house.mailbox(quota_kib=QUOTA_KIB)
        self.folders: list[FolderId] = [
            (await self.house.folder(self.mailbox, role)).id for role in (SpecialUse.INBOX, SpecialUse.SENT)
        ]

    @rule(count=st.integers(1, 5), flags=masks)
    def deliver(self, count: int, flags: int) -> None:
        async def together() -> list[object]:
            return await asyncio.gather(
                *(
                    self.house.store.accept(acceptance(deposit(self.mailbox, flags=flags)))
                    for _ in range(count)
                ),
                return_exceptions=True,
            )

        for answer in self.runner.run(together()):
            if self.model.used_kib(messages=1, places=1) > QUOTA_KIB:
                assert isinstance(answer, Refused)
                assert answer.reason is Reason.MAILBOX_FULL
            else:
                assert not isinstance(answer, BaseException)
                self.model.messages += 1
                self.model.place(0, self.model.messages, flags)

    @rule(folder=st.integers(0, 1), uids=uid_sets, mode=st.sampled_from(FlagsMode), mask=masks)
    def store_flags(self, folder: int, uids: list[int], mode: FlagsMode, mask: int) -> None:
        rows = self.runner.run(self.house.store.messages.store_flags(self.folders[folder], uids, mode, mask))
        there = self.model.folders[folder]
        for uid in there.keys() & set(self._only_real(uids)):
            message, flags = there[uid]
            match mode:
                case FlagsMode.ADD:
                    flags |= mask
                case FlagsMode.REMOVE:
                    flags &= ~mask
                case FlagsMode.REPLACE:
                    flags = mask
            there[uid] = (message, flags)
        expected = [(uid, there[uid][1]) for uid in sorted(there.keys() & set(self._only_real(uids)))]
        assert [(row.uid, row.flags) for row in rows] == expected

    @rule(folder=st.integers(0, 1), to=st.integers(0, 1), uids=uid_sets, moving=st.booleans())
    def copy_or_move(self, folder: int, to: int, uids: list[int], moving: bool) -> None:
        act = self.house.store.messages.move if moving else self.house.store.messages.copy
        there = self.model.folders[folder]
        chosen = sorted(there.keys() & set(self._only_real(uids)))
        copying = act(self.folders[folder], uids, self.folders[to])
        if not moving and chosen and self.model.used_kib(places=len(chosen)) > QUOTA_KIB:
            with pytest.raises(Refused) as full:
                self.runner.run(copying)
            assert full.value.reason is Reason.MAILBOX_FULL
            return
        pairs = self.runner.run(copying)
        expected = [(uid, self.model.place(to, *there[uid])) for uid in chosen]
        if moving:
            for uid in chosen:
                del there[uid]
        assert pairs == expected

    @rule(folder=st.integers(0, 1), uids=st.none() | uid_sets, deleted_only=st.booleans())
    def expunge(self, folder: int, uids: list[int] | None, deleted_only: bool) -> None:
        gone = self.runner.run(
            self.house.store.messages.expunge(self.folders[folder], uids, deleted_only=deleted_only)
        )
        there = self.model.folders[folder]
        wanted = there.keys() if uids is None else there.keys() & set(self._only_real(uids))
        expected = sorted(uid for uid in wanted if not deleted_only or there[uid][1] & DELETED)
        assert gone == expected
        for uid in expected:
            del there[uid]

    @rule(folder=st.integers(0, 1))
    def watch(self, folder: int) -> None:
        """A session that only ever asks for changes sees the folder as it is."""
        changes = self.runner.run(self.house.store.folders.changes(self.folders[folder], self.known[folder]))
        view = self.watched[folder]
        for row in changes.present:
            view[row.uid] = row.flags
        for uid in changes.expunged:
            view.pop(uid, None)
        assert changes.modseq >= self.known[folder]
        self.known[folder] = changes.modseq
        assert view == {uid: flags for uid, (_, flags) in self.model.folders[folder].items()}

    @invariant()
    def tells_the_same(self) -> None:
        if not hasattr(self, "house"):
            return
        for index, folder in enumerate(self.folders):
            numbers = self.runner.run(self.house.store.folders.numbers(folder))
            told = dict(zip(numbers.uids, numbers.flags, strict=True))
            assert told == {uid: flags for uid, (_, flags) in self.model.folders[index].items()}
            counts = self.runner.run(self.house.store.folders.counts(folder))
            assert (counts.messages, counts.uidnext) == (len(told), self.model.uidnext[index])
            assert list(numbers.uids) == sorted(numbers.uids)

    def teardown(self) -> None:
        if hasattr(self, "house"):
            self.runner.run(self._end())
        self.runner.close()
        self.folder_of_files.cleanup()

    async def _end(self) -> None:
        findings = await self.house.store.verify(audit=AUDIT)
        kept = await self.house.count("message")
        row = await self.house.store.accounts.by_id(self.mailbox)
        unfinished = await self.house.count("copied_slice")
        await self.house.store.close()
        await self.house.database.close()
        assert findings == []
        assert kept == len(self.model.living)
        assert (row.used_kib, row.places) == (self.model.used_kib(), self.model.places)
        assert not unfinished

    def _only_real(self, uids: list[int]) -> list[int]:
        return [uid for folder in self.model.folders for uid in folder if uid in uids]


RUNS = settings(
    max_examples=12,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def test_the_store_does_as_the_model() -> None:
    run_state_machine_as_test(StoreMachine, settings=RUNS)


@pytest.mark.parametrize("slices", [1, 2, 3])
def test_slices_do_as_one_step(mail_url: str, slices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        *("FLAGS_STORED_AT_ONCE", "PLACES_COPIED_AT_ONCE", "PLACES_MOVED_AT_ONCE", "EXPUNGED_AT_ONCE"),
        *("CHUNKS_ERASED_AT_ONCE", "EXPUNGED_FORGOTTEN_AT_ONCE"),
    ):
        monkeypatch.setattr(limits, name, slices)
    url = mail_url if mail_url.startswith("postgresql") else None
    machine = cast("type[StoreMachine]", lambda: StoreMachine(url))
    run_state_machine_as_test(machine, settings=settings(RUNS, max_examples=6))
