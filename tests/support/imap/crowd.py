"""Clients that all act at once on shared folders, and what must hold however their commands fall.

Each `Walker` follows its own numbers from what it is told and checks that they are possible: nothing shifts
where it must not, a UID is one message for ever, to the octet; a search finds what it must and nothing else;
a keyword that only one walker touches is as it left it; \\Recent is one session's. What was kept is there
until somebody takes it away. In the end all of them see the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from random import Random

from tests.support.imap.client import Answer, ImapClient, Line
from tests.support.imap.letters import Asked, asked, letter
from tests.support.imap.mirror import CutClient
from tests.support.imap.oracle import DAYS, Candidate, key
from tests.support.imap.steps import expanded

FOLDERS = ("INBOX", "A", "B")
FLAGS = (r"\Seen", r"\Answered", r"\Flagged", r"\Draft", "$label1", "dossier")
Place = tuple[str, int]  # folder, UID
Login = Callable[[], Awaitable[ImapClient]]


@dataclass
class Crowd:
    """What the walkers know together. `own`: which walkers' keyword a message carries, for those whose
    beginning is known."""

    written: int = 0
    letter: dict[Place, int] = field(default_factory=dict)
    day: dict[int, date] = field(default_factory=dict)
    made: set[Place] = field(default_factory=set)
    doomed: set[Place] = field(default_factory=set)  # marked \\Deleted by somebody, or moved away
    recent: dict[Place, object] = field(default_factory=dict)
    own: dict[Place, set[int]] = field(default_factory=dict)
    uidnext: dict[str, int] = field(default_factory=dict)

    def place(self, place: Place, number: int) -> None:
        """`place` holds that letter; it always did."""
        assert self.letter.setdefault(place, number) == number, place

    def uid_next(self, folder: str, told: int, before: int) -> None:
        """`before`: what had been told when the question was asked."""
        assert told >= before, f"UIDNEXT of {folder} went from {before} to {told}"
        self.uidnext[folder] = max(told, self.uidnext.get(folder, 1))


class Walker:
    """One client. `uids` by number; None: not known yet."""

    def __init__(self, client: ImapClient, crowd: Crowd, chance: Random, number: int) -> None:
        self.client = client
        self.crowd = crowd
        self.chance = chance
        self.number = number
        self.keyword = f"own{number}"
        self.folder = "INBOX"
        self.read_only = False
        self.uids: list[int | None] = []
        self._opening = object()

    # What is told

    def hear(self, lines: list[Line], *, expunges: bool) -> None:
        for line in lines:
            match line.name:
                case "EXPUNGE":
                    assert expunges, "EXPUNGE where numbers must not shift"
                    assert line.number is not None
                    assert 1 <= line.number <= len(self.uids)
                    del self.uids[line.number - 1]
                case "EXISTS":
                    assert line.number is not None
                    assert line.number >= len(self.uids), "EXISTS takes nothing away"
                    self.uids += [None] * (line.number - len(self.uids))
                case "RECENT":
                    assert (line.number or 0) <= len(self.uids)
                case "FETCH":
                    self._fetched(line)

    def _fetched(self, line: Line) -> None:
        assert line.number is not None
        items = line.items()
        uid = self.uids[line.number - 1]
        if "UID" in items:
            assert uid in (None, int(items["UID"])), f"number {line.number} is {uid}, not {items['UID']}"
            uid = self.uids[line.number - 1] = int(items["UID"])
            there = [each for each in self.uids if each is not None]
            assert there == sorted(set(there)), "UIDs ascend with the numbers"
        if uid is None:
            return
        place = self.folder, uid
        if "BODY[HEADER.FIELDS (X-NUMBER)]" in items:
            self.crowd.place(place, int(items["BODY[HEADER.FIELDS (X-NUMBER)]"].split()[1]))
        if "FLAGS" in items:
            flags = set(map(str, items["FLAGS"]))
            if r"\Recent" in flags and not self.read_only:
                assert self.crowd.recent.setdefault(place, self._opening) is self._opening, place
            if place in self.crowd.own:
                mine = self.number in self.crowd.own[place]
                assert (self.keyword in flags) is mine, f"{place}: {self.keyword} is {not mine}"

    async def ask(self, command: str, *literals: bytes, expunges: bool = True) -> Answer:
        answer = await self.client.ask(command, *literals)
        self.hear(answer.lines, expunges=expunges)
        assert answer.status == "OK" or answer.code in ("EXPUNGEISSUED", "READ-ONLY"), (command, answer)
        return answer

    # What is done

    async def select(self, folder: str, *, read_only: bool = False) -> None:
        before = self.crowd.uidnext.get(folder, 1)
        answer = await self.client.ok(f"{'EXAMINE' if read_only else 'SELECT'} {folder}")
        self.folder, self.read_only, self._opening = folder, read_only, object()
        self.uids = [None] * (answer.one("EXISTS").number or 0)
        self.crowd.uid_next(folder, int(answer.codes()["UIDNEXT"]), before)

    async def walk(self, steps: int) -> None:
        acts = [
            self._append, self._append, self._mark, self._mark, self._own, self._own, self._doom, self._read,
            self._read, self._sections, self._sections, self._copy, self._expunge, self._search, self._search,
            self._idle, self._turn, self._status, self._together, self._folders,
        ]  # fmt: skip
        for _ in range(steps):
            await self.chance.choice(acts)()

    def _known(self) -> list[int]:
        there = [uid for uid in self.uids if uid is not None]
        return sorted(self.chance.sample(there, min(len(there), self.chance.randint(1, 4))))

    def _numbers(self) -> tuple[str, list[int | None]]:
        low = self.chance.randint(1, len(self.uids))
        high = min(len(self.uids), low + self.chance.randint(0, 5))
        return f"{low}:{high}", self.uids[low - 1 : high]

    async def _append(self) -> None:
        numbers, text, literals = [], f"APPEND {(folder := self.chance.choice(FOLDERS))}", []
        for _ in range(self.chance.choice([1, 1, 2])):
            self.crowd.written += 1
            numbers.append(self.crowd.written)
            day = self.crowd.day[numbers[-1]] = self.chance.choice(DAYS)
            text += f' (\\Flagged) "{day:%d-%b-%Y} 12:00:00 +0000" \n'
            literals.append(letter(numbers[-1]).content)
        # A concurrent COPY may be of it before we hear of it: `own` is noted with the answer.
        answer = await self.client.ask(text, *literals)
        assert answer.status == "OK", answer
        for number, uid in zip(numbers, expanded((answer.code or "").split()[2]), strict=True):
            self.crowd.made.add((folder, uid))
            self.crowd.place((folder, uid), number)
            self.crowd.own.setdefault((folder, uid), set())
        self.hear(answer.lines, expunges=True)

    async def _mark(self) -> None:
        if not self.uids:
            return
        flags = " ".join(self.chance.sample(FLAGS, 2))
        silent = self.chance.choice(["", ".SILENT"])
        numbers, _ = self._numbers()
        await self.ask(
            f"STORE {numbers} {self.chance.choice('+-')}FLAGS{silent} ({flags})",
            expunges=self.read_only,
        )

    async def _own(self) -> None:
        """A keyword that nobody else touches: no change of it is ever lost."""
        uids = [uid for uid in self._known() if (self.folder, uid) in self.crowd.own]
        if not uids or self.read_only:
            return
        on, silent = self.chance.random() < 0.6, self.chance.choice(["", ".SILENT"])
        for uid in uids:
            owners = self.crowd.own[self.folder, uid]
            owners.add(self.number) if on else owners.discard(self.number)
        await self.ask(f"UID STORE {_joined(uids)} {'+' if on else '-'}FLAGS{silent} ({self.keyword})")

    async def _doom(self) -> None:
        if (uids := self._known()) and not self.read_only:
            self.crowd.doomed |= {(self.folder, uid) for uid in uids}
            await self.ask(f"UID STORE {_joined(uids)} +FLAGS (\\Deleted)")

    async def _read(self) -> None:
        items = "(UID FLAGS BODY.PEEK[HEADER.FIELDS (X-NUMBER)])"
        if self.uids and self.chance.random() < 0.5:
            await self.ask(f"FETCH {self._numbers()[0]} {items}", expunges=False)
        else:
            await self.ask(f"UID FETCH 1:* {items}")

    async def _sections(self) -> None:
        sections = {each.label: each for each in (asked(self.chance) for _ in range(3))}
        items = " ".join(section.item for section in sections.values())
        by_uid, uids = self.chance.random() < 0.5, self._known()
        if not uids:
            return
        numbers = _joined(uids) if by_uid else self._numbers()[0]
        command = f"{'UID ' * by_uid}FETCH {numbers} (UID RFC822.SIZE FLAGS {items})"
        answer = await self.ask(command, expunges=by_uid)
        for line in answer.named("FETCH"):
            self._compare(line, sections)

    def _compare(self, line: Line, sections: dict[str, Asked]) -> None:
        items = line.items()
        number = self.crowd.letter.get((self.folder, int(items.get("UID", 0))))
        if number is not None and "RFC822.SIZE" in items:
            assert int(items["RFC822.SIZE"]) == len(letter(number).content)
            for label, section in sections.items():
                assert items[label] == section.expected(letter(number)), (label, number)

    async def _search(self) -> None:
        view, folder = list(self.uids), self.folder
        wanted = key(self.chance, [uid or 0 for uid in view] if None not in view else [])
        if wanted.depends or (wanted.numbers and None in view) or "UID " in wanted.text:
            return None
        by_uid = self.chance.random() < 0.5
        answer = await self.client.ask(f"{'UID ' * by_uid}SEARCH {wanted.text}", *wanted.literals)
        if answer.code == "LIMIT":  # fifteen search at once on a busy machine: five seconds were not enough
            return self.hear(answer.lines, expunges=by_uid and not wanted.numbers)
        assert answer.status == "OK", answer
        told = answer.numbers()
        assert told == sorted(set(told))
        found = told if by_uid else [view[number - 1] for number in told]
        for sequence, uid in enumerate(view, 1):
            number = self.crowd.letter.get((folder, uid or 0))
            if uid is None or number is None:
                continue
            one = Candidate(sequence, uid, letter(number), frozenset(), self.crowd.day[number])
            if uid in found:
                assert wanted.test(one), f"{wanted.text} found {number}"
            elif (folder, uid) not in self.crowd.doomed:
                assert not wanted.test(one), f"{wanted.text} did not find {number}"
        self.hear(answer.lines, expunges=by_uid and not wanted.numbers)
        return None

    async def _copy(self) -> None:
        uids = self._known()
        if not uids:
            return
        target, move = self.chance.choice(FOLDERS), self.chance.random() < 0.5 and not self.read_only
        source = self.folder
        if move:
            self.crowd.doomed |= {(source, uid) for uid in uids}
        answer = await self.client.ask(f"UID {'MOVE' if move else 'COPY'} {_joined(uids)} {target}")
        assert answer.status == "OK", answer
        code = answer.codes().get("COPYUID")
        pairs = zip(*map(expanded, code.split()[1:]), strict=True) if code else ()
        for before, after in pairs:
            self._copied((source, before), (target, after))
        self.hear(answer.lines, expunges=True)

    def _copied(self, source: Place, target: Place) -> None:
        self.crowd.made.add(target)
        if source in self.crowd.letter:
            self.crowd.place(target, self.crowd.letter[source])
        if source in self.crowd.doomed:
            self.crowd.doomed.add(target)

    async def _expunge(self) -> None:
        await self.ask(self.chance.choice(["EXPUNGE", "UID EXPUNGE 1:*"]))

    async def _status(self) -> None:
        folder = self.chance.choice(FOLDERS)
        before = self.crowd.uidnext.get(folder, 1)
        answer = await self.ask(f"STATUS {folder} (UIDNEXT MESSAGES UNSEEN)")
        told = {name: int(value) for name, value in answer.one("STATUS").items().items()}
        assert told["UNSEEN"] <= told["MESSAGES"] < told["UIDNEXT"]
        self.crowd.uid_next(folder, told["UIDNEXT"], before)

    async def _together(self) -> None:
        """Sent at once, answered in order."""
        commands = self.chance.sample(
            [
                "NOOP",
                "UID FETCH 1:* (FLAGS)",
                "UID SEARCH ALL",
                "CHECK",
                "UID EXPUNGE 1:*",
                "BOGUS",
                "UID STORE 1:* +FLAGS.SILENT (x)",
            ],
            4,
        )
        tags = [self.client.next_tag() for _ in commands]
        sent = "".join(f"{tag} {command}\r\n" for tag, command in zip(tags, commands, strict=True))
        await self.client.send(sent.encode())
        for tag, command in zip(tags, commands, strict=True):
            answer = await self.client.answer(tag)
            self.hear(answer.lines, expunges=command != "BOGUS")
            assert answer.status == ("BAD" if command == "BOGUS" else "OK") or answer.code == "READ-ONLY"

    async def _idle(self) -> None:
        tag = self.client.next_tag()
        await self.client.send(tag.encode() + b" IDLE\r\n")
        lines = []
        while (line := await self.client.line()).tag != "+":
            lines.append(line)
        await asyncio.sleep(self.chance.random() / 50)
        await self.client.send(b"DONE\r\n")
        self.hear((await self.client.answer(tag, lines)).lines, expunges=True)

    async def _turn(self) -> None:
        if self.chance.random() < 0.3:
            await self.client.ok(self.chance.choice(["CLOSE", "UNSELECT"]))
        await self.select(self.chance.choice(FOLDERS), read_only=self.chance.random() < 0.2)

    async def _folders(self) -> None:
        """A folder of one's own comes, moves and goes while others do the same."""
        mine, moved = f"w{self.number}/sub", f"v{self.number}"
        await self.ask(f"CREATE {mine}")
        await self.ask(f"SUBSCRIBE {mine}")
        await self.ask(f"RENAME w{self.number} {moved}")
        names = [line.values[2].decode() for line in (await self.ask('LIST "" *')).named("LIST")]
        assert len(names) == len(set(names))
        assert {moved, f"{moved}/sub", *FOLDERS} <= set(names)
        assert mine not in names
        for name in (f"{moved}/sub", mine):
            await self.ask(f"UNSUBSCRIBE {name}")
        await self.ask(f"DELETE {moved}/sub")

    async def everything(self, folder: str) -> dict[int, tuple[bytes, frozenset[str]]]:
        """A folder as it is when nobody acts any more."""
        await self.select(folder)
        answer = await self.ask("UID FETCH 1:* (FLAGS BODY.PEEK[])")
        return {
            int(item["UID"]): (item["BODY[]"], frozenset(map(str, item["FLAGS"])) - {r"\Recent"})
            for item in answer.fetched().values()
        }


