"""Messages come out byte for byte: whatever was appended, whole, in pieces and by parts."""

from __future__ import annotations

import email.message
import email.parser
import email.policy
from email.mime.message import MIMEMessage

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.imap.client import ImapClient
from tests.support.imap.house import ImapHouse

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LONG = settings(QUICK, max_examples=1500)

_octets = st.binary(max_size=80).map(lambda line: line.translate(None, b"\r\n\0"))
_line = st.one_of(
    _octets,
    st.sampled_from(
        [
            b"", b"--b", b"--b--", b"--b ", b"--", b" ", b"\t", b"\xff\xfe", b")", b"{10}", b"a0 OK done",
            b"Subject: =?utf-8?q?=C3=A9?=", b"Subject: \xe9 brut", b"From: a <a@b.test>, (c) d@e.test",
            b"Content-Type: multipart/mixed; boundary=b", b'Content-Type: multipart/x; boundary="c d"',
            b"--c d", b"--c d--", b"Content-Type: message/rfc822", b"Content-Type: text/plain; charset=x",
            b"Content-Type: text/plain; name*0*=utf-8''%C3; name*1=x", b"Content-Transfer-Encoding: base64",
            b"no colon here", b" folded", b"MIME-Version: 1.0", b"x" * 1000, b"\xc3\xa9" * 500,
        ]
    ),
    st.integers(0, 70_000).map(lambda size: b"L" * size),
)  # fmt: skip
messages = st.builds(
    lambda lines, end: b"\r\n".join(lines) + end,
    st.lists(_line, max_size=25),
    st.sampled_from([b"", b"\r\n"]),
).filter(bool)


@pytest.fixture
async def client(house: ImapHouse) -> ImapClient:
    return await house.selected()


async def appended(client: ImapClient, content: bytes) -> int:
    """The UID of a message that was sent in one literal."""
    return int((await client.ok("APPEND INBOX \n", content)).code.split()[2])  # type: ignore[union-attr]  # APPENDUID


async def one(client: ImapClient, uid: int, items: str) -> dict[str, object]:
    (found,) = (await client.ok(f"UID FETCH {uid} ({items})")).fetched().values()
    return found


async def check(client: ImapClient, content: bytes, start: int, count: int) -> None:
    uid = await appended(client, content)
    found = await one(client, uid, "RFC822.SIZE RFC822 BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT]")
    assert found["BODY[]"] == found["RFC822"] == content
    assert int(str(found["RFC822.SIZE"])) == len(content)
    assert bytes(found["BODY[HEADER]"]) + bytes(found["BODY[TEXT]"]) == content  # type: ignore[call-overload]  # octets
    piece = await one(client, uid, f"BODY.PEEK[]<{start}.{count}> BODY.PEEK[TEXT]<{start}.{count}>")
    assert piece[f"BODY[]<{start}>"] == content[start : start + count]
    text = bytes(found["BODY[TEXT]"])  # type: ignore[call-overload]  # octets
    assert piece[f"BODY[TEXT]<{start}>"] == text[start : start + count]
    # Whatever the message, what is said of it keeps to the grammar: the client's parser checks (I15).
    names = '"Subject" FROM "x"'
    await one(
        client, uid, f"ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[1] BODY.PEEK[2] BODY.PEEK[1.MIME]"
        f" BODY.PEEK[HEADER.FIELDS ({names})] BODY.PEEK[HEADER.FIELDS.NOT ({names})]"
    )  # fmt: skip
    split = await one(
        client, uid, "BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT)]"
    )
    chosen, others = [bytes(block) for block in split.values() if isinstance(block, bytes)]
    assert chosen.endswith(b"\r\n")
    assert others.endswith(b"\r\n")


@QUICK
@given(content=messages, start=st.integers(0, 80_000), count=st.integers(1, 80_000))
async def test_what_was_appended_comes_out(
    client: ImapClient, content: bytes, start: int, count: int
) -> None:
    await check(client, content, start, count)


