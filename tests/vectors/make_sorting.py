"""Made sorting-v1.json, once: mail as it comes and as it should not, with the order and the threads that
Dovecot gives it, a reading of RFC 5256 that owes us nothing. Run again only for more mail, into a new file:

    python -m tests.vectors.make_sorting tests/vectors/new.json

It needs dovecot-imapd, and a user that may read mail: DOVECOT_USER, or oneself.
"""

from __future__ import annotations

import getpass
import json
import os
import random
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from tempfile import TemporaryDirectory

COUNT = 150
SORTS = (
    "ARRIVAL", "CC", "DATE", "FROM", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO", "REVERSE SUBJECT DATE",
    "FROM REVERSE DATE", "REVERSE CC REVERSE ARRIVAL",
)  # fmt: skip
THREADS = ("REFERENCES", "ORDEREDSUBJECT")
_BEFORE = ("", "Re: ", "RE: ", "Fwd: ", "[liste] ", "Re[2]: ", "re [x] : ", "[a] [b] ", "fw: ", "  ")
_AFTER = ("", " (fwd)", " (FWD) (fwd)", "  ")
_SUBJECTS = (
    "dossier", "Dossier", "bilan", "=?utf-8?q?r=C3=A9sultats?=", "=?iso-8859-1?q?R=C9SULTATS?=", "", "[x]",
    "compte  rendu", "rendu [fin]",
)  # fmt: skip
_NAMES = ("", "Zoe", "=?utf-8?q?=C3=89mile?=", "anne", '"Dr, X"', "Marie Dupont")
_CONFIGURATION = """mail_location = mbox:{folder}/mail:INBOX={folder}/inbox
protocols = imap
ssl = no
log_path = /dev/null
first_valid_uid = 0
first_valid_gid = 0
mail_uid = {user}
mail_gid = {group}
"""


class Writer:
    """Letters by chance, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def letter(self, number: int) -> dict[str, object]:
        chance = self._chance
        zone = timezone(timedelta(hours=chance.choice([0, 1, -5, 10])))
        date = datetime(2025, 1, 1, tzinfo=zone) + timedelta(minutes=chance.randrange(0, 3000, 7))
        received = datetime(2025, 1, 2, tzinfo=UTC) + timedelta(minutes=chance.randrange(3000))
        lines = [f"Subject: {self._subject()}"]
        lines += [f"{name}: {self._address()}" for name in ("From", "To", "Cc") if chance.random() < 0.8]
        lines += [f"Date: {format_datetime(date)}"] * (chance.random() < 0.9)
        own = chance.choice([number] * 6 + [chance.randrange(COUNT), -1])
        if own >= 0:
            lines.append(f'Message-ID: <"m{own}"@b.test>' if own % 7 == 0 else f"Message-ID: <m{own}@b.test>")
        if chance.random() < 0.5:
            lines.append("References: " + " ".join(self._near(number) for _ in range(chance.randrange(5))))
        if chance.random() < 0.4:
            both = f"Message of Monday {self._near(number)} x {self._near(number)}"
            lines.append("In-Reply-To: " + chance.choice([self._near(number), both, "nobody"]))
        return {"received": int(received.timestamp()), "content": "\r\n".join([*lines, "", "texte", ""])}

    def _subject(self) -> str:
        pick = self._chance.choice
        subject = pick(_BEFORE) + pick(_BEFORE) + pick(_SUBJECTS) + pick(_AFTER)
        return f"[Fwd: {subject}]" if self._chance.random() < 0.1 else subject

    def _address(self) -> str:
        name = self._chance.choice(_NAMES)
        address = f"{self._chance.choice('abcXYZ')}{self._chance.randrange(4)}@b.test"
        if self._chance.random() < 0.1:
            return f"equipe{self._chance.randrange(3)}: {address}, q@r.test;"
        return f"{name} <{address}>" if name else address

    def _near(self, number: int) -> str:
        return f"<m{max(0, number - self._chance.randrange(-2, 12))}@b.test>"


def answers(folder: Path, letters: list[dict[str, object]], user: str) -> dict[str, object]:
    """What Dovecot says of them."""
    with (folder / "inbox").open("w") as inbox:
        for letter in letters:
            received = datetime.fromtimestamp(int(str(letter["received"])), UTC)
            content = str(letter["content"]).replace("\r\n", "\n")
            inbox.write(f"From a@b {received:%a %b %d %H:%M:%S %Y}\n{content}\n")
    (folder / "mail").mkdir()
    group = subprocess.run(["id", "-gn", user], capture_output=True, text=True, check=True).stdout.strip()
    configuration = folder / "dovecot.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, user=user, group=group))
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", f"{user}:{group}", str(folder)], check=True)
    commands = ["a SELECT INBOX", *(f"b SORT ({keys}) UTF-8 ALL" for keys in SORTS)]
    commands += [f"c THREAD {algorithm} UTF-8 ALL" for algorithm in THREADS]
    said = subprocess.run(
        ["doveadm", "-c", str(configuration), "exec", "imap"],
        input="\r\n".join([*commands, "d LOGOUT", ""]),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(folder), "USER": user, "TZ": "UTC"},
    ).stdout
    sorts = [list(map(int, line.split())) for line in re.findall(r"(?m)^\* SORT (.*)$", said)]
    threads = [line.strip() for line in re.findall(r"(?m)^\* THREAD (.*)$", said)]
    return {
        "sorts": dict(zip(SORTS, sorts, strict=True)),
        "threads": dict(zip(THREADS, threads, strict=True)),
    }


def main() -> None:
    writer = Writer(seed=5256)
    letters = [writer.letter(number) for number in range(COUNT)]
    version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=True).stdout
    with TemporaryDirectory() as name:
        found = answers(Path(name), letters, os.environ.get("DOVECOT_USER") or getpass.getuser())
    made = {"made_with": f"Dovecot {version.split()[0]}", **found, "letters": letters}
    Path(sys.argv[1]).write_text(json.dumps(made, indent=0) + "\n")


if __name__ == "__main__":
    main()
