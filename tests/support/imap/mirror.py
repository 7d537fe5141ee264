"""One client's picture of its folder, changed only by what it is told, compared with the model after every
answer: it must be what RFC 3501 lets this client know of the truth, no less."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.support.imap.client import Answer, ImapClient, Line
from tests.support.imap.letters import letter
from tests.support.imap.model import Message, Model


class CutClient(ImapClient):
    """Sends what it is given in pieces, cut anywhere."""

    chance: Random

    async def send(self, octets: bytes) -> None:
        while octets and self.chance.random() < 0.5 and len(octets) > 1:
            at = self.chance.randint(1, min(len(octets) - 1, 200))
            self.writer.write(octets[:at])
            await self.writer.drain()
            await asyncio.sleep(0)
            octets = octets[at:]
        await super().send(octets)


@dataclass(frozen=True)
class Step:
    """A command, what it does to the model, and what its answer must be. Each "\\n" of `text` is a literal.
    `act` is done when the answer has come, before its responses are believed."""

    text: str
    check: Callable[[Answer], None]
    act: Callable[[], None] = lambda: None
    literals: tuple[bytes, ...] = ()
    expunges: bool = True


def ok(answer: Answer) -> None:
    assert answer.status == "OK", answer


class Mirror:
    """`uids` as the client counts them; `flags` of each as last told."""

    def __init__(self, client: ImapClient, model: Model, chance: Random) -> None:
        self.client = client
        self.model = model
        self.chance = chance
        self.folder: str | None = None
        self.read_only = False
        self.uids: list[int] = []
        self.flags: dict[int, frozenset[str]] = {}
        self.highest = 0
        self.idle_tag = ""
        self._opening = object()  # this time that a folder is open
        self._heard_early: list[Line] = []
        self.did: list[str] = []  # for the report of a failure

    @property
    def truth(self) -> dict[int, Message]:
        return {} if self.folder is None else self.model.folders[self.folder].messages

    # What the server tells

    def hear(self, lines: list[Line], *, expunges: bool) -> None:
        """Takes in untagged responses and compares with the truth."""
        for line in lines:
            match line.name:
                case "EXPUNGE":
                    assert expunges, f"EXPUNGE where it must not be: {self.did[-3:]}"
                    assert line.number is not None
                    self.flags.pop(self.uids.pop(line.number - 1))
                case "EXISTS":
                    self._arrive(line.number or 0)
                case "RECENT":
                    assert (line.number or 0) <= len(self.uids)
                case "FETCH":
                    self._fetched(line)
        known = [uid for uid in self.uids if uid in self.truth]
        if expunges:
            assert self.uids == list(self.truth), f"{self.did[-5:]}"
        else:
            assert known == list(self.truth), f"{self.did[-5:]}"
        for uid in known:
            assert self.flags[uid] == self.truth[uid].flags, f"flags of {uid}: {self.did[-5:]}"
        self._note_heard()

    def _note_heard(self) -> None:
        if self.folder is not None and not self.read_only:
            folder = self.model.folders[self.folder]
            folder.heard = max(folder.heard, self.highest)

    def _arrive(self, count: int) -> None:
        fresh = [uid for uid in self.truth if uid > self.highest]
        assert len(self.uids) + len(fresh) == count, f"EXISTS {count}: {self.uids} and {fresh}"
        self.uids += fresh
        # The flags of what arrives are asked for, not told; the truth stands in for that question.
        self.flags |= {uid: self.truth[uid].flags for uid in fresh}
        self.highest = max([self.highest, *fresh])

    def _fetched(self, line: Line) -> None:
        assert line.number is not None
        uid, items = self.uids[line.number - 1], line.items()
        assert items.get("UID", str(uid)) == str(uid), line.raw
        if "FLAGS" in items:
            self.flags[uid] = self._told_flags(uid, items["FLAGS"])

    def _told_flags(self, uid: int, told: Sequence[str]) -> frozenset[str]:
        flags = frozenset(map(str, told))
        if r"\Recent" in flags and not self.read_only:
            owner = self.model.recent.setdefault((self.folder or "", uid), self._opening)
            assert owner is self._opening, f"\\Recent in two sessions: {uid}"
        return flags - {r"\Recent"}

    # What the client does

    async def run(self, step: Step) -> None:
        self.did.append(f"{self.folder}: {step.text}")
        answer = await self.client.ask(step.text, *step.literals)
        self._answered(step, answer)

    async def run_together(self, steps: Sequence[Step]) -> None:
        """All sent at once, literals without waiting."""
        self.did.append(f"{self.folder}: together {[step.text for step in steps]}")
        tags, octets = [], b""
        for step in steps:
            tags.append(self.client.next_tag())
            pieces = step.text.encode().split(b"\n")
            octets += tags[-1].encode() + b" " + pieces[0]
            for literal, piece in zip(step.literals, pieces[1:], strict=True):
                octets += b"{%d+}\r\n%b%b" % (len(literal), literal, piece)
            octets += b"\r\n"
        sending = asyncio.create_task(self.client.send(octets))
        for tag, step in zip(tags, steps, strict=True):
            self._answered(step, await self.client.answer(tag))
        await sending

    def _answered(self, step: Step, answer: Answer) -> None:
        step.act()
        if answer.code == "READ-ONLY":
            assert answer.lines == []  # refused before anything was looked at
        else:
            self.hear(answer.lines, expunges=step.expunges)
        step.check(answer)

    async def open(self, folder: str, *, read_only: bool = False) -> None:
        """SELECT or EXAMINE, then every flag."""
        self.did.append(f"{'EXAMINE' if read_only else 'SELECT'} {folder}")
        self.folder, self.read_only, self._opening = folder, read_only, object()
        answer = await self.client.ok(f"{'EXAMINE' if read_only else 'SELECT'} {folder}")
        there = self.model.folders[folder]
        self.uids, self.highest = list(there.messages), there.uidnext - 1
        assert answer.one("EXISTS").number == len(self.uids)
        assert answer.codes()["UIDNEXT"] == str(there.uidnext)
        assert answer.code == ("READ-ONLY" if read_only else "READ-WRITE")
        unseen = [n for n, uid in enumerate(self.uids, 1) if r"\Seen" not in self.truth[uid].flags]
        assert answer.codes().get("UNSEEN") == (str(unseen[0]) if unseen else None)
        if folder not in self.model.idling:
            fresh = sum(uid > there.heard for uid in self.uids)
            assert answer.one("RECENT").number == fresh, f"RECENT is not {fresh}"
        self._note_heard()
        self.flags = {}
        lines = (await self.client.ok("UID FETCH 1:* (FLAGS)")).named("FETCH")
        assert [int(line.items()["UID"]) for line in lines] == self.uids
        self.hear(lines, expunges=True)

    def leave(self) -> None:
        """Nothing is open any more."""
        self.folder, self.uids, self.flags, self.highest = None, [], {}, 0

    async def begin_idle(self) -> None:
        self.idle_tag = self.client.next_tag()
        self.did.append("IDLE")
        self.model.idling.append(self.folder or "")
        await self.client.send(self.idle_tag.encode() + b" IDLE\r\n")
        self._heard_early = []
        while (line := await self.client.line()).tag != "+":
            self._heard_early.append(line)

    async def end_idle(self) -> None:
        await self.client.send(b"DONE\r\n")
        answer = await self.client.answer(self.idle_tag, self._heard_early)
        self.idle_tag = ""
        self.did.append("DONE")
        self.model.idling.remove(self.folder or "")
        if self.folder is not None:
            self._hear_in_order(answer.lines)

    def _hear_in_order(self, lines: list[Line]) -> None:
        """In IDLE the news came while the truth changed: only where it ends can be compared."""
        uids: list[int | None] = list(self.uids)
        flags: dict[int, frozenset[str]] = dict(self.flags)
        for line in lines:
            match line.name:
                case "EXPUNGE":
                    assert line.number is not None
                    del uids[line.number - 1]
                case "EXISTS":
                    assert (line.number or 0) >= len(uids), "EXISTS takes nothing away"
                    uids += [None] * ((line.number or 0) - len(uids))
                case "FETCH":
                    uid = uids[(line.number or 0) - 1]
                    if uid is not None:
                        flags[uid] = self._told_flags(uid, line.items()["FLAGS"])
        assert len(uids) == len(self.truth), f"{self.did[-5:]}"
        for told, true in zip(uids, self.truth, strict=True):
            assert told in (None, true)
            assert told is None or flags[told] == self.truth[true].flags, f"{true}: {self.did[-5:]}"
        self.uids = list(self.truth)
        self.flags = {uid: message.flags for uid, message in self.truth.items()}
        self.highest = self.model.folders[self.folder or ""].uidnext - 1
        self._note_heard()

    def content_of(self, uid: int) -> bytes:
        return letter(self.truth[uid].number).content