@pytest.mark.campaign
@LONG
@given(content=messages, start=st.integers(0, 80_000), count=st.integers(1, 80_000))
async def test_what_was_appended_comes_out_long(
    client: ImapClient, content: bytes, start: int, count: int
) -> None:
    await check(client, content, start, count)


# Parts, against the stdlib's reading of ordinary messages

_texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\0", exclude_categories=["Cs"]), max_size=60
)


@st.composite
def trees(draw: st.DrawFn, depth: int = 0) -> email.message.Message:
    kind = draw(st.sampled_from(["text", "bytes", "mixed", "message"] if depth < 3 else ["text"]))
    if kind == "text":
        part = email.message.EmailMessage(policy=email.policy.SMTP)
        part.set_content(draw(_texts), cte=draw(st.sampled_from(["8bit", "quoted-printable", "base64"])))
        return part
    if kind == "bytes":
        part = email.message.EmailMessage(policy=email.policy.SMTP)
        part.set_content(draw(st.binary(max_size=200)), "application", "octet-stream", filename="é.bin")
        return part
    if kind == "message":
        inner = draw(trees(depth=depth + 1))
        inner["Subject"] = "interne"
        return MIMEMessage(inner, policy=email.policy.SMTP)
    whole = email.message.Message(policy=email.policy.SMTP)
    whole["Content-Type"] = "multipart/mixed"
    whole.set_payload([])
    whole.set_boundary(f"limite-{depth}-{draw(st.integers(0, 9))}")
    for _ in range(draw(st.integers(1, 3))):
        whole.attach(draw(trees(depth=depth + 1)))
    return whole


def oracle(content: bytes) -> dict[str, bytes]:
    """What BODY[n] is of each leaf, by the stdlib (RFC 3501 §6.4.5 part numbers)."""
    found: dict[str, bytes] = {}

    def enter(part: email.message.Message, path: str) -> None:
        if part.get_content_type() == "message/rfc822":
            inner = part.get_payload(0)
            assert isinstance(inner, email.message.Message)
            message(inner, path)
        elif part.is_multipart():
            for n, child in enumerate(part.get_payload(), 1):
                assert isinstance(child, email.message.Message)
                enter(child, f"{path}.{n}")
        else:
            del part["Content-Transfer-Encoding"]  # so that its octets are given as they are
            octets = part.get_payload(decode=True)
            assert isinstance(octets, bytes)
            found[path] = octets

    def message(part: email.message.Message, path: str) -> None:
        prefix = f"{path}." if path else ""
        if part.get_content_maintype() == "multipart":
            for n, child in enumerate(part.get_payload(), 1):
                assert isinstance(child, email.message.Message)
                enter(child, f"{prefix}{n}")
        else:
            enter(part, f"{prefix}1")

    message(email.parser.BytesParser(policy=email.policy.compat32).parsebytes(content), "")
    return found


@QUICK
@given(tree=trees())
async def test_parts_are_what_the_stdlib_reads(client: ImapClient, tree: email.message.Message) -> None:
    tree["Subject"] = "essai"
    content = tree.as_bytes(policy=email.policy.SMTP)
    parts = oracle(content)
    uid = await appended(client, content)
    found = await one(client, uid, " ".join(f"BODY.PEEK[{path}]" for path in parts))
    assert found == {"UID": str(uid)} | {f"BODY[{path}]": octets for path, octets in parts.items()}


async def test_large_messages_in_every_kind_of_piece(client: ImapClient) -> None:
    """Around the sizes where chunks, held and streamed sections meet."""
    for size in (65_535, 65_536, 65_537, 262_143, 262_144, 262_145, 1_048_577):
        content = (b"Subject: %d\r\n\r\n" % size + bytes(range(32, 127)) * (size // 95 + 1))[:size]
        uid = await appended(client, content)
        assert (await one(client, uid, "BODY.PEEK[]"))["BODY[]"] == content
        pieces = []
        for start in range(0, size + 1, 60_000):
            found = await one(client, uid, f"BODY.PEEK[]<{start}.60000>")
            pieces.append(bytes(found[f"BODY[]<{start}>"]))  # type: ignore[call-overload]  # octets
        assert b"".join(pieces) == content
