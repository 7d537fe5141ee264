"""Some hundreds of letters that somebody's software could write, each broken in its own way.

Invariants: made, not collected, so always the same; lines end in CRLF and none holds a bare CR, LF or NUL
(reception refuses those: `FORBIDDEN_OCTETS` has them apart); each has `X-Broken: NAME` where it has a header.
"""

from __future__ import annotations

from collections.abc import Iterator

_FROM = b"From: =?utf-8?q?Dr_Andr=C3=A9?= <andre@operateur-b.test>\r\n"
_PLAIN = b"Content-Type: text/plain; charset=utf-8\r\n"

SUBJECTS: dict[str, bytes] = {
    "base64 that is none": b"=?utf-8?b?!!!?=",
    "base64 cut short": b"=?utf-8?b?w6k?=",
    "base64 of five letters": b"=?utf-8?b?w6lh?= =?utf-8?b?abcde?=",
    "base64 of half a character": b"=?utf-8?b?ww==?=",
    "a character in two words": b"=?utf-8?b?ww==?= =?utf-8?b?qQ==?=",
    "quoted-printable that is none": b"=?utf-8?q?=G9=?=",
    "an unknown charset": b"=?x-nobody-knows?q?=E9t=E9?=",
    "a codec of Python's": b"=?zlib?b?eJwDAAAAAAE=?= =?rot13?q?nop?= =?idna?q?xn--?=",
    "a charset without end": b"=?" + b"x" * 5000,
    "never ended": b"=?utf-8?q?sans fin",
    "without a charset": b"=??q?vide?=",
    "without an encoding": b"=?utf-8??vide?=",
    "another encoding": b"=?utf-8?x?abc?=",
    "one in another": b"=?utf-8?q?=?utf-8?q?dedans?=?=",
    "in quotes": b'"=?utf-8?q?=C3=A9?="',
    "with blanks inside": b"=?utf-8?q?a b c?=",
    "with a language": b"=?utf-8*fr?q?=C3=A9?=",
    "ends of line inside": b"=?utf-8?q?a=0D=0AX-Injected:_1?=",
    "a NUL inside": b"=?utf-8?q?a=00b?=",
    "UTF-16 inside": b"=?utf-16?b?/v8A6QB0AOk=?=",
    "UTF-16 cut": b"=?utf-16le?b?6QB0?=",
    "ISO-2022-JP": b"=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=",
    "UTF-7": b"=?utf-7?q?+AOk-?=",
    "Latin-1 raw": b"\xe9t\xe9",
    "Latin-9 word": b"=?iso-8859-15?q?=A4_=BD?=",
    "Windows-1252 word": b"=?windows-1252?q?=80_=9C?=",
    "UTF-8 raw": "été €".encode(),
    "raw, of no charset": b"\x81\x8d\xff\xfe",
    "overlong UTF-8": b"=?utf-8?q?=C0=80=F8=88=80=80=80?=",
    "surrogates": b"=?utf-8?q?=ED=A0=80?=",
    "turned round": "\u202egnp.tnemucod".encode(),
    "an emoji of many": "\U0001f469\u200d\u2695\ufe0f".encode() * 50,
    "quotes and backslashes": b'"\\" \\\\ " ) ( { } [ ]',
    "a literal's announcement": b"x {10}",
    "a literal's announcement that does not wait": b"{3+}",
    "a response": b") a1 OK FETCH done",
    "control characters": bytes(range(1, 9)) + b"\x0b\x0c" + bytes(range(14, 32)) + b"\x7f",
    "empty": b"",
    "blanks": b"   \t  ",
    "ten thousand octets": b"x" * 10_000,
    "ten thousand words": b"=?utf-8?q?=C3=A9?= " * 2000,
    "folded to nothing": b"a\r\n \r\n\t\r\n b",
}  # fmt: skip

