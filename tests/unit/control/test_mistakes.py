"""What an operation is told wrongly is said by the argument's name, and is never a bug of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mssante.app.first import Starter, lay
from mssante.app.parts import open_parts
from mssante.config import load
from mssante.control.catalogue import operate
from mssante.control.operations import Parts
from mssante.reasons import Reason, Refused

DOMAIN = "chu-a.mssante.test"
ADDRESS = f"camille.moreau@{DOMAIN}"
PASSWORD = "un-mot-de-passe-bien-long"


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    path = await lay(
        tmp_path / "operator", Starter(name="CHU A", hostname="mss.operateur-a.test", domains=(DOMAIN,))
    )
    async with open_parts(load(path)) as opened:
        await operate(opened, "bal.create", {"address": ADDRESS, "kind": "ORG"})
        await operate(opened, "person.create", {"person": "camille", "password": PASSWORD})
        yield opened


async def refusal(parts: Parts, name: str, arguments: dict[str, Any]) -> Refused:
    with pytest.raises(Refused) as caught:
        await operate(parts, name, arguments)
    return caught.value


GRANT = {"person": "camille", "address": ADDRESS}


@pytest.mark.parametrize(
    ("name", "arguments", "argument", "takes"),
    [
        ("bal.create", {"address": f"x@{DOMAIN}"}, "kind", "PER, ORG, APP or CAB"),
        ("bal.create", {"address": f"x@{DOMAIN}", "kind": "FOO"}, "kind", "PER, ORG, APP or CAB"),
        ("bal.create", {"address": f"x@{DOMAIN}", "kind": 3}, "kind", "PER, ORG, APP or CAB"),
        ("bal.create", {"kind": "PER"}, "address", "name@domain"),
        ("bal.show", {}, "address", "name@domain"),
        ("bal.show", {"address": None}, "address", "name@domain"),
        ("bal.list", {"colour": "blue"}, "colour", "no argument"),
        ("bal.show", {"address": ADDRESS, "colour": "blue"}, "colour", "address"),
        ("person.create", {"person": "x"}, "password", "a text"),
        ("person.create", {"person": "a b", "password": PASSWORD}, "person", "letters, digits"),
        ("person.create", {"person": "x", "password": "court"}, "password", "12 to 1024 octets"),
        ("person.create", {"person": "x", "password": "\ud800" * 20}, "password", "a text"),
        ("person.password", {"person": "camille", "password": "court"}, "password", "12 to 1024 octets"),
        ("person.password", {"password": PASSWORD}, "person", "letters, digits"),
        ("access.grant", {"address": ADDRESS}, "person", "letters, digits"),
        ("access.grant", {**GRANT, "role": "owner"}, "role", "full or read"),
        ("access.grant", {**GRANT, "until": "demain"}, "until", "YYYY-MM-DD"),
        ("access.grant", {**GRANT, "until": "0001-01-01"}, "until", "YYYY-MM-DD"),
        ("access.grant", {**GRANT, "until": 2099}, "until", "YYYY-MM-DD"),
        ("access.revoke", {"person": "camille"}, "address", "name@domain"),
        ("queue.retry", {"message": "1"}, "message", "a whole number"),
        ("queue.retry", {"message": True}, "message", "a whole number"),
        ("queue.retry", {"message": 2**64}, "message", "a whole number"),
        ("doctor", {"verify_data": "yes"}, "verify_data", "true or false"),
    ],
)
async def test_an_argument_missing_unknown_or_wrong_is_told_by_its_name(
    parts: Parts, name: str, arguments: dict[str, Any], argument: str, takes: str
) -> None:
    refused = await refusal(parts, name, arguments)
    assert refused.reason == "argument_malformed"
    assert refused.detail.startswith(f"{argument} is ")
    assert takes in refused.detail


async def test_a_malformed_address_keeps_its_own_reason(parts: Parts) -> None:
    for name, arguments in (
        ("bal.create", {"address": "x@@y", "kind": "PER"}),
        ("bal.show", {"address": 5}),
        ("access.grant", {**GRANT, "address": "x@-y"}),
    ):
        refused = await refusal(parts, name, arguments)
        assert refused.reason is Reason.ADDRESS_MALFORMED
        assert refused.detail.startswith("address is not ")


async def test_a_mistake_never_repeats_what_was_given(parts: Parts) -> None:
    for arguments in (
        {"person": "camille", "password": "secret"},
        {"person": "secret word", "password": PASSWORD},
        {"person": "camille", "password": ["secret"]},
    ):
        assert "secret" not in str(await refusal(parts, "person.password", arguments))


async def test_what_is_no_operation_is_not_permitted(parts: Parts) -> None:
    assert (await refusal(parts, "no.such", {})).reason is Reason.NOT_PERMITTED


async def test_the_kind_of_a_mailbox_may_be_written_small(parts: Parts) -> None:
    made = await operate(parts, "bal.create", {"address": f"x@{DOMAIN}", "kind": "per"})
    assert made == {"address": f"x@{DOMAIN}", "kind": "PER", "status": "active"}


async def test_the_outbox_is_the_operators_own(parts: Parts) -> None:
    refused = await refusal(parts, "bal.create", {"address": f"x@{DOMAIN}", "kind": "QUEUE"})
    assert refused.reason is Reason.NOT_PERMITTED
