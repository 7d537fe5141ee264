"""Runs every `*.imap` beside this file over real sockets; README.md says how they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.dialogues import Names, Script
from tests.support.imap.client import ImapClient, Line
from tests.support.imap.house import MARIE, ImapHouse

_FILES = sorted(Path(__file__).parent.glob("*.imap"))
_SPOKEN = re.compile(r"(2?)([CSNE]): ?(.*)")
_ANYTHING = ["* …"]  # in a strict dialogue: any number of untagged responses


@dataclass
class Turn:
    """One side's go: what is sent, or what is expected until a tagged or `+` line (`end`), if any."""

    who: str
    said: list[str] = field(default_factory=list)
    untagged: list[list[str]] = field(default_factory=list)  # a response's lines, its literal's too
    end: str = ""
    never: list[str] = field(default_factory=list)
    closes: bool = False  # nothing more is said: the connection ends


def turns(lines: list[str]) -> list[Turn]:
    found: list[Turn] = []
    for line in lines:
        spoken = _SPOKEN.fullmatch(line)
        assert spoken is not None, f"not a line of a dialogue: {line}"
        who, kind, text = spoken.groups()
        last = found[-1] if found and found[-1].who == who else None
        if kind == "C":
            if last is None or not last.said or last.closes:
                last = Turn(who)
                found.append(last)
            last.said.append(text)
        elif kind == "E":
            found.append(Turn(who, closes=True))
        elif kind == "N":
            assert last is not None, line
            assert last.end, f"N: stands behind an answer: {line}"
            last.never.append(text)
        else:
            if last is None or last.said or last.end or last.closes:
                last = Turn(who)
                found.append(last)
            _expect(last, text)
    return found


def _expect(turn: Turn, text: str) -> None:
    if text.startswith("* "):
        turn.untagged.append([text])
    elif turn.untagged and turn.untagged[-1][0].endswith("}") and not re.match(r"\S+ (OK|NO|BAD)", text):
        turn.untagged[-1].append(text)
    else:
        turn.end = text


@dataclass(frozen=True)
class Received:
    """A message that is in INBOX before the dialogue begins."""

    content: bytes
    when: datetime


def received(lines: list[str]) -> list[Received]:
    """The messages written in `M:` lines, in order; any other line ends one."""
    when, content, found = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), b"", []
    for line in [*lines, ""]:
        if line.startswith("M:"):
            content += line[2:].removeprefix(" ").encode() + b"\r\n"
            continue
        if content:
            found.append(Received(content, when))
            content = b""
        if line.startswith("! received: "):
            when = datetime.fromisoformat(line.partition(": ")[2])
    return found


class Dialogue:
    def __init__(self, house: ImapHouse, text: str) -> None:
        self.house = house
        script = Script(text)
        self.received = received(script.all)
        self.settings = script.settings
        self.turns = turns([line for line in script.lines if not line.startswith(("! ", "M:"))])
        self.strict = self.settings.get("strict") == "yes"
        self.names = Names()
        self.clients: dict[str, ImapClient] = {}

    async def run(self) -> None:
        row = await self.house.store.accounts.mailbox(MARIE)
        assert row is not None
        await self.house.grant(await self.house.person("marie", "secret"), row.id)
        await self.house.store.accounts.set_quota(row.id, 1_000_000)
        count = int(self.settings.get("messages", "0"))
        if count:
            letters = [f"Subject: s{n}\r\n\r\nbody {n}".encode() for n in range(1, count + 1)]
            await self.house.deliver(row.id, *letters)
        for message in self.received:
            await self.house.deliver(row.id, message.content, when=message.when)
        for turn in self.turns:
            client = self.clients.get(turn.who) or await self._opened(turn.who)
            if turn.said:
                # What a literal does not take ends the command: the last CRLF is always one.
                await client.send("".join(self.names.filled(line) + "\r\n" for line in turn.said).encode())
            elif turn.closes:
                assert await client.to_the_end() == []
            else:
                await self._hear(client, turn)

    async def _opened(self, who: str) -> ImapClient:
        match self.settings.get("state"):
            case "clear":
                client = await self.house.clear()
            case "greeting":
                client = await self.house.connect()
            case _:
                client = await self.house.login("marie", "secret")
        self.clients[who] = client
        return client

    async def _hear(self, client: ImapClient, turn: Turn) -> None:
        wanted = list(turn.untagged)
        heard: list[Line] = []
        while wanted or turn.end:
            line = await client.line()
            heard.append(line)
            if line.tag != "*":
                assert turn.end, f"{line.raw!r} came before {wanted}"
                assert self._is([turn.end], line), f"expected {turn.end!r}, heard {line.raw!r}"
                break
            if self.strict:
                self._take(wanted, line)
                continue
            met = next((each for each in wanted if self._is(each, line)), None)
            if met is not None:
                wanted.remove(met)
            for never in turn.never:
                assert not self._is([never], line), f"{never!r} was said: {line.raw!r}"
        wanted = [each for each in wanted if each != _ANYTHING]
        assert not wanted, f"not said: {wanted}; heard {[line.raw for line in heard]}"

    def _take(self, wanted: list[list[str]], line: Line) -> None:
        """`line` is the next of what is wanted; nothing else may be said."""
        anything = wanted[:1] == [_ANYTHING]
        if wanted[anything:] and self._is(wanted[anything], line):
            del wanted[: anything + 1]
        else:
            assert anything, f"expected {wanted[:1]}, heard {line.raw!r}"

    def _is(self, expected: list[str], line: Line) -> bool:
        """Whether a response is the expected one; then its `<names>` are known."""
        heard = line.raw.decode("utf-8").removesuffix("\r\n").split("\r\n")
        if self.strict and len(heard) != len(expected):
            return False
        return self.names.are(expected, heard)


@pytest.mark.parametrize("file", _FILES, ids=[file.stem for file in _FILES])
async def test_the_dialogue_goes_as_written(file: Path, house: ImapHouse) -> None:
    await Dialogue(house, file.read_text(encoding="utf-8")).run()


def test_there_are_dialogues() -> None:
    assert len(_FILES) >= 10
