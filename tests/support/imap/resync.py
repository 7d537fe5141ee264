"""A client that keeps what it was told, loses its connection anywhere, and comes back by QRESYNC.

It follows RFC 7162 §6 to the letter: HIGHESTMODSEQ moves with tagged answers only, what the server says by
code wins over what it told by MODSEQ, and a number is checked against the UID told with it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.support.imap.client import Answer, ImapClient, Line

FLAGS = (r"\Seen", r"\Answered", r"\Flagged", r"\Deleted", "dossier")


def numbers(text: str) -> list[int]:
    found: list[int] = []
    for piece in text.split(","):
        low, _, high = piece.partition(":")
        found += range(int(low), int(high or low) + 1)
    return found


def shown(flags: object) -> frozenset[str]:
    assert isinstance(flags, list)
    return frozenset(map(str, flags)) - {r"\Recent"}


async def truth(client: ImapClient) -> dict[int, frozenset[str]]:
    """The selected folder as it is now."""
    await client.ok("NOOP")
    fetched = (await client.ok("UID FETCH 1:* (FLAGS)")).fetched()
    return {int(item["UID"]): shown(item["FLAGS"]) for item in fetched.values()}


@dataclass
class Keeper:
    """`cache` outlives the connection; `order` are the UIDs by number, of this one."""

    chance: Random
    folder: str = "INBOX"
    cache: dict[int, frozenset[str]] = field(default_factory=dict)
    validity: str = ""
    highest: int = 0
    order: list[int] = field(default_factory=list)
    heard: int = 0  # the highest MODSEQ since the last tagged answer
    doing: tuple[str, frozenset[str]] | None = None  # a silent STORE under way
    did: list[str] = field(default_factory=list)
    client: ImapClient = field(init=False)

    async def connect(self, client: ImapClient) -> None:
        """Selects, catches up, and learns what is new."""
        self.client, self.order, self.heard, self.doing = client, sorted(self.cache), 0, None
        assert (await client.ok("ENABLE QRESYNC")).one("ENABLED").values == ["QRESYNC"]
        resync = f" (QRESYNC ({self.validity} {self.highest}{self._known()}))" if self.validity else ""
        self.did.append(f"SELECT{resync}")
        answer = await client.ok(f"SELECT {self.folder}{resync}")
        for line in answer.lines:
            if line.name == "VANISHED":
                assert line.values[0] == ["EARLIER"], line.raw
                for uid in numbers(line.values[1]):
                    self.cache.pop(uid, None)
            if line.name == "FETCH":
                self.cache[int(line.items()["UID"])] = shown(line.items()["FLAGS"])
        self.validity = answer.codes()["UIDVALIDITY"]
        self.highest = int(answer.codes()["HIGHESTMODSEQ"])
        self._count(answer.one("EXISTS").number or 0, answer.fetched())
        await self.ready()

    def _count(self, exists: int, fetched: dict[int, dict[str, Any]]) -> None:
        """Numbers the messages of a folder just selected: what was told with a number stands there, and what
        is known stands in order between. A message that came while the client was away may be expunged again
        while SELECT is answered: it is counted, nothing is told of it until VANISHED, and its place is 0."""
        told = [(number, int(item["UID"])) for number, item in sorted(fetched.items())]
        self.order, known = [], sorted(self.cache)
        for number, uid in [*told, (exists + 1, max([*known, 0]) + 1)]:
            self.order += [each for each in known if (self.order or [0])[-1] < each < uid]
            assert len(self.order) < number, (number, uid, self.order, self.did[-5:])
            self.order += [0] * (number - 1 - len(self.order)) + [uid]
        self.order.pop()

    def _known(self) -> str:
        """What is said of the UIDs known: nothing, all there can be, or each; and a sample."""
        if not self.cache:
            return ""
        known = self.chance.choice(
            ["", f" 1:{max(self.cache)}", " " + ",".join(map(str, sorted(self.cache)))]
        )
        if self.chance.random() < 0.3:
            known += f" (1 {min(self.cache)})"
        return known

    def hear(self, lines: list[Line]) -> None:
        for line in lines:
            if line.name == "VANISHED" and line.values[0] == ["EARLIER"]:
                for uid in numbers(line.values[1]):
                    assert uid not in self.order
                    self.cache.pop(uid, None)
            elif line.name == "VANISHED":
                for uid in numbers(line.values[0]):
                    del self.order[self._place(uid)]
                    self.cache.pop(uid, None)
            elif line.name == "EXISTS":
                assert (line.number or 0) >= len(self.order)
                self.order += [0] * ((line.number or 0) - len(self.order))
            elif line.name == "FETCH":
                self._fetched(line)
            else:
                assert line.name != "EXPUNGE"

    def _place(self, uid: int) -> int:
        """Where a message stands that this session knows: by its UID, or as a number only."""
        if uid in self.order:
            return self.order.index(uid)
        above = next((place for place, known in enumerate(self.order) if known > uid), len(self.order))
        assert self.order[above - 1] == 0, f"{uid} is not there: {self.order}"
        return above - 1

    def _fetched(self, line: Line) -> None:
        assert line.number is not None
        items = line.items()
        if "UID" in items:
            uid = int(items["UID"])
            assert self.order[line.number - 1] in (0, uid), (line.raw, self.order, self.did[-5:])
            self.order[line.number - 1] = uid
        uid = self.order[line.number - 1]
        if "MODSEQ" in items:
            self.heard = max(self.heard, int(items["MODSEQ"][0]))
        if "FLAGS" in items:
            self.cache[uid] = shown(items["FLAGS"])
        elif "MODSEQ" in items and self.doing is not None:
            mode, flags = self.doing
            old = self.cache[uid]
            self.cache[uid] = old | flags if mode == "+" else old - flags if mode == "-" else flags

    async def ask(self, command: str, *literals: bytes) -> Answer:
        self.did.append(command)
        answer = await self.client.ask(command, *literals)
        assert answer.status != "BAD", (command, answer, self.order)
        self.hear(answer.lines)
        codes = answer.codes()
        self.highest = (
            int(codes["HIGHESTMODSEQ"]) if "HIGHESTMODSEQ" in codes else max(self.highest, self.heard)
        )
        self.heard, self.doing = 0, None
        return answer

    async def break_in(self) -> None:
        """The connection breaks: between two commands, or somewhere in an answer."""
        if self.chance.random() < 0.5:
            self.did.append("broken off")
            return self.client.close()
        await self.ready()
        command = self.command()
        self.did.append(f"{command}, broken off")
        await self.client.send(f"x {command}\r\n".encode())
        for _ in range(self.chance.randint(0, 6)):
            line = await self.client.line()
            if line.tag == "x":
                break
            self.hear([line])
        self.client.close()
        return None

    # What it does

    def command(self) -> str:
        """A command of any kind, on what it knows."""
        if not self.order:
            return "NOOP"
        places = sorted(
            self.chance.sample(range(len(self.order)), self.chance.randint(1, min(4, len(self.order))))
        )
        by_uid = self.chance.random() < 0.5
        named = ",".join(str(self.order[place] if by_uid else place + 1) for place in places)
        uid = "UID " if by_uid else ""
        flags = frozenset(self.chance.sample(FLAGS, 2))
        mode = self.chance.choice(["+", "-", ""])
        condition = self.chance.choice(["", "", f"(UNCHANGEDSINCE {self.highest}) "])
        store = f"{uid}STORE {named} {condition}{mode}FLAGS"
        text = f" ({' '.join(sorted(flags))})"
        kind = self.chance.choice(
            ["store", "silent", "silent", "fetch", "search", "noop", "expunge", "since"]
        )
        match kind:
            case "store":
                return store + text
            case "silent":
                self.doing = mode, flags
                return f"{store}.SILENT{text}"
            case "fetch":
                return f"{uid}FETCH {named} (UID FLAGS MODSEQ)"
            case "search":
                return f"{uid}SEARCH FLAGGED"
            case "expunge":
                return self.chance.choice(["EXPUNGE", f"UID EXPUNGE {self.order[places[0]]}"])
            case "since":
                return f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {self.highest} VANISHED)"
            case _:
                return "NOOP"

    async def ready(self) -> None:
        """A client asks for what is new before it does anything with it."""
        while 0 in self.order:
            known = self.order[: self.order.index(0)]
            await self.ask(f"UID FETCH {max(known, default=0) + 1}:* (FLAGS)")

    async def step(self) -> None:
        await self.ready()
        await self.ask(self.command())

    async def agrees(self, other: ImapClient) -> bool:
        """Whether it knows what there is; a command broken off may still be under way for a moment."""
        for _ in range(100):
            await self.ask("NOOP")
            await self.ready()
            if self.cache == await truth(other) and self.order == sorted(self.cache):
                return True
            await asyncio.sleep(0.02)
        return False


async def disturb(client: ImapClient, chance: Random) -> None:
    """Somebody else's session does something."""
    there = list(await truth(client))
    some = ",".join(map(str, chance.sample(there, min(len(there), chance.randint(1, 4)))))
    kind = chance.choice(["store", "store", "append", "expunge", "move"])
    if kind == "append" or not there:
        answer = await client.ask("APPEND INBOX (\\Draft) \n", b"Subject: x\r\n\r\nx\r\n")
        assert answer.status == "OK", answer
    elif kind == "store":
        await client.ok(f"UID STORE {some} {chance.choice('+-')}FLAGS.SILENT ({chance.choice(FLAGS)})")
    elif kind == "expunge":
        await client.ok(f"UID STORE {some} +FLAGS.SILENT (\\Deleted)")
        await client.ok(f"UID EXPUNGE {some}")
    else:
        await client.ok(f"UID MOVE {some} Trash")
