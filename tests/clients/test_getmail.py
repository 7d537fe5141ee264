"""getmail6 (Debian's) fetches from a mailbox, each letter once, and deletes what it took if told so."""

from __future__ import annotations

from email import message_from_bytes
from pathlib import Path

import pytest

from tests.clients.programs import done
from tests.clients.two_sides import ACCENTS
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, letter
from tests.support.smtp.house import pki

pytestmark = pytest.mark.client


class Getmail:
    def __init__(self, folder: Path, house: ImapHouse, mailboxes: str, options: str) -> None:
        self.mail = folder / "mail"
        self.mail.mkdir()
        self.folder = folder
        (folder / "getmailrc").write_text(
            f"""
[retriever]
type = SimpleIMAPSSLRetriever
server = localhost
port = {house.implicit.port}
username = {MARIE}
password = {PASSWORD}
ca_certs = {pki().anchors}
mailboxes = {mailboxes}

[destination]
type = MDA_external
path = /bin/sh
arguments = ("-c", "cat > $(mktemp {self.mail}/XXXXXXXX)")
allow_root_commands = true
unixfrom = false

[options]
delivered_to = false
received = false
{options}
"""
        )

    async def fetch(self) -> list[str]:
        """Subjects of what lies here after a run, sorted."""
        await done("getmail", f"--getmaildir={self.folder}", "--rcfile=getmailrc")
        return sorted(message_from_bytes(file.read_bytes())["Subject"] for file in self.mail.iterdir())


async def test_each_letter_is_taken_once(house: ImapHouse, tmp_path: Path) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, *(letter(n) for n in range(1, 4)))
    client = await house.login()
    await client.ok(f'CREATE "{ACCENTS}"')
    await client.ok(f'APPEND "{ACCENTS}" \n', letter(10))
    getmail = Getmail(tmp_path, house, '("INBOX", "Projet é&")', "read_all = false")
    assert await getmail.fetch() == ["s1", "s10", "s2", "s3"]
    await house.deliver(row.id, letter(4))
    assert await getmail.fetch() == ["s1", "s10", "s2", "s3", "s4"]


async def test_what_was_taken_is_deleted_there(house: ImapHouse, tmp_path: Path) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, *(letter(n) for n in range(1, 4)))
    getmail = Getmail(tmp_path, house, '("INBOX",)', "delete = true")
    assert await getmail.fetch() == ["s1", "s2", "s3"]
    client = await house.selected()
    assert (await client.ok("SEARCH ALL")).numbers() == []
