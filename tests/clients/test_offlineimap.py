"""offlineimap3 (Debian's) keeps a Maildir and a mailbox the same, whoever changes what."""

from __future__ import annotations

import mailbox
from pathlib import Path

import pytest

from tests.clients.programs import done
from tests.support.imap_client import ImapClient
from tests.support.imap_house import MARIE, PASSWORD, ImapHouse, letter
from tests.support.smtpd_house import pki

pytestmark = pytest.mark.client

ACCENTS = "Projet &AOk-&-"  # "Projet é&"


class Offlineimap:
    def __init__(self, folder: Path, house: ImapHouse) -> None:
        self.mail = folder / "mail"
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

    def folder(self, name: str) -> mailbox.Maildir:
        return mailbox.Maildir(self.mail / name, create=True)

    def subjects(self, name: str) -> dict[str, str]:
        """Subject and flags of each message here."""
        return {str(message["Subject"]): message.get_flags() for message in self.folder(name)}


async def subjects(client: ImapClient, folder: str) -> dict[str, set[str]]:
    """Subject and flags of each message there."""
    await client.ok(f'SELECT "{folder}"')
    found = (await client.ok("UID FETCH 1:* (FLAGS ENVELOPE)")).fetched()
    return {
        item["ENVELOPE"][1].decode(): {str(flag) for flag in item["FLAGS"]} - {r"\Recent"}
        for item in found.values()
    }


async def test_two_sides_come_to_the_same(house: ImapHouse, tmp_path: Path) -> None:
    row = await house.store.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, *(letter(n) for n in range(1, 6)))
    client = await house.login()
    await client.ok(f'CREATE "{ACCENTS}"')
    await client.ok(f'APPEND "{ACCENTS}" (\\Flagged) \n', letter(10))
    here = Offlineimap(tmp_path, house)

    await here.sync()
    assert set(here.subjects("INBOX")) == {f"s{n}" for n in range(1, 6)}
    assert here.subjects("Projet é&") == {"s10": "F"}

    # There: a flag, a deletion, an arrival. Here: the same on other letters, and a folder.
    await client.ok("SELECT INBOX")
    await client.ok("UID STORE 1 +FLAGS (\\Answered)")
    await client.ok("UID STORE 2 +FLAGS (\\Deleted)")
    await client.ok("EXPUNGE")
    await house.deliver(row.id, letter(6))
    inbox = here.folder("INBOX")
    for key, message in list(inbox.items()):
        if message["Subject"] == "s3":
            message.add_flag("S")
            message.set_subdir("cur")
            inbox[key] = message
        elif message["Subject"] == "s4":
            inbox.remove(key)
    for name, number in (("INBOX", 7), ("Côté &", 12)):
        written = mailbox.MaildirMessage(letter(number).replace(b"\r\n", b"\n"))
        written.set_flags("S")
        written.set_subdir("cur")
        here.folder(name).add(written)

    await here.sync()
    await here.sync()
    expected = {"s1": {r"\Answered"}, "s3": {r"\Seen"}, "s5": set(), "s6": set(), "s7": {r"\Seen"}}
    assert await subjects(client, "INBOX") == expected
    assert here.subjects("INBOX") == {"s1": "R", "s3": "S", "s5": "", "s6": "", "s7": "S"}
    assert await subjects(client, "C&APQ-t&AOk- &-") == {"s12": {r"\Seen"}}

    before = await client.ok('LIST "" * RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN))')
    await here.sync()
    after = await client.ok('LIST "" * RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN))')
    assert [line.raw for line in after.lines] == [line.raw for line in before.lines]
