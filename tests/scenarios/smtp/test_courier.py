"""The courier against remotes with one fault each (S4, S11, T3, T4, T21, C17, the ANS cases outbound)."""

from __future__ import annotations

import asyncio
import resource
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from mssante import limits
from mssante.delivery.couriers import Consignment
from mssante.delivery.retry import Fate, Outcome
from mssante.model import Address, Domain
from mssante.observe import events
from mssante.observe.event import add_sink
from mssante.reasons import Passing, Reason, Refused
from mssante.smtp.client.wire import Patience
from mssante.trust.space import TrustSpace
from tests.scenarios.smtp.courier_remotes import LENIENT_END, Remote, Script, remote
from tests.scenarios.smtp.courier_world import LETTER, UNLISTED, World, consignment, made
from tests.support.smtp.smuggling import FORBIDDEN, FORBIDDEN_IN_A_ROW


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return made(tmp_path_factory.mktemp("pki"))


@pytest.fixture(autouse=True)
def _events(world: World) -> Iterator[None]:
    world.events.clear()
    forget = add_sink(world.events.append)
    yield
    forget()


async def _sent(
    world: World,
    script: Script,
    *,
    case: str = "operator-b",
    letter: Consignment | None = None,
    domain: Domain | None = None,
    patience: Patience | None = None,
) -> tuple[dict[Address, Outcome], Remote]:
    """One attempt at a remote that shows the certificate `case`."""
    domain = domain or world.domain(case)
    async with remote(script, world.server(case)) as far:
        courier = world.courier(domain, far.port, patience)
        outcomes = await courier.deliver(letter or consignment(domain))
        await courier.aclose()
    return dict(outcomes), far


def _only(outcomes: dict[Address, Outcome]) -> Outcome:
    (outcome,) = outcomes.values()
    return outcome


async def test_a_letter_arrives_octet_for_octet_and_nothing_was_said_in_clear(world: World) -> None:
    outcomes, far = await _sent(world, Script())
    assert _only(outcomes) == Outcome(Fate.DELIVERED, None, "250 2.0.0 kept", dn=world.leaf("operator-b").dn)
    assert far.messages == [
        (b"MAIL FROM:<dr.a@operateur-a.test> SIZE=%d" % len(LETTER), (b"dr.b@operateur-b.test",), LETTER)
    ]
    assert far.in_clear == [b"EHLO mss.operateur-a.test", b"STARTTLS"]
    assert far.commands[0] == b"EHLO mss.operateur-a.test"
    (accepted,) = [event for event in world.events if isinstance(event, events.PeerAccepted)]
    assert accepted.dn == world.leaf("operator-b").dn
    assert accepted.tls_version == "TLSv1.3"


ANS = {
    "valide": None,
    "expire": Reason.CERTIFICATE_EXPIRED,
    "revoque": Reason.CERTIFICATE_REVOKED,
    "non-igc": Reason.CERTIFICATE_UNTRUSTED_ISSUER,
    "no-match": Reason.PEER_NOT_LISTED,
    "cn-diff-dn": Reason.CERTIFICATE_NAME_MISMATCH,
}


@pytest.mark.parametrize("case", ANS)
async def test_the_ans_cases_outbound(world: World, case: str) -> None:
    outcomes, far = await _sent(world, Script(), case=case)
    outcome = _only(outcomes)
    if ANS[case] is None:
        assert outcome.fate is Fate.DELIVERED
        return
    assert (outcome.fate, outcome.reason, outcome.reached) == (Fate.DEFERRED, ANS[case], False)
    assert (far.commands, far.messages) == ([], [])
    assert [e.reason for e in world.events if isinstance(e, events.PeerRefused)] == [ANS[case]]


