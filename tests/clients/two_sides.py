"""What lies on each side of a synchronisation: in a mailbox of ours, in a Maildir beside it."""

from __future__ import annotations

import mailbox
from pathlib import Path

from tests.support.imap.client import ImapClient
from tests.support.imap.house import letter

ACCENTS = "Projet &AOk-&-"  # "Projet é&" as the wire has it
STATUS = 'LIST "" * RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN))'


async def there(client: ImapClient, folder: str) -> dict[str, set[str]]:
    """Subject and flags of each message of a folder of ours, without \\Recent."""
    await client.ok(f'SELECT "{folder}"')
    found = (await client.ok("UID FETCH 1:* (FLAGS ENVELOPE)")).fetched()
    return {
        item["ENVELOPE"][1].decode(): {str(flag) for flag in item["FLAGS"]} - {r"\Recent"}
        for item in found.values()
    }


async def standing(client: ImapClient) -> list[bytes]:
    """Counts, UIDNEXT and UIDVALIDITY of every folder: what a run that has nothing to do leaves alone."""
    return [line.raw for line in (await client.ok(STATUS)).lines]


async def validities(client: ImapClient) -> dict[bytes, str]:
    """UIDVALIDITY of each folder."""
    return {
        line.values[0]: str(line.items()["UIDVALIDITY"]) for line in (await client.ok(STATUS)).named("STATUS")
    }


class Maildirs:
    """The folders of one program, as Maildirs under `mail`."""

    def __init__(self, mail: Path) -> None:
        self.mail = mail

    def folder(self, name: str) -> mailbox.Maildir:
        return mailbox.Maildir(self.mail / name, create=True)

    def subjects(self, name: str) -> dict[str, str]:
        return here(self.folder(name))


def here(maildir: mailbox.Maildir) -> dict[str, str]:
    """Subject and flags of each message of a Maildir."""
    return {str(message["Subject"]): message.get_flags() for message in maildir}


def flag(maildir: mailbox.Maildir, flags: dict[str, str]) -> None:
    """Adds flags, by subject."""
    for key, message in list(maildir.items()):
        if added := flags.get(str(message["Subject"])):
            message.add_flag(added)
            message.set_subdir("cur")
            maildir[key] = message


def write(maildir: mailbox.Maildir, number: int, flags: str = "") -> None:
    """Puts `letter(number)` into a Maildir."""
    written = mailbox.MaildirMessage(letter(number).replace(b"\r\n", b"\n"))
    written.set_flags(flags)
    written.set_subdir("cur")
    maildir.add(written)
