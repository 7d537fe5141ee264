"""mbsync (Debian's isync) keeps a Maildir and a mailbox the same, whoever changes what."""

from __future__ import annotations

from pathlib import Path

from mssante.observe.events import Crashed
from tests.clients.programs import done
from tests.clients.two_sides import ACCENTS, Maildirs, flag, standing, there, validities, write
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, letter
from tests.support.smtp.house import pki


class Mbsync(Maildirs):
    """One configuration: everything, both ways, created, removed and expunged on both sides."""

    def __init__(self, folder: Path, house: ImapHouse) -> None:
        super().__init__(folder / "mail")
        self.mail.mkdir()
        self.file = folder / "mbsyncrc"
        self.file.write_text(
            f"""
IMAPAccount us
Host localhost
Port {house.server.port}
User {MARIE}
Pass "{PASSWORD}"
SSLType STARTTLS
CertificateFile {pki().anchors}

IMAPStore far
Account us

MaildirStore near
Path {self.mail}/
Inbox {self.mail}/INBOX
SubFolders Verbatim

Channel both
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
CopyArrivalDate yes
SyncState *
"""
        )

    async def sync(self) -> None:
        await done("mbsync", "-c", self.file, "-a")


async def test_two_sides_come_to_the_same(house: ImapHouse, tmp_path: Path) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, *(letter(n) for n in range(1, 6)))
    client = await house.login()
    await client.ok(f'CREATE "{ACCENTS}"')
    await client.ok(f'APPEND "{ACCENTS}" (\\Flagged) \n', letter(10))
    mbsync = Mbsync(tmp_path, house)

    await mbsync.sync()
    assert set(mbsync.subjects("INBOX")) == {f"s{n}" for n in range(1, 6)}
    assert mbsync.subjects(ACCENTS) == {"s10": "F"}
    kept = next(message for message in mbsync.folder("INBOX") if message["Subject"] == "s1")
    assert kept.get_payload(decode=True) == b"Bonjour\r\n".replace(b"\r\n", b"\n")

    # There: a flag, a deletion, an arrival, a new folder. Here: the same, on other messages.
    await client.ok("SELECT INBOX")
    await client.ok("UID STORE 1 +FLAGS (\\Answered)")
    await client.ok("UID STORE 2 +FLAGS (\\Deleted)")
    await client.ok("EXPUNGE")
    await house.deliver(row.id, letter(6))
    await client.ok("CREATE Nouveau")
    await client.ok("APPEND Nouveau \n", letter(11))
    inbox = mbsync.folder("INBOX")
    flag(inbox, {"s3": "S", "s4": "T"})
    write(inbox, 7, "DS")
    write(mbsync.folder("Local &AOk-"), 12)

    await mbsync.sync()
    expected = {"s1": {r"\Answered"}, "s3": {r"\Seen"}, "s5": set(), "s6": set(), "s7": {r"\Draft", r"\Seen"}}
    assert await there(client, "INBOX") == expected
    assert mbsync.subjects("INBOX") == {"s1": "R", "s3": "S", "s5": "", "s6": "", "s7": "DS"}
    assert mbsync.subjects("Nouveau") == {"s11": ""}
    assert set(await there(client, "Local &AOk-")) == {"s12"}

    # Nothing left to do: a third run moves nothing.
    before = await standing(client)
    await mbsync.sync()
    assert await standing(client) == before

    # A folder removed there goes here.
    await client.ok("SELECT Nouveau")
    await client.ok("STORE 1:* +FLAGS (\\Deleted)")
    await client.ok("CLOSE")
    await mbsync.sync()
    await client.ok("DELETE Nouveau")
    await mbsync.sync()
    assert not (tmp_path / "mail" / "Nouveau").exists()
    assert house.told(Crashed) == []


async def test_both_sides_change_the_same_letters(house: ImapHouse, tmp_path: Path) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, *(letter(n) for n in range(1, 6)))
    client = await house.login()
    await client.ok(f'CREATE "{ACCENTS}"')
    mbsync = Mbsync(tmp_path, house)
    await mbsync.sync()
    first = await validities(client)

    # s1: a flag from each side. s2: marked here, deleted there. s3 moves there, s4 moves here.
    await client.ok("SELECT INBOX")
    await client.ok("UID STORE 1 +FLAGS (\\Flagged)")
    await client.ok("UID STORE 2 +FLAGS (\\Deleted)")
    await client.ok("UID EXPUNGE 2")
    await client.ok(f'UID MOVE 3 "{ACCENTS}"')
    inbox, project = mbsync.folder("INBOX"), mbsync.folder(ACCENTS)
    flag(inbox, {"s1": "S", "s2": "S"})
    (key,) = [key for key, message in inbox.items() if message["Subject"] == "s4"]
    project.add(letter(4).replace(b"\r\n", b"\n"))
    inbox.remove(key)

    await mbsync.sync()
    assert await there(client, "INBOX") == {"s1": {r"\Flagged", r"\Seen"}, "s5": set()}
    assert set(await there(client, ACCENTS)) == {"s3", "s4"}
    assert mbsync.subjects("INBOX") == {"s1": "FS", "s5": ""}
    assert set(mbsync.subjects(ACCENTS)) == {"s3", "s4"}
    before = await standing(client)
    await mbsync.sync()
    assert await standing(client) == before
    assert await validities(client) == first
    assert house.told(Crashed) == []
