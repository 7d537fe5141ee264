"""Python's imaplib, imapclient and aioimaplib at their daily work, each over STARTTLS or TLS as it does."""

from __future__ import annotations

import asyncio
import imaplib
from datetime import UTC, date, datetime

import aioimaplib
import imapclient

from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, letter


async def fill(house: ImapHouse, count: int) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, *(letter(n) for n in range(1, count + 1)))


async def test_imaplib(house: ImapHouse) -> None:
    await fill(house, 3)

    def work() -> None:
        with imaplib.IMAP4("localhost", house.server.port, timeout=10) as client:
            client.starttls(house.tls)
            assert "STARTTLS" not in client.capabilities
            assert client.login(MARIE, PASSWORD)[0] == "OK"
            assert client.select("INBOX") == ("OK", [b"3"])
            assert client.search(None, "SUBJECT", "s2") == ("OK", [b"2"])
            kind, found = client.fetch("1:3", "(RFC822)")
            assert kind == "OK"
            assert [item[1] for item in found if isinstance(item, tuple)] == [letter(n) for n in (1, 2, 3)]
            assert client.uid("FETCH", "3", "(FLAGS)")[1] == [b"3 (UID 3 FLAGS (\\Seen \\Recent))"]
            assert client.store("1", "+FLAGS", "\\Deleted")[0] == "OK"
            assert client.expunge() == ("OK", [b"1"])
            assert client.create("Dossier")[0] == "OK"
            assert client.copy("1", "Dossier")[0] == "OK"
            when = imaplib.Time2Internaldate(datetime(2026, 1, 2, tzinfo=UTC))
            assert client.append("Dossier", "(\\Seen)", when, letter(9))[0] == "OK"
            assert client.status("Dossier", "(MESSAGES)") == ("OK", [b'"Dossier" (MESSAGES 2)'])
            assert client.getquotaroot("INBOX")[0] == "OK"
            assert client.namespace() == ("OK", [b'(("" "/")) NIL NIL'])

    await asyncio.to_thread(work)


async def test_imaplib_authenticate_in_two_steps(house: ImapHouse) -> None:
    def work() -> None:
        with imaplib.IMAP4_SSL("localhost", house.implicit.port, ssl_context=house.tls, timeout=10) as client:
            answer = client.authenticate("PLAIN", lambda challenge: f"\0{MARIE}\0{PASSWORD}".encode())
            assert answer[0] == "OK"
            assert client.select("Sent", readonly=True)[0] == "OK"

    await asyncio.to_thread(work)


async def test_imapclient(house: ImapHouse) -> None:
    await fill(house, 4)

    def work() -> None:
        with imapclient.IMAPClient(
            "localhost", house.implicit.port, ssl=True, ssl_context=house.tls, timeout=10
        ) as client:
            client.login(MARIE, PASSWORD)
            folders = {name: flags for flags, _, name in client.list_folders()}
            assert b"\\Sent" in folders["Sent"]
            assert client.find_special_folder(imapclient.imapclient.DRAFTS) == "Drafts"
            client.create_folder("Projet é&")
            client.subscribe_folder("Projet é&")
            assert "Projet é&" in {name for _, _, name in client.list_sub_folders()}
            assert client.select_folder("INBOX")[b"EXISTS"] == 4
            assert client.search(["FROM", "andré"], charset="UTF-8") == [1, 2, 3, 4]
            assert client.search(["SINCE", date(2020, 1, 1), "NOT", "SEEN"]) == [1, 2, 3, 4]
            found = client.fetch([1, 2], ["ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE", "BODY.PEEK[]"])
            assert found[2][b"ENVELOPE"].subject == b"s2"
            assert found[2][b"BODY[]"] == letter(2)
            client.add_flags([1], [imapclient.imapclient.FLAGGED, "$label1"])
            assert set(client.get_flags([1])[1]) >= {b"\\Flagged", b"$label1"}
            client.move([1, 2], "Projet é&")
            assert client.search() == [3, 4]
            client.delete_messages([3])
            client.uid_expunge([3])
            assert client.search() == [4]
            assert client.folder_status("Projet é&", ["MESSAGES"])[b"MESSAGES"] == 2
            client.append("Drafts", letter(9), flags=[imapclient.imapclient.DRAFT])
            several = [{"msg": letter(10), "flags": [imapclient.imapclient.SEEN]}, {"msg": letter(11)}]
            assert b"APPENDUID" in client.multiappend("Drafts", several)[1][0]
            client.idle()
            assert client.idle_check(timeout=0.05) == []
            client.idle_done()
            client.rename_folder("Projet é&", "Fini")
            client.delete_folder("Fini")
            assert not client.folder_exists("Fini")
            client.logout()

    await asyncio.to_thread(work)


