"""Rows I12 and I17: commands broken at random; nothing is raised, no input takes long, cuts do not matter."""

from __future__ import annotations

import random
import time

import pytest

from mssante.imap.grammar.events import Bye
from mssante.imap.grammar.wire import Wire
from tests.unit.imap.spoken import events, logged_in

SEEDS = [
    b"a UID FETCH 1:5,7 (UID FLAGS BODY.PEEK[HEADER.FIELDS (From To)]<0.99> BODY[1.2.MIME])\r\n",
    b"b UID SEARCH RETURN (MIN ALL) CHARSET UTF-8 OR (SUBJECT {3}\r\nabc SINCE 1-Feb-2024) NOT 5:*\r\n",
    b'c LIST (SUBSCRIBED) "" ("*" "a%") RETURN (CHILDREN STATUS (UNSEEN))\r\n',
    b'd APPEND "&AOk-" (\\Seen $x) "01-May-2024 10:00:00 +0200" {5+}\r\nhello\r\n',
    b"e STORE 1:* -FLAGS.SILENT (\\Deleted x)\r\n",
    b"f AUTHENTICATE PLAIN AGEAYg==\r\n",
    b"g AUTHENTICATE PLAIN\r\nAGEAYg==\r\n",
    b'h LOGIN "a\\"b" {2+}\r\nxy\r\n',
    b'i ID ("name" "x" "y" NIL)\r\n',
    b"j IDLE\r\nDONE\r\n",
    b"k STATUS INBOX (MESSAGES UIDNEXT)\r\n",
    b'l CREATE "Sent" (USE (\\Sent))\r\n',
    b"m UID COPY 2,4:9,* Dossier\r\n",
    b"n ENABLE CONDSTORE QRESYNC IMAP4rev2\r\n",
    b"o SELECT INBOX (QRESYNC (67890007 20 1:5 (1,3 2:4)))\r\n",
    b"p FETCH 1:* (FLAGS MODSEQ) (CHANGEDSINCE 12 VANISHED)\r\n",
    b"q UID STORE 1:3 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Seen $x)\r\n",
    b"r SEARCH RETURN (SAVE COUNT) MODSEQ 3\r\n",
    b"s UID FETCH $ (PREVIEW (LAZY) EMAILID SAVEDATE BINARY.PEEK[1]<0.9> BINARY.SIZE[1])\r\n",
    b'u UID SORT RETURN (MIN ALL) (REVERSE DATE SUBJECT) UTF-8 FROM "x"\r\n',
    b"v THREAD REFERENCES UTF-8 SINCE 1-Feb-2020\r\n",
    b"w UID REPLACE 1 INBOX (\\Seen) {4+}\r\na\r\n\r\n",
    b"x GETACL INBOX\r\ny MYRIGHTS INBOX\r\nz LISTRIGHTS INBOX x\r\n",
    b"a1 APPEND INBOX ~{5+}\r\nh\0\0lo\r\n",
    b"a2 UID EXPUNGE 1:4\r\nb2 UID MOVE 5 Trash\r\n",
    b'a3 RENAME INBOX "a/b"\r\nb3 DELETE "a/b"\r\n',
]
TOKENS = [bytes([octet]) for octet in b'()[]{}"\\*%\0\xff \r\n~<>&-+=,']
TOKENS += [b"{3}", b"{2+}\r\n", b"\r\n", b"1:*", b"4294967295", b"NIL", b"NOT ", b"OR "]


def broken(chance: random.Random) -> bytes:
    octets = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(octets) + 1)
        match chance.randrange(3):
            case 0:
                octets[at:at] = chance.choice(TOKENS)
            case 1:
                del octets[at : at + chance.randrange(1, 6)]
            case _:
                other = chance.choice(SEEDS)
                octets[at:] = other[chance.randrange(len(other)) :]
    return bytes(octets)


def run(inputs: int, seed: int) -> None:
    chance = random.Random(seed)
    for at in range(inputs // 4):
        known = at % 2 == 0
        octets = b"".join(broken(chance) for _ in range(4))
        start = time.process_time()
        whole = events(logged_in() if known else Wire(), [octets], refuse=at % 3 == 0)
        assert time.process_time() - start < 0.100, octets
        cut = chance.randrange(len(octets) + 1)
        pieces = [octets[:cut], octets[cut : cut + 3], octets[cut + 3 :]]
        assert events(logged_in() if known else Wire(), pieces, refuse=at % 3 == 0) == whole, octets
        assert not any(isinstance(event, Bye) for event in whole[:-1])


def test_four_thousand_broken_commands() -> None:
    run(4_000, seed=1)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(10))
def test_a_million_broken_commands(seed: int) -> None:
    run(100_000, seed=1000 + seed)