def _old_tls(world: World) -> ssl.SSLContext:
    context = world.server("operator-b")
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.parametrize(
    "script",
    [
        Script(starttls=False),
        Script(starttls=False, clear_extensions=("8BITMIME", "XSTARTTLS")),
        Script(starttls_reply=b"454 4.7.0 not today\r\n"),
        Script(handshake=False),
    ],
    ids=["sans-tls", "stripped", "declined", "handshake broken"],
)
async def test_without_tls_nothing_is_sent_and_it_waits(world: World, script: Script) -> None:
    outcomes, far = await _sent(world, script)
    outcome = _only(outcomes)
    assert (outcome.fate, outcome.reason, outcome.reached) == (Fate.DEFERRED, Reason.TLS_FAILED, False)
    assert not [line for line in far.in_clear if not line.startswith((b"EHLO", b"STARTTLS"))]
    assert [e.reason for e in world.events if isinstance(e, events.PeerRefused)] == [Reason.TLS_FAILED]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_tls_1_1_is_no_tls(world: World) -> None:
    domain = world.domain("operator-b")
    async with remote(Script(), _old_tls(world)) as far:
        outcomes = await world.courier(domain, far.port).deliver(consignment(domain))
    assert _only(dict(outcomes)).reason is Reason.TLS_FAILED
    assert far.commands == []


@pytest.mark.parametrize(
    "script",
    [
        Script(after_starttls=b"250-remote\r\n250 8BITMIME\r\n"),
        Script(later_in_clear=b"250 ok\r\n"),
        Script(after_starttls=b"2"),
    ],
)
async def test_what_follows_the_220_in_clear_ends_the_connection(world: World, script: Script) -> None:
    outcomes, far = await _sent(world, script)
    assert (_only(outcomes).fate, _only(outcomes).reason) == (Fate.DEFERRED, Reason.TLS_FAILED)
    assert far.commands == []


async def test_what_was_offered_in_clear_is_forgotten(world: World) -> None:
    letter = consignment(world.domain("operator-b"), "é\r\n".encode())
    outcomes, far = await _sent(
        world, Script(clear_extensions=("8BITMIME",), extensions=("SIZE 100",)), letter=letter
    )
    assert (_only(outcomes).fate, _only(outcomes).reason) == (Fate.FAILED, Reason.REMOTE_SEVEN_BIT)
    assert far.messages == []


@pytest.mark.parametrize(
    ("shown", "reason"),
    [("operator-b", Reason.DOMAIN_OF_ANOTHER_OPERATOR), (UNLISTED, Reason.PEER_NOT_LISTED)],
)
async def test_dns_leading_to_somebody_else_brings_no_letter(
    world: World, shown: str, reason: Reason
) -> None:
    outcomes, far = await _sent(world, Script(), case=shown, domain=world.domain("operator-a"))
    assert (_only(outcomes).fate, _only(outcomes).reason) == (Fate.DEFERRED, reason)
    assert (far.commands, far.messages) == ([], [])


@pytest.mark.parametrize("ending", [*FORBIDDEN, *FORBIDDEN_IN_A_ROW])
async def test_a_lenient_remote_never_sees_two_messages(world: World, ending: bytes) -> None:
    smuggled = b"MAIL FROM:<pdg@chu.test>\r\nRCPT TO:<x@y.test>\r\nDATA\r\nforged\r\n.\r\n"
    letter = consignment(world.domain("operator-b"), b"Subject: x\r\n\r\na" + ending + smuggled)
    outcomes, far = await _sent(world, Script(end=LENIENT_END), letter=letter)
    outcome = _only(outcomes)
    assert outcome.fate is Fate.FAILED
    assert outcome.reason in {Reason.BARE_LINE_ENDING, Reason.NUL_OCTET}
    assert far.messages == []


async def test_a_canonical_letter_is_one_message_to_a_lenient_remote(world: World) -> None:
    outcomes, far = await _sent(world, Script(end=LENIENT_END))
    assert _only(outcomes).fate is Fate.DELIVERED
    assert [content for _, _, content in far.messages] == [LETTER]


@pytest.mark.parametrize(
    ("extensions", "content", "fate"),
    [
        (("8BITMIME",), "é\r\n".encode(), Fate.DELIVERED),
        ((), "é\r\n".encode(), Fate.FAILED),
        ((), b"e\r\n", Fate.DELIVERED),
    ],
)
async def test_eight_bit_content_is_never_converted(
    world: World, extensions: tuple[str, ...], content: bytes, fate: Fate
) -> None:
    letter = consignment(world.domain("operator-b"), content)
    outcomes, far = await _sent(world, Script(extensions=extensions), letter=letter)
    assert _only(outcomes).fate is fate
    assert [body for _, _, body in far.messages] == ([content] if fate is Fate.DELIVERED else [])


