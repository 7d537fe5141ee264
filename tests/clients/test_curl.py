"""curl (Debian's): list, fetch, append, search, STARTTLS; each run is a session of its own."""

from __future__ import annotations

from pathlib import Path

from tests.clients.programs import Ended, run
from tests.clients.two_sides import ACCENTS
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, letter
from tests.support.smtp.house import pki

ACCENTS_IN_URL = "Projet%20%26AOk-%26-"


async def curl(house: ImapHouse, where: str, *options: str, password: str = PASSWORD) -> Ended:
    """`where` is what stands behind the port in the URL."""
    url = f"imaps://localhost:{house.implicit.port}/{where}"
    always = ("--silent", "--show-error", "--cacert", str(pki().anchors), "--user", f"{MARIE}:{password}")
    return await run("curl", *always, *options, url)


async def fill(house: ImapHouse, count: int) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, *(letter(n) for n in range(1, count + 1)))


async def test_folders_are_listed(house: ImapHouse) -> None:
    client = await house.login()
    await client.ok(f'CREATE "{ACCENTS}"')
    ended = await curl(house, "")
    assert ended.code == 0, ended.text
    assert f'* LIST (\\HasNoChildren) "/" "{ACCENTS}"\r\n' in ended.text
    assert '* LIST (\\HasNoChildren \\Sent) "/" "Sent"\r\n' in ended.text


async def test_a_letter_comes_out_whole_and_in_parts(house: ImapHouse) -> None:
    await fill(house, 3)
    assert (await curl(house, "INBOX;UID=2")).octets == letter(2)
    assert (await curl(house, "INBOX;MAILINDEX=3")).octets == letter(3)
    assert (await curl(house, "INBOX;UID=2;SECTION=TEXT")).octets == b"Bonjour\r\n"
    header = await curl(house, "INBOX;UID=2;SECTION=HEADER.FIELDS%20(SUBJECT)")
    assert header.octets == b"Subject: s2\r\n\r\n"
    assert (await curl(house, "INBOX;UID=9")).code == 78  # "remote file not found": no FETCH came


async def test_a_letter_is_appended_and_found_by_a_search(house: ImapHouse, tmp_path: Path) -> None:
    client = await house.login()
    await client.ok(f'CREATE "{ACCENTS}"')
    file = tmp_path / "letter.eml"
    file.write_bytes(letter(7, body="Glycémie à jeun\r\n"))
    appended = await curl(house, ACCENTS_IN_URL, "--upload-file", str(file))
    assert appended.code == 0, appended.text
    assert (await curl(house, f"{ACCENTS_IN_URL};UID=1")).octets == file.read_bytes()
    assert (await curl(house, f"{ACCENTS_IN_URL}?SUBJECT%20s7")).text == "* SEARCH 1\r\n"
    assert (await curl(house, f"{ACCENTS_IN_URL}?SUBJECT%20s8")).text == "* SEARCH\r\n"


async def test_commands_of_ones_own(house: ImapHouse) -> None:
    await fill(house, 2)
    stored = await curl(house, "INBOX", "--request", "STORE 1 +FLAGS (\\Seen $label1 dossier)")
    assert "* 1 FETCH (FLAGS (\\Seen \\Recent $label1 dossier))" in stored.text
    told = await curl(house, "", "--request", "STATUS INBOX (MESSAGES UNSEEN)")
    assert told.text == '* STATUS "INBOX" (MESSAGES 2 UNSEEN 1)\r\n'
    assert (await curl(house, "", "--request", "NOSUCHCOMMAND")).code != 0


async def test_starttls_is_taken_and_a_password_in_clear_is_not_asked(house: ImapHouse) -> None:
    url = f"imap://localhost:{house.server.port}/"
    options = ("--silent", "--show-error", "--cacert", str(pki().anchors), "--user", f"{MARIE}:{PASSWORD}")
    secured = await run("curl", *options, "--ssl-reqd", url)
    assert secured.code == 0, secured.text
    assert '"INBOX"' in secured.text
    assert (await run("curl", *options, url)).code == 67  # "login denied": LOGINDISABLED before TLS


async def test_a_wrong_password_is_denied(house: ImapHouse) -> None:
    assert (await curl(house, "", password="wrong")).code == 67  # "login denied"
