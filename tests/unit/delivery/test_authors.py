"""Whom another operator may name as an author, and how a letter is marked where it may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from mssante.delivery.backends import RelayBackend, Speaker
from mssante.delivery.reception import Trace
from mssante.limits import MIME_HEADER_OCTETS_MAX
from mssante.model import Address, Domain, Envelope, ForeignAuthors, MessageSource, PeerIdentity
from mssante.observe.event import Event, add_sink
from mssante.observe.events import MessageNoted
from mssante.observe.terms import Oddity
from mssante.reasons import Reason, Refused
from mssante.trust.names import DistinguishedName
from mssante.trust.policy import VerifiedPeer
from mssante.trust.space import Entry, TrustSpace
from tests.support.operators.delivery_house import ELSEWHERE, House

A = Address.parse("dr.a@chu-a.test")
THIRD = Domain.parse("labo-c.test")
MARK = b"X-Mssante-Author-Unproved"
OURS = [
    b"From: pdg@chu-a.test",
    b"From: PDG <pdg@CHU-A.test>",
    b"From: dr.b@cabinet-b.test\r\nSender: pdg@chu-a.test",
]
FOREIGN = [
    (b"From: c@labo-c.test", b"labo-c.test"),
    (b"From: x@gmail.example", b"gmail.example"),
    (b"From: x@sub.cabinet-b.test", b"sub.cabinet-b.test"),
    (b"From: dr.b@cabinet-b.test\r\nSender: c@labo-c.test", b"labo-c.test"),
    (b'From: "c@labo-c.test" <dr.b@cabinet-b.test>', b"labo-c.test"),
    (b"From: dr.b@cabinet-b.test (c@labo-c.test)", b"labo-c.test"),
    (b'From: "pdg@chu-a.test via la liste" <liste@cabinet-b.test>', b"chu-a.test"),
    (
        b"From: c@labo-c.test\r\nResent-From: dr.b@cabinet-b.test\r\nResent-Sender: dr.b@cabinet-b.test",
        b"labo-c.test",
    ),
]
PROVED = [
    b"From: dr.b@cabinet-b.test",
    b"From: autre@cabinet-b.test\r\nReply-To: c@labo-c.test",
    b'From: "secretariat@hopital.example" <dr.b@cabinet-b.test>',
    b"From: dr.b@cabinet-b.test\r\nResent-From: c@labo-c.test",
]


class Peer:
    """Speaks for cabinet-b.test."""

    crl_number = 3
    identity = PeerIdentity(dn="CN=b", serial="1", fingerprint="ab")
    space = TrustSpace.from_entries((), source="test")

    def speaks_for(self, domain: Domain | None) -> None:
        if domain is not None and domain != ELSEWHERE:
            raise Refused(Reason.DOMAIN_OF_ANOTHER_OPERATOR)


SPEAKER = Speaker(remote="192.0.2.1", helo="b", tls_version="TLSv1.3", peer=cast(VerifiedPeer, Peer()))


@pytest.fixture
async def house(a_house: House) -> House:
    await a_house.mailbox(str(A))
    name = DistinguishedName.parse("CN=x")
    a_house.space = TrustSpace.from_entries([Entry(each, name) for each in (ELSEWHERE, THIRD)], source="test")
    return a_house


@pytest.fixture
def noted() -> Iterator[list[Oddity]]:
    found: list[Oddity] = []

    def note(event: Event) -> None:
        if isinstance(event, MessageNoted):
            found.append(event.note)

    remove = add_sink(note)
    yield found
    remove()


async def brought(
    house: House,
    content: bytes,
    *,
    foreign: ForeignAuthors = ForeignAuthors.MARK,
    sender: str | None = "dr.b@cabinet-b.test",
    piece: int = 1 << 20,
) -> bytes:
    """What lies in the INBOX of `content`, behind our trace."""
    relay = RelayBackend(house.reception, house.routing, foreign_authors=foreign)
    envelope = Envelope(Address.parse(sender) if sender else None, (A,))
    intake = await relay.begin(SPEAKER, envelope, None)
    try:
        for start in range(0, len(content), piece):
            await intake.write(content[start : start + piece])
    except Refused:
        await intake.abort()
        raise
    await intake.commit()
    kept = (await house.inbox(str(A)))[-1]
    return kept[kept.index(b"+0000\r\n") + 7 :]


def letter(fields: bytes) -> bytes:
    return fields + b"\r\nSubject: x\r\n\r\nFrom: pdg@chu-a.test\r\n"


@pytest.mark.parametrize("foreign", ForeignAuthors)
@pytest.mark.parametrize("fields", OURS)
async def test_an_author_of_ours_is_refused_from_outside(
    house: House, fields: bytes, foreign: ForeignAuthors
) -> None:
    for sender in ("dr.b@cabinet-b.test", None):
        with pytest.raises(Refused) as caught:
            await brought(house, letter(fields), foreign=foreign, sender=sender)
        assert caught.value.reason is Reason.AUTHOR_OURS
    assert await house.inbox(str(A)) == []


@pytest.mark.parametrize(("fields", "domain"), FOREIGN)
async def test_an_author_of_another_operator_is_marked_or_refused(
    house: House, noted: list[Oddity], fields: bytes, domain: bytes
) -> None:
    given = letter(fields)
    assert await brought(house, given) == MARK + b": " + domain + b"\r\n" + given
    assert noted == [Oddity.AUTHOR_UNPROVED]
    with pytest.raises(Refused) as caught:
        await brought(house, given, foreign=ForeignAuthors.REFUSE)
    assert caught.value.reason is Reason.AUTHOR_UNPROVED


@pytest.mark.parametrize("fields", PROVED)
async def test_an_author_of_the_peer_s_own_comes_octet_for_octet(
    house: House, noted: list[Oddity], fields: bytes
) -> None:
    given = letter(fields)
    for foreign in ForeignAuthors:
        assert await brought(house, given, foreign=foreign) == given
    assert await brought(house, given, sender=None) == given  # a receipt
    assert noted == []


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64])
async def test_a_mark_that_was_brought_along_is_taken_out_wherever_the_octets_are_cut(
    house: House, piece: int
) -> None:
    forged = MARK + b": rien\r\n"
    folded = MARK.lower() + b" :\r\n rien,\r\n\ttout\r\n"
    given = forged + b"From: dr.b@cabinet-b.test\r\n" + folded + b"Subject: x\r\n\r\n" + forged
    expected = b"From: dr.b@cabinet-b.test\r\nSubject: x\r\n\r\n" + forged  # in a body it says nothing
    assert await brought(house, given, piece=piece) == expected
    marked = forged + b"From: c@labo-c.test\r\n\r\n"
    assert await brought(house, marked, piece=piece) == MARK + b": labo-c.test\r\nFrom: c@labo-c.test\r\n\r\n"


async def test_a_person_of_ours_brings_no_mark_either(house: House) -> None:
    trace = Trace(source=MessageSource.QUEUE, detail={"queued": "a1"})
    intake = await house.reception.deposit(
        sender=None, recipients=[await house.routing.local(A)], trace=trace
    )
    await intake.write(MARK + b": rien\r\nFrom: dr.a@chu-a.test\r\n\r\nx\r\n")
    await intake.commit()
    assert (await house.inbox(str(A)))[-1].endswith(b"<>\r\nFrom: dr.a@chu-a.test\r\n\r\nx\r\n")


@pytest.mark.parametrize(
    "given",
    [
        b"Subject: x\r\n\r\nFrom: dr.b@cabinet-b.test\r\n",
        b"\r\nFrom: dr.b@cabinet-b.test\r\n",
        b"",
        b"From: dr.b@cabinet-b.test\r\n" + b"X: y\r\n" * 1000 + b"From: pdg@chu-a.test\r\n\r\n",
        b"From: dr.b@cabinet-b.test\r\nFrom: c@labo-c.test",  # a header that never ends
        b"From: <dr.b@cabinet-b.test> <pdg@chu-a.test>\r\n\r\n",
        b"From: dr.b@cabinet-b.test\r\n" + b"X: y\r\n" * (MIME_HEADER_OCTETS_MAX // 6) + b"\r\n",
    ],
    ids=range(7),
)
async def test_a_letter_whose_author_is_in_doubt_is_refused(house: House, given: bytes) -> None:
    with pytest.raises(Refused) as caught:
        await brought(house, given, piece=4096)
    assert caught.value.reason is Reason.HEADER_FROM_MALFORMED
    assert await house.inbox(str(A)) == []


async def test_the_same_marked_letter_again_is_a_duplicate(house: House) -> None:
    given = b"From: c@labo-c.test\r\nMessage-ID: <1@c>\r\n\r\nx\r\n"
    for _ in range(3):
        await brought(house, given)
    assert len(await house.inbox(str(A))) == 1


async def test_a_domain_of_ours_that_the_list_gives_to_the_peer_too_is_no_forgery(house: House) -> None:
    both = frozenset({*house.routing.domains, ELSEWHERE})
    house.routing.domains = both
    given = letter(b"From: dr.b@cabinet-b.test")
    assert await brought(house, given) == given