DATES: dict[str, bytes] = {
    "empty": b"",
    "words": b"hier soir",
    "ISO": b"2026-03-01T10:00:00Z",
    "American": b"03/01/2026 10:00 AM",
    "no year": b"Mon, 02 Mar 10:00:00 +0000",
    "two digits": b"02 Mar 26 10:00:00 +0100",
    "year 0": b"01 Jan 0000 00:00:00 +0000",
    "year 1, east": b"01 Jan 0001 00:00:00 +1400",
    "year 9999, west": b"31 Dec 9999 23:59:59 -1200",
    "year 99999": b"01 Jan 99999 00:00:00 +0000",
    "before 1970": b"01 Jan 1901 00:00:00 +0000",
    "the 31st of February": b"31 Feb 2026 10:00:00 +0000",
    "day 0": b"00 Mar 2026 10:00:00 +0000",
    "hour 25": b"02 Mar 2026 25:61:61 +0000",
    "a leap second": b"31 Dec 2016 23:59:60 +0000",
    "zone of 99 hours": b"02 Mar 2026 10:00:00 +9999",
    "zone of one digit": b"02 Mar 2026 10:00:00 +1",
    "an unknown zone": b"02 Mar 2026 10:00:00 XYZ",
    "a zone in words": b"02 Mar 2026 10:00:00 GMT+01:00 (heure)",
    "a month in French": "02 févr. 2026 10:00:00 +0100".encode(),
    "a month that is none": b"02 Foo 2026 10:00:00 +0100",
    "lower case": b"mon, 2 mar 2026 10:00:00 +0100",
    "comments within comments": b"Mon (a (b (c))), 02 Mar 2026 10:00:00 +0000 (d",
    "digits without end": b"9" * 5000,
    "eight bits": b"02 Mar 2026 10:00:00 \xe9",
    "quotes": b'"02 Mar 2026" 10:00:00',
    "negative": b"-2 Mar -2026 10:00:00 -0000",
    "twice": b"02 Mar 2026 10:00:00 +0000\r\nDate: 03 Mar 2026 10:00:00 +0000",
}

ADDRESSES: dict[str, bytes] = {
    "two of them": b"a@x.test, b@y.test",
    "an empty group": b"undisclosed-recipients:;",
    "a group never ended": b"equipe: a@x.test, b@y.test",
    "groups in groups": b"a: b: c@x.test; d@y.test;;",
    "names only": b"Docteur Moreau",
    "an empty angle": b"Docteur <>",
    "an angle never ended": b"Docteur <a@x.test",
    "two angles": b"Docteur <a@x.test> <b@y.test>",
    "two at signs": b"a@b@c.test",
    "no local part": b"@x.test",
    "no domain": b"a@",
    "a route": b"<@x.test,@y.test:a@z.test>",
    "a quoted local part": b'"a b\\"c"@x.test',
    "a quote never ended": b'"Docteur <a@x.test>',
    "a comment never ended": b"a@x.test (Docteur ((",
    "commas alone": b",,,,,,",
    "semicolons alone": b";;;;",
    "colons alone": b"::::",
    "a literal address": b"a@[192.0.2.1], b@[IPv6:::1], c@[",
    "eight bits": b"Andr\xe9 <andr\xe9@x.test>, \xc3\xa9 <b@y.test>",
    "an encoded word as address": b"=?utf-8?q?a=40x=2Etest?=",
    "an encoded word that ends quotes": b'=?utf-8?q?"=29_a1_OK?= <a@x.test>',
    "backslashes": b"\\\\\\ <\\a@x.test>, \\",
    "control characters": b"\x01\x02 <a\x7f@x.test>",
    "a thousand": b", ".join(b"a%d@x.test" % n for n in range(1000)),
    "five thousand": b",".join(b"a%d@x.test" % n for n in range(5000)),
    "a name of ten thousand octets": b'"' + b"n" * 10_000 + b'" <a@x.test>',
    "parentheses": b"(" * 2000 + b")" * 2000,
    "empty": b"",
}
_ADDRESS_FIELDS = (b"From", b"Sender", b"Reply-To", b"To", b"Cc", b"Bcc")