async def test_imapclient_with_what_is_advertised(house: ImapHouse) -> None:
    """QUOTA, SORT, THREAD, CONDSTORE and IDLE, as the library reads their answers."""
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.store.accounts.set_quota(row.id, 1_000_000)
    answer = letter(3, subject="Re: s2").replace(
        b"\r\n\r\n", b"\r\nIn-Reply-To: <2@operateur-b.test>\r\n\r\n", 1
    )
    await house.deliver(row.id, letter(1), letter(2), answer, letter(4, subject="à part"))
    loop = asyncio.get_running_loop()

    def work() -> None:
        with imapclient.IMAPClient(
            "localhost", house.implicit.port, ssl=True, ssl_context=house.tls, timeout=10
        ) as client:
            client.login(MARIE, PASSWORD)
            (quota,) = client.get_quota("INBOX")
            assert (quota.resource, quota.limit) == ("STORAGE", 1_000_000)
            assert client.enable("CONDSTORE") == [b"CONDSTORE"]
            since = client.select_folder("INBOX")[b"HIGHESTMODSEQ"]
            assert client.sort(["SUBJECT"]) == [4, 1, 2, 3]
            assert client.sort("REVERSE SUBJECT", ["SUBJECT", "s"]) == [2, 3, 1]
            assert client.thread("REFERENCES") == ((1,), (2, 3), (4,))
            assert client.thread("ORDEREDSUBJECT", ["NOT", "SUBJECT", "s2"]) == ((1,), (4,))
            client.add_flags([2], ["$label1"])
            changed = client.fetch([1, 2, 3, 4], ["FLAGS"], [f"CHANGEDSINCE {since}"])
            assert list(changed) == [2]
            assert b"$label1" in changed[2][b"FLAGS"]
            client.idle()
            delivered = asyncio.run_coroutine_threadsafe(house.deliver(row.id, letter(5)), loop)
            delivered.result(10)
            assert (5, b"EXISTS") in client.idle_check(timeout=10)
            client.idle_done()

    await asyncio.to_thread(work)


async def test_aioimaplib(house: ImapHouse) -> None:
    await fill(house, 2)
    client = aioimaplib.IMAP4_SSL("localhost", house.implicit.port, ssl_context=house.tls, timeout=10)
    await client.wait_hello_from_server()
    assert (await client.login(MARIE, PASSWORD)).result == "OK"
    assert (await client.select("INBOX")).result == "OK"
    assert (await client.uid_search("ALL")).lines[0] == b"1 2"
    fetched = await client.uid("fetch", "2", "(BODY.PEEK[])")
    assert letter(2) in [bytes(line) for line in fetched.lines]
    assert (await client.append(letter(3), "INBOX", flags="\\Seen")).result == "OK"
    idle = await client.idle_start(timeout=10)
    await fill(house, 1)
    pushed = await client.wait_server_push()
    assert any(line.endswith(b"EXISTS") for line in pushed)
    client.idle_done()
    await asyncio.wait_for(idle, 5)
    assert (await client.uid("move", "1", "Trash")).result == "OK"
    assert (await client.expunge()).result == "OK"
    assert (await client.logout()).result == "OK"
