"""One author, as every mail program reads it; what two programs could read differently is refused."""

from __future__ import annotations

import pytest

from mssante.mime.authors import author_of, sender_of
from mssante.model import Malformed

ME = "dr.b@cabinet-b.test"
ONE = [
    "From: dr.b@cabinet-b.test",
    "from:dr.b@cabinet-b.test",
    "FROM : <dr.b@cabinet-b.test>",
    "From:\r\n <dr.b@cabinet-b.test>\r\n",
    "From: Dr Bernard <dr.b@cabinet-b.test>",
    'From: "Bernard, Jean (cardiologie) <CHU>" <dr.b@cabinet-b.test>',
    "From: BERNARD, Jean <dr.b@cabinet-b.test>",
    "From: =?utf-8?q?Andr=C3=A9_Bernard?= <dr.b@cabinet-b.test> (absent (en mai))",
    "From: dr.b@cabinet-b.test (Dr Bernard)",
    "From: André <dr.b@cabinet-b.test>",
    "From: Dr. B < dr.b@cabinet-b.test >",
    'From: "Dr \\"Bob\\" B dr.b@cabinet-b.test" <dr.b@cabinet-b.test>',
    "From: =?iso-8859-15?q?Andr=E9?= =?windows-1252?b?QmVybmFyZA?= <dr.b@cabinet-b.test>",
    "From: =?utf-8*fr?q?Andr=C3=A9?= \u202fB\u00a0C <dr.b@cabinet-b.test>",
    "X-From: x@y.test\r\nFrom: dr.b@cabinet-b.test\r\nSubject: Fwd\r\n From: z@y.test",
    "From: dr.b@cabinet-b.test\r\nResent-From: x@y.test\r\nReply-To: x@y.test",
]
NOT_ONE = [
    "Subject: rien",
    "From:",
    "From: <>",
    "From: Dr Bernard",
    "From: dr.b@cabinet-b.test\r\nFrom: dr.b@cabinet-b.test",
    "From: dr.b@cabinet-b.test\r\n" + "X: y\r\n" * 1000 + "From: pdg@chu-a.test",
    "From: dr.b@cabinet-b.test\r\nX: " + "y" * 70_000 + "\r\nfrom: pdg@chu-a.test",
    "From: dr.b@cabinet-b.test\r\nFrom\t : pdg@chu-a.test",
    "From: dr.b@cabinet-b.test\r\nFrom\r\n : pdg@chu-a.test",
    "From: dr.b@cabinet-b.test\r\nFrom\x0b: pdg@chu-a.test",
    "From: dr.b@cabinet-b.test\r\n\ufeffFrom: pdg@chu-a.test",
    "From: dr.b@cabinet-b.test\r\nFrom\xa0: pdg@chu-a.test",
    "From: <dr.b@cabinet-b.test> <pdg@chu-a.test>",
    "From: <pdg@chu-a.test> dr.b@cabinet-b.test",
    "From: pdg@chu-a.test <dr.b@cabinet-b.test>",
    "From: dr.b@cabinet-b.test, pdg@chu-a.test",
    "From: dr.b@cabinet-b.test; pdg@chu-a.test",
    "From: dr.b@cabinet-b.test pdg@chu-a.test",
    "From: equipe: dr.b@cabinet-b.test;",
    "From: <@chu-a.test:dr.b@cabinet-b.test>",
    "From: <dr.b@cabinet-b.test",
    "From: dr.b@cabinet-b.test>",
    "From: <<dr.b@cabinet-b.test>>",
    "From: dr.b@(x)cabinet-b.test",
    "From: pdg(@chu-a.test)@cabinet-b.test",
    "From: <dr.b@cabinet-b.test(>pdg@chu-a.test)>",
    "From: dr.b@cabinet-b.test (<pdg@chu-a.test>",
    "From: dr.b@cabinet-b.test )",
    'From: "x" (" <pdg@chu-a.test> (") <dr.b@cabinet-b.test>',
    'From: "pdg@chu-a.test <dr.b@cabinet-b.test>',
    'From: "pdg@chu-a.test"@cabinet-b.test',
    "From: pdg@chu-a.test@cabinet-b.test",
    "From: =?utf-8?b?cGRnQGNodS1hLnRlc3Q=?=@cabinet-b.test",
    "From: <=?utf-8?q?pdg=40chu-a.test=3E=00?=@cabinet-b.test>",
    "From: dr.b@cabinet-b.test\\",
    "From: dr.b@cabinet-b．test",
    "From: dr.b＠cabinet-b.test",
    "From: " + "(" * 5000 + "x" + ")" * 5000 + "dr.b@cabinet-b.test",
    "From: dr.b@cabinet-b.test\r\nFr\0om: pdg@chu-a.test",
    # Encoded words that programs decode each in its own way, or not at all.
    "From: =?utf-7?q?pdg+AEA-chu-a.test?= <dr.b@cabinet-b.test>",
    "From: =?iso-2022-jp?b?cGRnQGNoGyhCdS1hLnRlc3Q=?= <dr.b@cabinet-b.test>",
    "From: =?cp037?b?l4SHfIOIpGCBS6OFoqM=?= <dr.b@cabinet-b.test>",
    "From: =?utf-16?b?AHAAZABnAEAAYwBoAHUALQBhAC4AdABlAHMAdA==?= <dr.b@cabinet-b.test>",
    "From: =?utf-8?b?cGRnQGNo dS1hLnRlc3Q=?= <dr.b@cabinet-b.test>",
    "From: =?utf-8?b?cGRnQGNo.dS1hLnRlc3Q=?= <dr.b@cabinet-b.test>",
    "From: =?utf-8?b?cA==ZGdAY2h1LWEudGVzdA==?= <dr.b@cabinet-b.test>",
    'From: "=""?utf-7?q?pdg+AEA-chu-a.test?=" <dr.b@cabinet-b.test>',
    "From: =?utf-8?b?cGRnQGNodS1hLnRlc3Q= <dr.b@cabinet-b.test>",
    "From: =?utf-8?q?pdg=40ch=00u-a=2Etest?= <dr.b@cabinet-b.test>",
    "From: =?utf-8?q?pdg=40ch=0D=0Au-a=2Etest?= <dr.b@cabinet-b.test>",
    'From: "' + "@ " * 1900 + '" <dr.b@cabinet-b.test>',
    "From: \u202etset.a-uhc@gdp\u202c <dr.b@cabinet-b.test>",
]
CLAIMED = [
    'From: "pdg@chu-a.test" <dr.b@cabinet-b.test>',
    'From: "le PDG <pdg@chu-a.test>" <dr.b@cabinet-b.test>',
    "From: =?utf-8?q?pdg=40chu-a=2Etest?= <dr.b@cabinet-b.test>",
    "From: =?utf-8?b?cGRnQGNo?= =?utf-8?b?dS1hLnRlc3Q=?= <dr.b@cabinet-b.test>",
    "From: =?utf-8?q?pdg=EF=BC=A0chu-a=2Etest?= <dr.b@cabinet-b.test>",
    "From: dr.b@cabinet-b.test (pdg@chu-a.test)",
    "From: dr.b@cabinet-b.test (=?utf-8?q?pdg=40chu-a=2Etest?=)",
    "From: pdg＠chu-a.test <dr.b@cabinet-b.test>",
    r'From: "pdg\@chu-a.test" <dr.b@cabinet-b.test>',
    r'From: "p\dg@chu-a\.test" <dr.b@cabinet-b.test>',
    r"From: dr.b@cabinet-b.test (pdg\@chu-a.test)",
    'From: pdg"@"chu-a.test <dr.b@cabinet-b.test>',
    'From: "pdg@ch""u-a.test" <dr.b@cabinet-b.test>',
    'From: "pdg@ch"(c)"u-a.test" <dr.b@cabinet-b.test>',
    'From: "=?utf-8?q?pdg=40ch?=" "=?utf-8?q?u-a=2Etest?=" <dr.b@cabinet-b.test>',
    'From: "pdg@ch\u200bu-a.test" <dr.b@cabinet-b.test>',
    'From: "pdg@chu\u00ad-a.te\u2060st" <dr.b@cabinet-b.test>',
    'From: "pdg@chu-a\u034f.test" <dr.b@cabinet-b.test>',
    'From: "pdg@ch\x7fu-a.test" <dr.b@cabinet-b.test>',
    'From: "pdg\u200a@\u200achu-a.test" <dr.b@cabinet-b.test>',
    'From: "pdg @ chu-a.test" <dr.b@cabinet-b.test>',
    "From: =?utf-8?q?pdg=40chu-a=E2=80=8B=2Etest?= <dr.b@cabinet-b.test>",
]