CONTENT_TYPES: dict[str, bytes] = {
    "empty": b"",
    "a word": b"text",
    "a slash": b"/",
    "two slashes": b"text/plain/html",
    "no subtype": b"text/",
    "eight bits": b"t\xe9xt/pl\xe9in",
    "parameters without names": b"text/plain; =x; ;;; charset",
    "a parameter twice": b"text/plain; charset=utf-8; charset=latin1",
    "a charset that is none": b"text/plain; charset=x-none",
    "a charset in quotes never ended": b'text/plain; charset="utf-8',
    "an empty charset": b"text/plain; charset=",
    "comments": b"(a) text (b) / (c) plain (d); (e) charset (f) = (g) utf-8 (h",
    "2231 without its first": b"application/pdf; name*1=b; name*2=c",
    "2231 out of order": b"application/pdf; name*1=b; name*0=a; name*10=z; name*2=c",
    "2231 with a gap": b"application/pdf; name*0=a; name*2=c",
    "2231 with no quotes": b"application/pdf; name*=utf-8%C3%A9",
    "2231 of one quote": b"application/pdf; name*=utf-8'%C3%A9",
    "2231 of broken percents": b"application/pdf; name*=utf-8''%C3%G9%%%",
    "2231 of an unknown charset": b"application/pdf; name*=x-none'fr'%E9",
    "2231 mixed": b"application/pdf; name*0*=utf-8''%C3; name*1=%A9; name=plain",
    "2231 of a huge number": b"application/pdf; name*99999999999999999999=x",
    "2231 of a negative number": b"application/pdf; name*-1*=x",
    "2231 twice": b"application/pdf; name*0=a; name*0=b; name*0*=utf-8''c",
    "encoded words in a name": b'application/pdf; name="=?utf-8?q?r=C3=A9sultat.pdf?="',
    "a name that is a path": b'application/pdf; name="../../etc/passwd"',
    "a name of ten thousand octets": b"application/pdf; name=" + b"n" * 10_000,
    "a thousand parameters": b"text/plain" + b"".join(b"; p%d=v" % n for n in range(1000)),
    "a message": b"message/rfc822",
    "a partial message": b"message/partial; id=x; number=1; total=9",
    "an external body": b"message/external-body; access-type=local-file; name=/etc/passwd",
    "a message that is delivered": b"message/delivery-status",
    "a multipart without boundary": b"multipart/mixed",
    "an empty boundary": b'multipart/mixed; boundary=""',
    "a boundary of blanks": b'multipart/mixed; boundary="   "',
    "a boundary of ten thousand octets": b"multipart/mixed; boundary=" + b"b" * 10_000,
    "a boundary never met": b"multipart/mixed; boundary=nowhere",
    "a boundary with blanks at its end": b'multipart/mixed; boundary="b  "',
    "a boundary of eight bits": b'multipart/mixed; boundary="\xe9\xff"',
    "a boundary by 2231": b"multipart/mixed; boundary*0=a; boundary*1=b",
}

ENCODINGS: dict[str, tuple[bytes, bytes]] = {
    "base64 that is none": (b"base64", b"!!!! pas du tout ????\r\n"),
    "base64 cut": (b"base64", b"w6lhw6lh\r\nw6l"),
    "base64 in odd lines": (b"base64", b"w\r\n6l\r\nhw6\r\nlh\r\n====\r\nw6lh\r\n"),
    "quoted-printable broken": (b"quoted-printable", b"=G9=\r\n=\r\n==C3=A\r\n=C3=A9=\r\n"),
    "an unknown encoding": (b"x-uuencode", b"begin 644 x\r\nend\r\n"),
    "an encoding with blanks": (b"  7bit  ", b"Bonjour\r\n"),
    "an empty encoding": (b"", b"Bonjour\r\n"),
    "an encoding of eight bits": (b"8b\xeft", b"Bonjour\r\n"),
    "8-bit said to be 7": (b"7bit", b"\xe9t\xe9 \xff\r\n"),
    "gzip": (b"gzip", b"\x1f\x8b\x08\r\n"),
}

