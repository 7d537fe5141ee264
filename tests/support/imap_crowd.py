"""Clients that all act at once on shared folders, and what must hold however their commands fall.

Each `Walker` follows its own numbers from what it is told and checks that they are possible: nothing
shifts where it must not, a UID is one message for ever, what was kept is there until somebody takes it
away. In the end all of them must see the same.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random

from tests.support.imap_client import Answer, ImapClient, Line

FOLDERS = ("INBOX", "A", "B")
FLAGS = (r"\Seen", r"\Answered", r"\Flagged", r"\Draft", "$label1", "dossier")
Place = tuple[str, int]  # folder, UID


@dataclass
class Crowd:
    """What the walkers know together."""

    written: int = 0
    subject: dict[Place, str] = field(default_factory=dict)
    made: set[Place] = field(default_factory=set)
    doomed: set[Place] = field(default_factory=set)  # marked \\Deleted by somebody, or moved away

    def place(self, place: Place, subject: str) -> None:
        """`place` holds the message called `subject`; it always did."""
        assert self.subject.setdefault(place, subject) == subject, place


class Walker:
    def __init__(self, client: ImapClient, crowd: Crowd, chance: Random) -> None:
        self.client = client
        self.crowd = crowd
        self.chance = chance
        self.folder = "INBOX"
        self.uids: list[int | None] = []  # by number; None: not known yet
        self.recent: set[Place] = set()

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
                case "FETCH":
                    self._fetched(line)

    def _fetched(self, line: Line) -> None:
        assert line.number is not None
        items = line.items()
        if "UID" in items:
            uid = int(items["UID"])
            known = self.uids[line.number - 1]
            assert known in (None, uid), f"number {line.number} is {known}, not {uid}"
            self.uids[line.number - 1] = uid
            there = [each for each in self.uids if each is not None]
            assert there == sorted(set(there)), "UIDs ascend with the numbers"
            if "BODY[HEADER.FIELDS (SUBJECT)]" in items:
                subject = items["BODY[HEADER.FIELDS (SUBJECT)]"].decode().strip()
                self.crowd.place((self.folder, uid), subject)

    async def ask(self, command: str, *literals: bytes, expunges: bool = True) -> Answer:
        answer = await self.client.ask(command, *literals)
        self.hear(answer.lines, expunges=expunges)
        assert answer.status == "OK" or answer.code == "EXPUNGEISSUED", (command, answer.status, answer.text)
        return answer

    # What is done

    async def select(self, folder: str) -> None:
        answer = await self.client.ok(f"SELECT {folder}")
        self.folder = folder
        self.uids = [None] * (answer.one("EXISTS").number or 0)

    async def walk(self, steps: int) -> None:
        acts = [
            self._append, self._append, self._mark, self._mark, self._doom, self._read, self._read,
            self._copy, self._expunge, self._search, self._idle, self._turn,
        ]  # fmt: skip
        for _ in range(steps):
            await self.chance.choice(acts)()

    def _known(self) -> list[int]:
        there = [uid for uid in self.uids if uid is not None]
        return sorted(self.chance.sample(there, min(len(there), self.chance.randint(1, 4))))

    def _numbers(self) -> str:
        low = self.chance.randint(1, len(self.uids))
        return f"{low}:{min(len(self.uids), low + self.chance.randint(0, 5))}"

    async def _append(self) -> None:
        self.crowd.written += 1
        subject = f"Subject: n{self.crowd.written}"
        folder = self.chance.choice(FOLDERS)
        answer = await self.ask(f"APPEND {folder} \n", f"{subject}\r\n\r\nx\r\n".encode())
        place = folder, int((answer.code or "").split()[2])
        self.crowd.made.add(place)
        self.crowd.place(place, subject)

    async def _mark(self) -> None:
        if not self.uids:
            return
        flags = " ".join(self.chance.sample(FLAGS, 2))
        silent = self.chance.choice(["", ".SILENT"])
        await self.ask(
            f"STORE {self._numbers()} {self.chance.choice('+-')}FLAGS{silent} ({flags})", expunges=False
        )

    async def _doom(self) -> None:
        if uids := self._known():
            self.crowd.doomed |= {(self.folder, uid) for uid in uids}
            await self.ask(f"UID STORE {','.join(map(str, uids))} +FLAGS (\\Deleted)")

    async def _read(self) -> None:
        items = "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
        if self.uids and self.chance.random() < 0.5:
            await self.ask(f"FETCH {self._numbers()} {items}", expunges=False)
        else:
            await self.ask(f"UID FETCH 1:* {items}")

    async def _search(self) -> None:
        answer = await self.ask("UID SEARCH UNDELETED")
        assert len(answer.numbers()) == len(set(answer.numbers()))
        await self.ask("SEARCH SUBJECT n1", expunges=False)

    async def _copy(self) -> None:
        uids = self._known()
        if not uids:
            return
        target, move = self.chance.choice(FOLDERS), self.chance.random() < 0.5
        source = self.folder
        answer = await self.ask(f"UID {'MOVE' if move else 'COPY'} {','.join(map(str, uids))} {target}")
        code = answer.codes().get("COPYUID")
        if code is None:
            return
        _, old, new = code.split()
        for before, after in zip(_expanded(old), _expanded(new), strict=True):
            self.crowd.made.add((target, after))
            subject = self.crowd.subject.get((source, before))
            if subject is not None:
                self.crowd.place((target, after), subject)
            if (source, before) in self.crowd.doomed:
                self.crowd.doomed.add((target, after))
            if move:
                self.crowd.doomed.add((source, before))

    async def _expunge(self) -> None:
        await self.ask(self.chance.choice(["EXPUNGE", "UID EXPUNGE 1:*"]))

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
        await self.select(self.chance.choice(FOLDERS))

    async def everything(self, folder: str) -> dict[int, tuple[str, frozenset[str]]]:
        """A folder as it is when nobody acts any more."""
        await self.select(folder)
        answer = await self.ask("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return {
            int(item["UID"]): (
                item["BODY[HEADER.FIELDS (SUBJECT)]"].decode().strip(),
                frozenset(map(str, item["FLAGS"])) - {r"\Recent"},
            )
            for item in answer.fetched().values()
        }


def _expanded(text: str) -> list[int]:
    found: list[int] = []
    for piece in text.split(","):
        low, _, high = piece.partition(":")
        found += range(int(low), int(high or low) + 1)
    return found


async def let_walk(clients: list[ImapClient], *, seed: int, steps: int) -> None:
    """All at once; then they agree, and nothing is lost."""
    crowd, chance = Crowd(), Random(seed)
    for name in FOLDERS[1:]:
        await clients[0].ok(f"CREATE {name}")
    walkers = [Walker(client, crowd, Random(chance.random())) for client in clients]
    for walker in walkers:
        await walker.select(chance.choice(FOLDERS))
    await asyncio.gather(*(walker.walk(steps) for walker in walkers))
    for walker in walkers:
        told = walker.folder, list(walker.uids)
        await walker.ask("NOOP")
        if None not in walker.uids:
            now = (await walker.client.ok("UID SEARCH ALL")).numbers()
            assert walker.uids == now, told
    there: set[Place] = set()
    for folder in FOLDERS:
        seen = [await walker.everything(folder) for walker in walkers]
        assert all(each == seen[0] for each in seen[1:])
        for uid, (subject, _) in seen[0].items():
            crowd.place((folder, uid), subject)
            there.add((folder, uid))
    assert there <= crowd.made, "nothing is there that nobody made"
    assert crowd.made - there <= crowd.doomed, "nothing is gone that nobody took away"
