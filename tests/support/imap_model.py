"""A mailbox as it ought to be, and clients that check every response against it.

`Model` is the truth: what each folder holds. `Mirror` is one client's picture, changed only by what the
server tells; after every answer it must be what RFC 3501 lets this client know of the truth, no less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from tests.support.imap_client import Answer, ImapClient, Line

FOLDERS = ("INBOX", "A", "B")
FLAGS = (r"\Seen", r"\Answered", r"\Flagged", r"\Deleted", r"\Draft", "$label1", "Dossier", "k3")


def content(number: int) -> bytes:
    return b"Subject: n%d\r\nFrom: a@b.test\r\n\r\nbody of %d\r\n" % (number, number)


@dataclass
class Message:
    number: int  # which content
    flags: frozenset[str]


@dataclass
class Folder:
    uidnext: int = 1
    messages: dict[int, Message] = field(default_factory=dict)  # by UID, ascending

    def add(self, message: Message) -> int:
        uid, self.uidnext = self.uidnext, self.uidnext + 1
        self.messages[uid] = message
        return uid


class Model:
    def __init__(self) -> None:
        self.folders = {name: Folder() for name in FOLDERS}
        self.written = 0

    def copy(self, source: str, uids: Iterable[int], target: str, *, move: bool) -> list[tuple[int, int]]:
        there = self.folders[source].messages
        pairs = []
        for uid in uids:
            if uid in there:
                message = there[uid]
                pairs.append((uid, self.folders[target].add(Message(message.number, message.flags))))
        if move:
            for uid, _ in pairs:
                del there[uid]
        return pairs


class Mirror:
    """One client. `uids` as it counts them; `flags` of each as last told."""

    def __init__(self, client: ImapClient, model: Model, chance: Random) -> None:
        self.client = client
        self.model = model
        self.chance = chance
        self.folder = ""
        self.uids: list[int] = []
        self.flags: dict[int, frozenset[str]] = {}
        self.highest = 0
        self.gone: set[int] = set()  # still counted, known to the server as gone
        self.idling = ""
        self.did: list[str] = []  # for the report of a failure

    @property
    def truth(self) -> dict[int, Message]:
        return self.model.folders[self.folder].messages

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
                case "FETCH":
                    self._fetched(line)
        known = [uid for uid in self.uids if uid in self.truth]
        if expunges:
            assert self.uids == list(self.truth), f"{self.did[-5:]}"
        else:
            assert known == list(self.truth)
        self.gone = set(self.uids) - set(known)
        for uid in known:
            assert self.flags[uid] == self.truth[uid].flags, f"flags of {uid}: {self.did[-5:]}"

    def _arrive(self, count: int) -> None:
        fresh = [uid for uid in self.truth if uid > self.highest]
        assert len(self.uids) + len(fresh) == count, f"EXISTS {count}: {self.uids} and {fresh}"
        self.uids += fresh
        # The flags of what arrives are asked for, not told; the truth stands in for that question.
        self.flags |= {uid: self.truth[uid].flags for uid in fresh}
        self.highest = self.uids[-1]

    def _fetched(self, line: Line) -> None:
        assert line.number is not None
        uid, items = self.uids[line.number - 1], line.items()
        if "UID" in items:
            assert int(items["UID"]) == uid
        if "FLAGS" in items:
            self.flags[uid] = frozenset(str(flag) for flag in items["FLAGS"]) - {r"\Recent"}
        if "BODY[]" in items:
            assert items["BODY[]"] == content(self.truth[uid].number)

    async def ask(self, command: str, *literals: bytes, expunges: bool) -> Answer:
        self.did.append(f"{self.folder}: {command}")
        answer = await self.client.ask(command, *literals)
        self.hear(answer.lines, expunges=expunges)
        return answer

    # What the client does

    async def select(self, folder: str) -> None:
        answer = await self.client.ok(f"SELECT {folder}")
        self.did.append(f"SELECT {folder}")
        self.folder, self.gone = folder, set()
        self.uids = list(self.truth)
        self.highest = self.model.folders[folder].uidnext - 1
        assert answer.one("EXISTS").number == len(self.uids)
        assert int(answer.codes()["UIDNEXT"]) == self.highest + 1
        unseen = [n for n, uid in enumerate(self.uids, 1) if r"\Seen" not in self.truth[uid].flags]
        assert answer.codes().get("UNSEEN") == (str(unseen[0]) if unseen else None)
        self.flags = {}
        fetched = (await self.client.ok("UID FETCH 1:* (FLAGS)")).fetched()
        assert {int(item["UID"]) for item in fetched.values()} == set(self.uids)
        for item in fetched.values():
            self.flags[int(item["UID"])] = frozenset(map(str, item["FLAGS"])) - {r"\Recent"}
        self.hear([], expunges=True)

    async def step(self) -> None:
        if self.idling:
            await self._end_idle()
            return
        acts: list[Callable[[], object]] = [
            self._append, self._append, self._store, self._store, self._store, self._fetch, self._search,
            self._copy, self._expunge, self._noop, self._status, self._reselect, self._begin_idle,
        ]  # fmt: skip
        await self.chance.choice(acts)()  # type: ignore[misc]  # each is a coroutine function

    def _some(self, *, uid: bool) -> tuple[str, list[int]]:
        """A set and the UIDs it names, in this client's picture."""
        places = sorted(
            self.chance.sample(range(len(self.uids)), self.chance.randint(1, min(5, len(self.uids))))
        )
        if self.chance.random() < 0.3:
            places = list(range(places[0], places[-1] + 1))
            ends = [self.uids[places[0]], self.uids[places[-1]]] if uid else [places[0] + 1, places[-1] + 1]
            return f"{ends[0]}:{ends[1]}", [self.uids[place] for place in places]
        named = [self.uids[place] if uid else place + 1 for place in places]
        self.chance.shuffle(named)
        return ",".join(map(str, named)), [self.uids[place] for place in places]

    def _flags(self) -> frozenset[str]:
        return frozenset(self.chance.sample(FLAGS, self.chance.randint(0, 3)))

    async def _append(self) -> None:
        folder, flags = self.chance.choice(FOLDERS), self._flags()
        self.model.written += 1
        number = self.model.written
        uid = self.model.folders[folder].add(Message(number, flags))
        answer = await self.ask(f"APPEND {folder} ({' '.join(flags)}) \n", content(number), expunges=True)
        assert (answer.status, (answer.code or "").split()[2]) == ("OK", str(uid))

    async def _store(self) -> None:
        if not self.uids:
            return
        by_uid, flags, silent = self.chance.random() < 0.5, self._flags(), self.chance.random() < 0.4
        text, uids = self._some(uid=by_uid)
        mode = self.chance.choice(["+", "-", ""])
        there = [uid for uid in uids if uid in self.truth]
        for uid in there:
            old = self.truth[uid].flags
            self.truth[uid].flags = old | flags if mode == "+" else old - flags if mode == "-" else flags
            if silent:
                self.flags[uid] = _stored(mode, self.flags[uid], flags)  # the client's own idea, unless told
        answer = await self.ask(
            f"{'UID ' if by_uid else ''}STORE {text} {mode}FLAGS{'.SILENT' if silent else ''}"
            f" ({' '.join(flags)})",
            expunges=by_uid,
        )
        assert answer.status == ("OK" if by_uid or len(there) == len(uids) else "NO")
        if not silent:
            assert len(answer.named("FETCH")) >= len(there)

    async def _fetch(self) -> None:
        if not self.uids:
            return
        by_uid = self.chance.random() < 0.5
        text, uids = self._some(uid=by_uid)
        marks = self.chance.random() < 0.5
        there = [uid for uid in uids if uid in self.truth]
        if marks:
            for uid in there:
                self.truth[uid].flags |= {r"\Seen"}
        body = "BODY[]" if marks else "BODY.PEEK[]"
        answer = await self.ask(f"{'UID ' if by_uid else ''}FETCH {text} (UID {body})", expunges=by_uid)
        assert answer.status == ("OK" if by_uid or len(there) == len(uids) else "NO")
        bodies = [line.items() for line in answer.named("FETCH") if "BODY[]" in line.items()]
        assert [int(item["UID"]) for item in bodies] == there

    async def _search(self) -> None:
        by_uid = self.chance.random() < 0.5
        flag = self.chance.choice(FLAGS)
        key = flag[1:] if flag.startswith("\\") else f"KEYWORD {flag}"
        expected = [uid for uid in self.uids if uid in self.truth and flag in self.truth[uid].flags]
        if self.chance.random() < 0.4:
            number = self.chance.randint(1, max(1, self.model.written))
            key = f"SUBJECT n{number} NOT SUBJECT n{number}0"
            expected = [
                uid for uid in self.uids
                if uid in self.truth and f"n{number}" in f"n{self.truth[uid].number}"
                and f"n{number}0" not in f"n{self.truth[uid].number}"
            ]  # fmt: skip
        numbers = expected if by_uid else [self.uids.index(uid) + 1 for uid in expected]
        answer = await self.ask(f"{'UID ' if by_uid else ''}SEARCH {key}", expunges=by_uid)
        assert answer.numbers() == numbers

    async def _copy(self) -> None:
        if not self.uids:
            return
        by_uid, move = self.chance.random() < 0.6, self.chance.random() < 0.4
        text, uids = self._some(uid=by_uid)
        target = self.chance.choice(FOLDERS)
        pairs: list[tuple[int, int]] = []
        refused = not by_uid and not set(uids) <= set(self.truth)
        if not refused:
            pairs = self.model.copy(self.folder, uids, target, move=move)
        verb = f"{'UID ' if by_uid else ''}{'MOVE' if move else 'COPY'}"
        answer = await self.ask(f"{verb} {text} {target}", expunges=True)
        assert (answer.status, answer.code == "EXPUNGEISSUED") == ("NO" if refused else "OK", refused)
        if pairs:
            _, old, new = answer.codes()["COPYUID"].split()
            assert list(zip(_numbers(old), _numbers(new), strict=True)) == pairs

    async def _expunge(self) -> None:
        uids = list(self.truth)
        command = "EXPUNGE"
        if self.uids and self.chance.random() < 0.5:
            text, uids = self._some(uid=True)
            command = f"UID EXPUNGE {text}"
        for uid in uids:
            if uid in self.truth and r"\Deleted" in self.truth[uid].flags:
                del self.truth[uid]
        assert (await self.ask(command, expunges=True)).status == "OK"

    async def _noop(self) -> None:
        await self.ask(self.chance.choice(["NOOP", "CHECK"]), expunges=True)

    async def _status(self) -> None:
        name = self.chance.choice(FOLDERS)
        folder = self.model.folders[name]
        answer = await self.ask(f"STATUS {name} (MESSAGES UIDNEXT UNSEEN DELETED)", expunges=True)
        flags = [message.flags for message in folder.messages.values()]
        assert {key: int(value) for key, value in answer.one("STATUS").items().items()} == {
            "MESSAGES": len(flags),
            "UIDNEXT": folder.uidnext,
            "UNSEEN": sum(r"\Seen" not in each for each in flags),
            "DELETED": sum(r"\Deleted" in each for each in flags),
        }

    async def _reselect(self) -> None:
        if self.chance.random() < 0.3:
            self.did.append("CLOSE")
            for uid in [uid for uid, message in self.truth.items() if r"\Deleted" in message.flags]:
                del self.truth[uid]
            assert (await self.client.ok("CLOSE")).lines == []
        await self.select(self.chance.choice(FOLDERS))

    async def _begin_idle(self) -> None:
        self.idling = self.client.next_tag()
        self.did.append("IDLE")
        await self.client.send(self.idling.encode() + b" IDLE\r\n")
        lines = []
        while (line := await self.client.line()).tag != "+":
            lines.append(line)
        self.hear_later = lines

    async def _end_idle(self) -> None:
        await self.client.send(b"DONE\r\n")
        answer = await self.client.answer(self.idling, self.hear_later)
        self.idling = ""
        self.did.append("DONE")
        self._hear_in_order(answer.lines)

    def _hear_in_order(self, lines: list[Line]) -> None:
        """In IDLE the news came while the truth changed: only where it ends can be compared."""
        for line in lines:
            if line.name == "EXPUNGE":
                assert line.number is not None
                self.flags.pop(self.uids.pop(line.number - 1), None)
            elif line.name == "EXISTS":
                missing = (line.number or 0) - len(self.uids)
                assert missing >= 0
                self.uids += [0] * missing
            elif line.name == "FETCH":
                assert line.number is not None
                self.flags[self.uids[line.number - 1]] = frozenset(map(str, line.items()["FLAGS"])) - {
                    r"\Recent"
                }
        assert len(self.uids) == len(self.truth), f"{self.did[-5:]}"
        for place, (told, true) in enumerate(zip(self.uids, list(self.truth), strict=True)):
            assert told in (0, true), f"place {place}"
            if told:
                assert self.flags[told] == self.truth[true].flags
        self.uids = list(self.truth)
        self.flags = {uid: message.flags for uid, message in self.truth.items()}
        self.highest = self.model.folders[self.folder].uidnext - 1
        self.gone = set()


def _stored(mode: str, old: frozenset[str], flags: frozenset[str]) -> frozenset[str]:
    return old | flags if mode == "+" else old - flags if mode == "-" else flags


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    for piece in text.split(","):
        low, _, high = piece.partition(":")
        found += range(int(low), int(high or low) + 1)
    return found