async def test_each_recipient_has_an_outcome_of_its_own(world: World) -> None:
    names = ("yes", "no", "later", "full", "many")
    domain = world.domain("operator-b")
    rcpt = {
        f"no@{domain}": "550 5.1.1 unknown",
        f"later@{domain}": "450 4.2.1 busy",
        f"full@{domain}": "552 5.2.2 full",
        f"many@{domain}": "552 too many",
    }
    outcomes, far = await _sent(world, Script(rcpt=rcpt), letter=consignment(domain, locals_=names))
    fates = {address.local: outcome.fate for address, outcome in outcomes.items()}
    assert fates == {
        "yes": Fate.DELIVERED,
        "no": Fate.FAILED,
        "later": Fate.DEFERRED,
        "full": Fate.FAILED,
        "many": Fate.DEFERRED,
    }
    assert outcomes[Address("no", domain)].reply == "550 5.1.1 unknown"
    assert far.messages[0][1] == (b"yes@operateur-b.test",)


@pytest.mark.parametrize(
    ("script", "fate", "reason"),
    [
        (Script(final=None), Fate.DEFERRED, Reason.REMOTE_UNREACHABLE),
        (Script(final="451 4.3.0 later"), Fate.DEFERRED, Reason.REMOTE_DEFERRED),
        (Script(final="554 5.6.0 never"), Fate.FAILED, Reason.REMOTE_REFUSED),
        (Script(data="452 4.3.1 full"), Fate.DEFERRED, Reason.REMOTE_DEFERRED),
        (Script(mail="550 5.7.1 not you"), Fate.FAILED, Reason.REMOTE_REFUSED),
        (Script(banner="554 no"), Fate.DEFERRED, Reason.REMOTE_DEFERRED),
        (Script(banner="220 go\r\n250 forged"), Fate.DEFERRED, Reason.REMOTE_UNREACHABLE),
        (Script(data="354 go\r\n250 forged"), Fate.DEFERRED, Reason.REMOTE_UNREACHABLE),
        (Script(mail="250 ok\r\n250 forged"), Fate.DEFERRED, Reason.REMOTE_UNREACHABLE),
        (Script(final_seconds=0.5), Fate.DELIVERED, None),
        (Script(final_seconds=5), Fate.DEFERRED, Reason.REMOTE_UNREACHABLE),
        (Script(extensions=("SIZE 10",)), Fate.FAILED, Reason.MESSAGE_TOO_LARGE),
    ],
)
async def test_what_a_remote_does_decides_what_we_do(
    world: World, script: Script, fate: Fate, reason: Reason | None
) -> None:
    patience = Patience(connection=2, greeting=2, handshake=3, command=3, data=3, block=3, final_dot=1)
    outcomes, _ = await _sent(world, script, patience=patience)
    assert (_only(outcomes).fate, _only(outcomes).reason) == (fate, reason)


@pytest.mark.parametrize(
    ("early", "fate"), [("552 5.3.4 too big", Fate.FAILED), ("250 2.0.0 forged", Fate.DEFERRED)]
)
async def test_an_answer_in_the_middle_of_data_counts_only_as_a_refusal(
    world: World, early: str, fate: Fate
) -> None:
    letter = consignment(world.domain("operator-b"), b"x" * 76 + b"\r\n" + (b"y" * 76 + b"\r\n") * 200_000)
    outcomes, _ = await _sent(world, Script(early=early), letter=letter)
    assert _only(outcomes).fate is fate


async def test_a_silent_remote_is_left_in_time(world: World) -> None:
    patience = Patience(connection=1, greeting=0.2)
    outcomes, _ = await _sent(world, Script(banner=None), patience=patience)
    assert _only(outcomes) == Outcome(Fate.DEFERRED, Reason.REMOTE_UNREACHABLE, reached=False)


