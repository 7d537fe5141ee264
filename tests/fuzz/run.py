"""`python -m tests.fuzz.run PARSER SECONDS FOLDER`: atheris (libFuzzer, guided by coverage) on one parser.

Ends with 0 after so many seconds, with another code at the first input that breaks the law; that input is
kept in FOLDER, beside what was found worth trying (`corpus`). libFuzzer's figures go to standard error. The
parsers' Python is instrumented; the compiled libraries below them (cryptography, lxml) are not.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mssante"]):
    from tests.fuzz.laws import PARSERS

SECONDS_PER_INPUT_MAX = 2.0
OCTETS_MAX = 4096


def main(name: str, seconds: str, folder: str) -> None:
    """Does not return: libFuzzer ends the process."""
    parser = PARSERS[name]
    corpus = Path(folder) / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(parser.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)

    def once(octets: bytes) -> None:
        begun = time.process_time()
        parser.law(octets)
        assert time.process_time() - begun < SECONDS_PER_INPUT_MAX, "work without bound"

    options = [f"-max_total_time={seconds}", f"-max_len={OCTETS_MAX}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/", str(corpus)], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
