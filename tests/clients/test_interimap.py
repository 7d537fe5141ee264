"""interimap (Debian's) keeps two mailboxes of ours the same with QRESYNC: it asks only what has changed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.clients.programs import Ended, done
from tests.clients.two_sides import ACCENTS, standing, there
from tests.support.imap.client import ImapClient
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, letter
from tests.support.smtp.house import pki

pytestmark = pytest.mark.client
TEAM = "equipe@operateur-a.test"
FOLDERS = ("INBOX", ACCENTS)
FLAGS = (r"\Seen", r"\Flagged", r"\Answered", r"\Draft", "$label1", "dossier")


class Interimap:
    """One configuration: Marie's mailbox and the team's, every folder, both ways."""

    def __init__(self, folder: Path, house: ImapHouse) -> None:
        self.folder = folder
        self.file = folder / "interimap"
        sides = "".join(
            f"""
[{side}]
type = imap
STARTTLS = YES
host = localhost
port = {house.server.port}
username = {user}
password = {PASSWORD}
SSL_CAfile = {pki().anchors}
SSL_hostname =
"""
            for side, user in (("local", MARIE), ("remote", TEAM))
        )
        self.file.write_text(f"database = {folder}/state.db\n{sides}")
        self.file.chmod(0o600)

    async def sync(self) -> Ended:
        home = {"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)}
        return await done("interimap", "--config", self.file, environment=home)


async def test_two_mailboxes_stay_the_same_whatever_changes(house: ImapHouse, tmp_path: Path) -> None:
    team = await house.mailbox(TEAM)
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, *(letter(n) for n in range(1, 21)))
    await house.deliver(team, *(letter(n) for n in range(21, 31)))
    sides = [await house.login(MARIE), await house.login(TEAM)]
    for side in sides:
        assert "QRESYNC" in (await side.ok("CAPABILITY")).lines[0].raw.decode()
    await sides[0].ok(f'CREATE "{ACCENTS}"')
    program, chance, number = Interimap(tmp_path, house), random.Random(1), 100
    await program.sync()

    for _ in range(5):
        for side in sides:
            for folder in FOLDERS:
                number = await _changed(side, folder, chance, number)
        await program.sync()
        for folder in FOLDERS:
            near, far = [await there(side, folder) for side in sides]
            assert near == far
    before = [await standing(side) for side in sides]
    await program.sync()
    assert [await standing(side) for side in sides] == before


async def _changed(side: ImapClient, folder: str, chance: random.Random, number: int) -> int:
    """Some letters more, some fewer, some flags: each change made by one side only. The next number."""
    present = sorted(await there(side, folder), key=lambda subject: int(subject[1:]))
    uids = [int(uid) for uid in (await side.ok("UID SEARCH ALL")).numbers()]
    assert len(uids) == len(present)
    for uid in chance.sample(uids, min(3, len(uids))):
        sign, flag = chance.choice("+-"), chance.choice(FLAGS)
        await side.ok(f"UID STORE {uid} {sign}FLAGS ({flag})")
    for uid in chance.sample(uids, min(2, len(uids))):
        await side.ok(f"UID STORE {uid} +FLAGS (\\Deleted)")
        await side.ok(f"UID EXPUNGE {uid}")
    for _ in range(3):
        await side.ok(f'APPEND "{folder}" ({chance.choice(FLAGS)}) \n', letter(number))
        number += 1
    return number