HEADERS: dict[str, bytes] = {
    "lines without colon": b"no colon here\r\nnor here\r\n",
    "a name of eight bits": b"Suj\xe9t: x\r\n",
    "a name with a blank": b"Sub ject : x\r\n",
    "a blank before the colon": b"Subject  : x\r\n",
    "no name": b": x\r\n",
    "a name of ten thousand octets": b"N" * 10_000 + b": x\r\n",
    "a line of ten thousand octets": b"X-Long: " + b"l" * 10_000 + b"\r\n",
    "a thousand fields": b"".join(b"X-%d: y\r\n" % n for n in range(1000)),
    "a thousand folds": b"X-Folded: a" + b"\r\n b" * 1000 + b"\r\n",
    "a fold that begins it": b" folded from nothing\r\n",
    "mbox's line": b"From andre@x.test Mon Mar  2 10:00:00 2026\r\n",
    "every field twice": b"From: b@y.test\r\nSubject: deux\r\nMessage-ID: <2@y.test>\r\n" * 2,
    "a Message-ID that is none": b"Message-ID: pas d'identifiant\r\n",
    "a Message-ID of eight bits": b"Message-ID: <\xe9@\xe9>\r\n",
    "references without end": b"References: " + b"<a@b.test>\r\n " * 2000 + b"<z@b.test>\r\n",
    "references that are none": b"References: <<<<>>>> < > <a<b>c> <\r\n",
    "references to itself": b"Message-ID: <1@x>\r\nReferences: <1@x>\r\nIn-Reply-To: <1@x>\r\n",
    "a language of quotes": b'Content-Language: "fr, en; ("\r\n',
    "a disposition that is none": b"Content-Disposition: ; filename\r\n",
    "a disposition of eight bits": b'Content-Disposition: attachment; filename="r\xe9sultat.pdf"\r\n',
    "an id, a location, a digest": b"Content-ID: x\r\nContent-Location: (\r\nContent-MD5: =\r\n",
}


def _multipart(inside: bytes, *, kind: bytes = b"mixed") -> bytes:
    return b'Content-Type: multipart/%b; boundary="b"\r\n\r\n' % kind + inside


def _nested(levels: int) -> bytes:
    made = b"Subject: fond\r\n\r\nau fond\r\n"
    for level in range(levels):
        made = b"Subject: %d\r\nContent-Type: message/rfc822\r\n\r\n" % level + made
    return made


BODIES: dict[str, bytes] = {
    "no parts at all": _multipart(b""),
    "ends before it begins": _multipart(b"--b--\r\n"),
    "parts without header": _multipart(b"--b\r\n\r\nun\r\n--b\r\n\r\ndeux\r\n--b--\r\n"),
    "a part cut in its header": _multipart(b"--b\r\nContent-Type: text/pl"),
    "a part without an end": _multipart(b"--b\r\n\r\nsans fin"),
    "text after its end": _multipart(b"--b\r\n\r\nun\r\n--b--\r\n--b\r\n\r\ndeux\r\n--b--\r\n"),
    "delimiters with blanks": _multipart(b"--b  \t\r\n\r\nun\r\n--b-- \r\n"),
    "delimiters that are nearly": _multipart(b"--bb\r\n\r\nun\r\n--b\r\n\r\n -- b\r\n--b---\r\n"),
    "one boundary for two": _multipart(
        b"--b\r\n" + _multipart(b"--b\r\n\r\nun\r\n--b--\r\n") + b"--b--\r\n"
    ),
    "a boundary that begins another": _multipart(
        b"--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n\r\nun\r\n--bb--\r\n--b--\r\n"
    ),
    "a digest": _multipart(b"--b\r\n\r\nSubject: x\r\n\r\ny\r\n--b\r\n\r\n--b--\r\n", kind=b"digest"),
    "fifteen hundred parts": _multipart(b"--b\r\n\r\nx\r\n" * 1500 + b"--b--\r\n"),
    "a message in it, empty": _multipart(b"--b\r\nContent-Type: message/rfc822\r\n\r\n--b--\r\n"),
    "a message in it, encoded": _multipart(
        b"--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n"
        b"\r\nU3ViamVjdDogeA0KDQp5\r\n--b--\r\n"
    ),
    "ten messages nested": _nested(10),
    "three hundred messages nested": _nested(300),
    "sixty multiparts nested": b"".join(
        b"Content-Type: multipart/mixed; boundary=n%d\r\n\r\n--n%d\r\n" % (n, n) for n in range(60)
    )
    + b"\r\nfond\r\n",
    "lines of seventy thousand octets": _PLAIN + b"\r\n" + b"L" * 70_000 + b"\r\n",
    "an empty body": _PLAIN + b"\r\n",
    "no end of line at its end": _PLAIN + b"\r\nfin",
    "no body, nor blank line": _PLAIN,
    "HTML never closed": b"Content-Type: text/html\r\n\r\n<html><p><!-- <script>x<style>" + b"<b>" * 3000,
    "entities that are none": b"Content-Type: text/html\r\n\r\n&#x110000; &#99999999999; &nada; &#;&",
}  # fmt: skip