def block(text: str) -> bytes:
    return text.encode().rstrip(b"\r\n") + b"\r\n\r\n"


@pytest.mark.parametrize("text", ONE)
def test_one_author_is_read(text: str) -> None:
    author = author_of(block(text))
    assert (author.address.key, author.claims) == (ME, ())


@pytest.mark.parametrize("text", NOT_ONE, ids=range(len(NOT_ONE)))
def test_what_two_programs_could_read_differently_is_no_author(text: str) -> None:
    with pytest.raises(Malformed):
        author_of(block(text))


@pytest.mark.parametrize("text", CLAIMED, ids=range(len(CLAIMED)))
def test_an_address_that_is_shown_as_the_name_is_a_claim(text: str) -> None:
    author = author_of(block(text))
    assert (author.address.key, [each.key for each in author.claims]) == (ME, ["pdg@chu-a.test"])


def test_the_author_s_own_address_as_its_name_claims_nothing() -> None:
    assert author_of(block('From: "DR.B@cabinet-b.test" <dr.b@cabinet-b.test>')).claims == ()


def test_a_sender_is_one_or_none() -> None:
    assert sender_of(block("From: x@y.test")) is None
    sender = sender_of(block("Sender: <dr.b@cabinet-b.test>"))
    assert sender is not None
    assert sender.address.key == ME
    with pytest.raises(Malformed):
        sender_of(block("Sender: a@b.test\r\nSender: a@b.test"))
