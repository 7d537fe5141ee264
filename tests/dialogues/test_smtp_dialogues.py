"""Plays every `*.smtp` beside this file over real sockets; README.md says how they are written."""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from mssante.smtp.server.wire import SessionLimits
from tests.support.dialogues import Names, Script
from tests.support.smtp.house import House, Talk, client_context, relay, submission

_FILES = sorted(Path(__file__).parent.glob("*.smtp"))
_SPOKEN = re.compile(r"([CSKE]): ?(.*)|! (tls): (.+)")
_SHOWN = str.maketrans({"␍": "\r", "␊": "\n", "␀": "\0"})
_PERSON = "AUTH PLAIN AGRyLmJAb3BlcmF0ZXVyLWIudGVzdABjb3JyZWN0IGhvcnNl"  # dr.b@…, `correct horse`
_SETTINGS = {"port", "state", "certificate", "octets", "tls"}


def steps(lines: list[str]) -> list[tuple[str, list[str]]]:
    """What is done in turn: lines of one kind that follow one another are one step."""
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        spoken = _SPOKEN.fullmatch(line)
        assert spoken is not None, f"not a line of a dialogue: {line}"
        kind, text = (spoken[1], spoken[2]) if spoken[1] else (spoken[3], spoken[4])
        if found and found[-1][0] == kind:
            found[-1][1].append(text)
        else:
            found.append((kind, [text]))
    return found


class Dialogue:
    def __init__(self, text: str) -> None:
        script = Script(text)
        self.settings = script.settings
        assert set(self.settings) <= _SETTINGS, self.settings
        lines = [line for line in script.lines if not line.startswith("! ") or line.startswith("! tls: ")]
        self.steps = steps(lines)
        self.names = Names()

    @property
    def port(self) -> str:
        return self.settings.get("port", "relay")

    def house(self) -> AbstractAsyncContextManager[House]:
        octets = self.settings.get("octets")
        limits = SessionLimits(message_octets_max=int(octets)) if octets else None
        if self.port == "relay":
            return relay(limits=limits)
        return submission(implicit_tls=self.port == "submissions", limits=limits)

    async def play(self, house: House) -> None:
        talk = await self._begun(house)
        for kind, texts in self.steps:
            if kind == "C":
                said = "".join(self.names.filled(text) + "\r\n" for text in texts)
                await talk.send(said.translate(_SHOWN).encode())
            elif kind == "S":
                for text in texts:
                    heard = await self._line(talk)
                    assert self.names.are([text], [heard]), f"expected {text!r}, heard {heard!r}"
            elif kind == "K":
                kept = house.backend.kept[-1].content.decode()
                assert kept == "".join(text + "\r\n" for text in texts)
            elif kind == "E":
                assert await talk.replies_to_the_end() == []
                return
            else:
                await talk.writer.start_tls(_certificate(texts[0]), server_hostname="localhost")
        # What is not written is not said.
        await talk.send(b"QUIT\r\n")
        assert await talk.replies_to_the_end() == ["221 2.0.0 Bye\r\n"]

    async def _begun(self, house: House) -> Talk:
        """The conversation in the state in which the dialogue begins."""
        implicit = self.port == "submissions"
        leaf = self.settings.get("certificate", "operator-a" if self.port == "relay" else "none")
        talk = await Talk.open(house.port, _certificate(leaf) if implicit else None)
        state = self.settings.get("state", "ready")
        assert state in ("greeting", "secured", "ready")
        if state == "greeting":
            return talk
        await talk.reply()
        await talk.ask("EHLO far.test")
        if not implicit:
            await talk.start_tls(_certificate(leaf))
            await talk.ask("EHLO far.test")
        if state == "ready" and self.port != "relay":
            assert (await talk.ask(_PERSON)).startswith("235 ")
        return talk

    async def _line(self, talk: Talk) -> str:
        try:
            octets = await asyncio.wait_for(talk.reader.readline(), 10)
        except ConnectionError:
            octets = b""
        assert octets, "the server has closed the connection"
        assert octets.endswith(b"\r\n")
        return octets.decode("ascii").removesuffix("\r\n")


def _certificate(leaf: str) -> ssl.SSLContext:
    """The client's side of a handshake, with the certificate of a leaf of the test's PKI, or none."""
    return client_context(None if leaf == "none" else leaf)


@pytest.mark.parametrize("file", _FILES, ids=[file.stem for file in _FILES])
async def test_the_dialogue_goes_as_written(file: Path) -> None:
    dialogue = Dialogue(file.read_text(encoding="utf-8"))
    async with dialogue.house() as house:
        await dialogue.play(house)


def test_there_are_dialogues() -> None:
    assert len(_FILES) >= 10