def _joined(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


_HALF = (
    b"x APPEND INBOX {1000}\r\n", b"x APPEND INBOX {1000+}\r\nSubject: half\r\n", b"x IDLE\r\n",
    b"x UID FETCH 1:* BODY.PEEK[]\r\n", b"x SEARCH SUBJECT {10}\r\n", b"x UID SEARCH BODY corps1q\r\ny NO",
    b"x APPEND INBOX {5+}\r\nabcde",
)  # fmt: skip


async def _vanish(login: Login, chance: Random, steps: int) -> None:
    """Connections that end in the middle of things: nothing of them stays, nobody else notices."""
    for _ in range(steps):
        client = await login()
        await client.ok("EXAMINE INBOX")
        await client.send(chance.choice(_HALF))
        await asyncio.sleep(chance.random() / 50)
        client.close()


async def let_walk(clients: list[ImapClient], *, seed: int, steps: int, login: Login | None = None) -> None:
    """All at once, and with `login` some more that come and vanish; then they agree, and nothing is lost."""
    crowd, chance = Crowd(), Random(seed)
    for name in FOLDERS[1:]:
        await clients[0].ok(f"CREATE {name}")
    walkers = []
    for number, client in enumerate(clients):
        client.__class__ = CutClient
        client.chance = Random(chance.random())  # type: ignore[attr-defined]  # a CutClient now
        walkers.append(Walker(client, crowd, Random(chance.random()), number))
        await walkers[-1].select(chance.choice(FOLDERS))
    async with asyncio.TaskGroup() as group:
        for walker in walkers:
            group.create_task(walker.walk(steps))
        if login is not None:
            group.create_task(_vanish(login, Random(seed), steps // 4))
    for walker in walkers:
        await walker.ask("NOOP")
        await walker.ask("UID FETCH 1:* (UID FLAGS)")
        assert walker.uids == (await walker.client.ok("UID SEARCH ALL")).numbers()
    await _agree(walkers, crowd)


async def _agree(walkers: list[Walker], crowd: Crowd) -> None:
    there: set[Place] = set()
    for folder in FOLDERS:
        seen = await walkers[0].everything(folder)
        for walker in walkers[1:]:
            assert await walker.everything(folder) == seen
        for uid, (content, flags) in seen.items():
            place = folder, uid
            assert content == letter(crowd.letter[place]).content
            there.add(place)
            if place in crowd.own:
                assert {walker.number for walker in walkers if walker.keyword in flags} == crowd.own[place]
    assert there <= crowd.made, "nothing is there that nobody made"
    assert crowd.made - there <= crowd.doomed, "nothing is gone that nobody took away"
