"""offlineimap3 (Debian's) keeps a Maildir and a mailbox the same, whoever changes what."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.programs import done
from tests.clients.two_sides import ACCENTS, Maildirs, flag, standing, there, write
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, letter
from tests.support.smtp.house import pki

pytestmark = pytest.mark.client


class Offlineimap(Maildirs):
    def __init__(self, folder: Path, house: ImapHouse) -> None:
        super().__init__(folder / "mail")
        self.file = folder / "offlineimaprc"
        self.file.write_text(
            f"""
[general]
accounts = us
metadata = {folder}/state
ui = quiet

[Account us]
localrepository = near
remoterepository = far
utf8foldernames = yes

[Repository near]
type = Maildir
localfolders = {self.mail}
sync_deletes = yes

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {house.implicit.port}
remoteuser = {MARIE}
remotepass = {PASSWORD}
ssl = yes
sslcacertfile = {pki().anchors}
"""
        )

    async def sync(self) -> str:
        return (await done("offlineimap", "-o", "-c", self.file)).text


async def test_two_sides_come_to_the_same(house: ImapHouse, tmp_path: Path) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, *(letter(n) for n in range(1, 6)))
    client = await house.login()
    await client.ok(f'CREATE "{ACCENTS}"')
    await client.ok(f'APPEND "{ACCENTS}" (\\Flagged) \n', letter(10))
    offlineimap = Offlineimap(tmp_path, house)

    await offlineimap.sync()
    assert set(offlineimap.subjects("INBOX")) == {f"s{n}" for n in range(1, 6)}
    assert offlineimap.subjects("Projet é&") == {"s10": "F"}

    # There: a flag, a deletion, an arrival. Here: the same on other letters, and a folder.
    await client.ok("SELECT INBOX")
    await client.ok("UID STORE 1 +FLAGS (\\Answered)")
    await client.ok("UID STORE 2 +FLAGS (\\Deleted)")
    await client.ok("EXPUNGE")
    await house.deliver(row.id, letter(6))
    inbox = offlineimap.folder("INBOX")
    flag(inbox, {"s3": "S"})
    (key,) = [key for key, message in inbox.items() if message["Subject"] == "s4"]
    inbox.remove(key)
    write(inbox, 7, "S")
    write(offlineimap.folder("Côté &"), 12, "S")

    await offlineimap.sync()
    await offlineimap.sync()
    expected = {"s1": {r"\Answered"}, "s3": {r"\Seen"}, "s5": set(), "s6": set(), "s7": {r"\Seen"}}
    assert await there(client, "INBOX") == expected
    assert offlineimap.subjects("INBOX") == {"s1": "R", "s3": "S", "s5": "", "s6": "", "s7": "S"}
    assert await there(client, "C&APQ-t&AOk- &-") == {"s12": {r"\Seen"}}

    before = await standing(client)
    await offlineimap.sync()
    assert await standing(client) == before
