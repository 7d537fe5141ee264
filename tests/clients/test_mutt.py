"""mutt and neomutt (Debian's), on a terminal of their own, keys typed for them: a day's work in a mailbox."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from tests.clients.programs import Terminal
from tests.clients.two_sides import ACCENTS, there
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, letter
from tests.support.smtp.house import pki

pytestmark = pytest.mark.client

both = pytest.mark.parametrize("program", ["mutt", "neomutt"])


class Mutt:
    """One configuration, kept from run to run with its header cache."""

    def __init__(self, program: str, folder: Path, house: ImapHouse) -> None:
        self.program = program
        self.home = folder
        editor = folder / "editor.sh"
        editor.write_text('#!/bin/sh\necho "Chère Camille, ébauche" >>"$1"\n')
        editor.chmod(0o755)
        self.file = folder / "muttrc"
        self.file.write_text(
            f"""
set folder = "imaps://localhost:{house.implicit.port}/"
set spoolfile = "+INBOX"
set imap_user = "{MARIE}"
set imap_pass = "{PASSWORD}"
set imap_authenticators = "plain"
set imap_idle = yes
set imap_check_subscribed = yes
set imap_condstore = yes
set imap_qresync = yes
set ssl_ca_certificates_file = "{pki().anchors}"
set header_cache = "{folder}/headers"
set postponed = "+Drafts"
set record = "+Sent"
set trash = "+Trash"
set from = "{MARIE}"
set editor = "{editor}"
set confirmappend = no
set confirmcreate = no
set delete = yes
set move = no
set quit = yes
set mail_check = 600
set timeout = 1
set beep = no
"""
        )

    async def open(self, push: str = "") -> Terminal:
        """On the INBOX, with these keys typed first."""
        options = ("-e", f'push "{push}"') if push else ()
        environment = {"HOME": str(self.home)}
        return await Terminal.open(self.program, "-n", "-F", self.file, *options, environment=environment)

    async def keys(self, push: str) -> None:
        ended = await (await self.open(push + "<quit>")).ended()
        assert ended.code == 0, ended.text


@both
async def test_a_day_with_the_keyboard(program: str, house: ImapHouse, tmp_path: Path) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    told = {5: "Glycémie à jeun 5,1 mmol/L\r\n"}
    await house.deliver(row.id, *(letter(n, body=told.get(n, "Bonjour\r\n")) for n in range(1, 7)))
    client = await house.login()
    await client.ok(f'CREATE "{ACCENTS}"')
    mutt = Mutt(program, tmp_path, house)
    # A space completes the folder's name, from what LIST says.
    await mutt.keys(
        "<tag-pattern>~s s1<enter><tag-prefix><flag-message>"
        "<delete-pattern>~s s2<enter>"
        "<untag-pattern>~A<enter><tag-pattern>~s s3<enter><tag-prefix><copy-message>\\Cu=Projet <enter>"
        "<untag-pattern>~A<enter><tag-pattern>~s s4<enter><tag-prefix><save-message>\\Cu=Projet <enter>"
        "<untag-pattern>~A<enter><tag-pattern>=b Glycémie<enter><tag-prefix><set-flag>r"
        "<untag-pattern>~A<enter><sync-mailbox>"
    )
    inbox = await there(client, "INBOX")
    assert set(inbox) == {"s1", "s3", "s5", "s6"}
    assert r"\Flagged" in inbox["s1"]
    assert r"\Answered" in inbox["s5"]  # what the server found by its body
    assert r"\Answered" not in inbox["s6"]
    assert set(await there(client, ACCENTS)) == {"s3", "s4"}
    assert set(await there(client, "Trash")) == {"s2"}


@both
async def test_a_draft_is_kept(program: str, house: ImapHouse, tmp_path: Path) -> None:
    mutt = Mutt(program, tmp_path, house)
    await mutt.keys("<mail>camille@chu-a.test<enter>Brouillon à compléter<enter>P")
    client = await house.selected("Drafts")
    (item,) = (await client.ok("FETCH 1:* (FLAGS BODY.PEEK[])")).fetched().values()
    assert r"\Draft" in item["FLAGS"]
    draft = message_from_bytes(item["BODY[]"], policy=default)
    assert draft["Subject"] == "Brouillon à compléter"
    assert "Chère Camille" in draft.get_content()


@both
async def test_a_new_letter_shows_by_itself(program: str, house: ImapHouse, tmp_path: Path) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, letter(1))
    terminal = await Mutt(program, tmp_path, house).open()
    try:
        await terminal.shown("s1")
        await house.deliver(row.id, letter(9, subject="Urgent-9"))
        await terminal.shown("Urgent-9")
        terminal.typed("q")
    finally:
        ended = await terminal.ended()
    assert ended.code == 0


@both
async def test_what_happened_meanwhile_is_known_at_the_next_start(
    program: str, house: ImapHouse, tmp_path: Path
) -> None:
    """From the header cache of the first run (by QRESYNC where both speak it) to what lies there now."""
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, *(letter(n) for n in range(1, 5)))
    mutt = Mutt(program, tmp_path, house)
    await mutt.keys("")
    client = await house.selected()
    await client.ok("UID STORE 1 +FLAGS (\\Deleted)")
    await client.ok("EXPUNGE")
    await client.ok("UID STORE 3 +FLAGS (\\Flagged)")
    await house.deliver(row.id, letter(5))
    # What mutt takes for flagged, and for new, gets a mark that the server then has.
    await mutt.keys(
        "<tag-pattern>~F<enter><tag-prefix><set-flag>r<untag-pattern>~A<enter>"
        "<tag-pattern>~s s5<enter><tag-prefix><set-flag>!<sync-mailbox>"
    )
    left = await there(client, "INBOX")
    assert set(left) == {"s2", "s3", "s4", "s5"}
    assert {subject for subject, flags in left.items() if r"\Answered" in flags} == {"s3"}
    assert {subject for subject, flags in left.items() if r"\Flagged" in flags} == {"s3", "s5"}