async def test_nobody_at_the_door_is_unreachable(world: World) -> None:
    domain = world.domain("operator-b")
    outcomes = await world.courier(domain, 1).deliver(consignment(domain))
    assert _only(dict(outcomes)) == Outcome(Fate.DEFERRED, Reason.REMOTE_UNREACHABLE, reached=False)


async def test_a_connection_serves_again_until_the_list_says_otherwise(world: World) -> None:
    domain = world.domain("operator-b")
    async with remote(Script(), world.server("operator-b")) as far:
        courier = world.courier(domain, far.port)
        for _ in range(3):
            assert _only(dict(await courier.deliver(consignment(domain)))).fate is Fate.DELIVERED
        assert (far.connections, len(far.messages)) == (1, 3)
        listed, world.space = world.space, TrustSpace.from_entries((), source="empty")
        try:
            outcome = _only(dict(await courier.deliver(consignment(domain))))
        finally:
            world.space = listed
        assert (outcome.fate, outcome.reason) == (Fate.DEFERRED, Reason.PEER_NOT_LISTED)
        assert len(far.messages) == 3
        await courier.aclose()


async def test_a_kept_connection_that_spoke_unasked_serves_no_more(world: World) -> None:
    domain = world.domain("operator-b")
    script = Script(after_final="250 2.1.5 forged in advance")
    async with remote(script, world.server("operator-b")) as far:
        courier = world.courier(domain, far.port)
        for _ in range(2):
            assert _only(dict(await courier.deliver(consignment(domain)))).fate is Fate.DELIVERED
            await asyncio.sleep(0.15)
        assert (far.connections, len(far.messages)) == (2, 2)
        await courier.aclose()


async def test_many_recipients_travel_a_hundred_at_a_time(world: World) -> None:
    domain = world.domain("operator-b")
    names = [f"r{n}" for n in range(250)]
    outcomes, far = await _sent(world, Script(), letter=consignment(domain, locals_=names))
    assert {outcome.fate for outcome in outcomes.values()} == {Fate.DELIVERED}
    assert [len(recipients) for _, recipients, _ in far.messages] == [100, 100, 50]
    assert far.connections == 1


async def test_fifty_mebibytes_leave_in_flat_memory(world: World) -> None:
    domain, seen = world.domain("operator-b"), 0
    line = b"." + b"x" * 74 + b"\r\n"
    block = line * 850
    blocks = 50 * limits.MIB // len(block)

    def count(octets: bytes) -> None:
        nonlocal seen
        seen += len(octets)

    async def content() -> AsyncIterator[bytes]:
        for _ in range(blocks):
            yield block

    letter = replace(consignment(domain), size=blocks * len(block), content=content)
    async with remote(Script(extensions=()), world.server("operator-b"), octets=count) as far:
        courier = world.courier(domain, far.port)
        tracemalloc.start()
        outcomes = await courier.deliver(letter)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        await courier.aclose()
    assert _only(dict(outcomes)).fate is Fate.DELIVERED
    assert seen >= blocks * len(block)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak of both ends: {peak / limits.MIB:.1f} MiB, RSS {resident} MiB")
    assert peak < 6 * limits.MIB


async def test_trouble_of_ours_while_sending_leaves_the_remote_without_a_message(world: World) -> None:
    domain = world.domain("operator-b")

    async def broken() -> AsyncIterator[bytes]:
        yield b"Subject: half\r\n"
        raise Refused(Reason.CORRUPTION)

    async def passing() -> AsyncIterator[bytes]:
        yield b"Subject: half\r\n"
        raise Passing(Reason.STORAGE_UNAVAILABLE)

    for content, fate in ((broken, Fate.FAILED), (passing, Fate.DEFERRED)):
        async with remote(Script(), world.server("operator-b")) as far:
            courier = world.courier(domain, far.port)
            outcomes = await courier.deliver(replace(consignment(domain), content=content))
            assert _only(dict(outcomes)).fate is fate
            async with asyncio.timeout(2):
                while far.ended < far.connections:  # cut off without an end of data
                    await asyncio.sleep(0.01)
            assert far.messages == []