WHOLE: dict[str, bytes] = {
    "one octet": b"x",
    "an end of line": b"\r\n",
    "a blank line first": b"\r\nSubject: dans le corps\r\n\r\nx\r\n",
    "no header at all": b"Bonjour docteur\r\nvoici\r\n",
    "a header and no more": b"Subject: seul",
    "a colon": b":",
    "ends of line": b"\r\n" * 5000,
    "eight bits all over": bytes(range(128, 256)) * 100 + b"\r\n",
    "control characters all over": bytes(range(1, 10)) + bytes(range(14, 32)),
    "a zip": b"PK\x03\x04" + bytes(range(14, 256)) * 20,
}

# Reception refuses them; a store of long ago, or another writer's, may hold them all the same.
FORBIDDEN_OCTETS: dict[str, bytes] = {
    "NUL in the subject": _FROM + b"Subject: a\0b\r\n\r\nx\r\n",
    "NUL in the body": _FROM + b"\r\nx\0y\r\n",
    "NUL in a parameter": _FROM + b'Content-Type: application/pdf; name="a\0b"\r\n\r\nx\r\n',
    "NUL in a boundary": _FROM + b'Content-Type: multipart/mixed; boundary="b\0"\r\n\r\n--b\0\r\n\r\nx\r\n',
    "bare CR in the subject": _FROM + b"Subject: a\rX-Injected: 1\r\n\r\nx\r\n",
    "bare LF all along": (_FROM + b"Subject: x\r\n\r\ny\r\n").replace(b"\r\n", b"\n"),
    "bare LF in an address": b"From: a\n <b@x.test>\r\n\r\nx\r\n",
    "CR CR LF": _FROM.replace(b"\r\n", b"\r\r\n") + b"\r\r\nx\r\n",
}


def broken_letters() -> dict[str, bytes]:
    """All of them by name."""
    return dict(_letters())


def _letters() -> Iterator[tuple[str, bytes]]:
    def whole(name: str, header: bytes, rest: bytes = _PLAIN + b"\r\nBonjour\r\n") -> tuple[str, bytes]:
        ascii_name = name.encode("ascii")
        return name, _FROM + header + b"X-Broken: %b\r\n" % ascii_name + rest

    for name, subject in SUBJECTS.items():
        yield whole(f"subject: {name}", b"Subject: %b\r\n" % subject)
        yield whole(f"sender's name: {name}", b"Sender: %b <a@x.test>\r\n" % subject)
        yield whole(
            f"file's name: {name}",
            b"",
            b'Content-Type: application/pdf; name="%b"\r\n\r\nx\r\n' % subject.replace(b'"', b"'"),
        )
    for name, date in DATES.items():
        yield whole(f"date: {name}", b"Date: %b\r\n" % date)
    for name, value in ADDRESSES.items():
        for field in _ADDRESS_FIELDS:
            yield whole(f"{field.decode()}: {name}", b"%b: %b\r\n" % (field, value))
    for name, value in CONTENT_TYPES.items():
        yield whole(f"type: {name}", b"", b"Content-Type: %b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n" % value)
        inside = b"--b\r\nContent-Type: %b\r\n\r\nx\r\n--b--\r\n" % value
        yield whole(f"a part's type: {name}", b"", _multipart(inside))
        yield whole(f"disposition: {name}", b"Content-Disposition: %b\r\n" % value)
    for name, (encoding, octets) in ENCODINGS.items():
        rest = b"Content-Transfer-Encoding: %b\r\n" % encoding + _PLAIN + b"\r\n" + octets
        yield whole(f"encoding: {name}", b"", rest)
    for name, header in HEADERS.items():
        yield whole(f"header: {name}", header)
    for name, rest in BODIES.items():
        yield whole(f"body: {name}", b"", rest)
    for name, octets in WHOLE.items():
        yield f"whole: {name}", octets
