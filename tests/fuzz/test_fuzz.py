"""Every parser of what strangers write keeps its law: on seeds broken at random here, and for minutes, guided
by coverage, in the campaign (`FUZZ_SECONDS`, 60 for each by default)."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.laws import PARSERS

ROOT = Path(__file__).parents[2]
TOKENS = [bytes([octet]) for octet in b'\0\r\n \t.:;,@<>()[]{}"\\=+-*%\x30\x82\xff'] + [
    b"\r\n",
    b"\r\n ",
    b"=?",
]
INPUTS = 1000


def broken(chance: random.Random, seeds: list[bytes]) -> bytes:
    octets = bytearray(chance.choice(seeds))
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(octets) + 1)
        match chance.randrange(4):
            case 0:
                octets[at:at] = chance.choice(TOKENS)
            case 1:
                del octets[at : at + chance.randrange(1, 6)]
            case 2 if at < len(octets):
                octets[at] ^= 1 << chance.randrange(8)
            case _:
                other = chance.choice(seeds)
                octets[at:] = other[chance.randrange(len(other) + 1) :]
    return bytes(octets)


@pytest.mark.parametrize("name", PARSERS)
def test_a_few_broken_inputs_keep_the_law(name: str) -> None:
    parser, chance = PARSERS[name], random.Random(name)
    seeds = parser.seeds()
    for octets in [b"", *seeds, *(broken(chance, seeds) for _ in range(INPUTS))]:
        parser.law(octets)


@pytest.mark.campaign
@pytest.mark.parametrize("name", PARSERS)
def test_minutes_guided_by_coverage_keep_the_law(name: str, tmp_path: Path) -> None:
    seconds = int(os.environ.get("FUZZ_SECONDS", "60"))
    done = subprocess.run(
        (sys.executable, "-m", "tests.fuzz.run", name, str(seconds), str(tmp_path)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds + 300,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told[-4000:]
    executed = re.search(r"number_of_executed_units: (\d+)", told)
    assert executed is not None, told[-2000:]
    print(f"{name}: {executed[1]} inputs in {seconds} s")
    assert int(executed[1]) > INPUTS
