"""mbsync (Debian's isync) keeps a Maildir and a mailbox the same, whoever changes what."""

from __future__ import annotations

import asyncio
import mailbox
import shutil
from pathlib import Path

from mssante.observe.events import Crashed
from tests.support.imap_client import ImapClient
from tests.support.imap_house import MARIE, PASSWORD, ImapHouse, letter
from tests.support.smtpd_house import pki

ON_THE_WIRE = "Projet &AOk-&-"  # "Projet é&"; mbsync names folders as the wire does


class Mbsync:
    """One configuration: everything, both ways, created, removed and expunged on both sides."""

    def __init__(self, folder: Path, house: ImapHouse) -> None:
        program = shutil.which("mbsync")
        assert program is not None, "mbsync is missing: run tests/support/services.sh"
        self.program = program
        self.mail = folder / "mail"
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
        process = await asyncio.create_subprocess_exec(
            self.program,
            "-c",
            str(self.file),
            "-a",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, told.decode()

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
    await client.ok(f'CREATE "{ON_THE_WIRE}"')
    await client.ok(f'APPEND "{ON_THE_WIRE}" (\\Flagged) \n', letter(10))
    mbsync = Mbsync(tmp_path, house)

    await mbsync.sync()
    assert set(mbsync.subjects("INBOX")) == {f"s{n}" for n in range(1, 6)}
    assert mbsync.subjects(ON_THE_WIRE) == {"s10": "F"}
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
    for key, message in inbox.items():
        if flag := {"s3": "S", "s4": "T"}.get(message["Subject"]):
            message.add_flag(flag)
            message.set_subdir("cur")
            inbox[key] = message
    written = mailbox.MaildirMessage(letter(7).replace(b"\r\n", b"\n"))
    written.set_flags("DS")
    written.set_subdir("cur")
    inbox.add(written)
    mbsync.folder("Local &AOk-").add(mailbox.MaildirMessage(letter(12).replace(b"\r\n", b"\n")))

    await mbsync.sync()
    expected = {"s1": {r"\Answered"}, "s3": {r"\Seen"}, "s5": set(), "s6": set(), "s7": {r"\Draft", r"\Seen"}}
    assert await subjects(client, "INBOX") == expected
    assert mbsync.subjects("INBOX") == {"s1": "R", "s3": "S", "s5": "", "s6": "", "s7": "DS"}
    assert mbsync.subjects("Nouveau") == {"s11": ""}
    assert set(await subjects(client, "Local &AOk-")) == {"s12"}

    # Nothing left to do: a third run moves nothing.
    before = await client.ok('LIST "" * RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN))')
    await mbsync.sync()
    after = await client.ok('LIST "" * RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN))')
    assert [line.raw for line in after.lines] == [line.raw for line in before.lines]

    # A folder removed there goes here.
    await client.ok("SELECT Nouveau")
    await client.ok("STORE 1:* +FLAGS (\\Deleted)")
    await client.ok("CLOSE")
    await mbsync.sync()
    await client.ok("DELETE Nouveau")
    await mbsync.sync()
    assert not (tmp_path / "mail" / "Nouveau").exists()
    assert house.told(Crashed) == []
