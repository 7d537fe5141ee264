"""What crosses the edge of an operation comes back as it was; the catalogue says what is on both sides."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, get_type_hints

import pytest

from mssante.control import access, bal, doctor, person, queue
from mssante.control.catalogue import OPERATIONS, name_of, request_named
from mssante.control.json_values import decoded, encoded
from mssante.control.operations import OperationRequest, result_type
from mssante.keys.ring import Role
from mssante.model import Address, MailboxKind, MailboxStatus, PersonId, Secret
from mssante.store.records import MessageNumber, RecipientState

CAMILLE = Address.parse("camille.moreau@chu-a.mssante.test")
PERSON = PersonId("camille")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

REQUESTS: list[OperationRequest[Any]] = [
    bal.CreateBal(address=CAMILLE, kind=MailboxKind.PER),
    bal.ListBal(),
    bal.CloseBal(CAMILLE),
    person.CreatePerson(person=PERSON, password=Secret("un-mot-de-passe-bien-long")),
    access.GrantAccess(person=PERSON, address=CAMILLE),
    access.GrantAccess(person=PERSON, address=CAMILLE, role=Role.READ, until=NOON),
    queue.RetryQueue(MessageNumber(3)),
    queue.RetryQueue(),
    doctor.Doctor(verify_data=True),
]
RESULTS: list[Any] = [
    bal.BalListing(mailboxes=()),
    bal.BalDetails(
        address=CAMILLE,
        kind=MailboxKind.PER,
        status=MailboxStatus.ACTIVE,
        used_kib=3,
        quota_kib=None,
        sealed_bytes=4096,
        folders=(bal.BalFolder(folder="inbox", messages=2, unseen=1),),
        people=(bal.BalAccess(person=PERSON, role=Role.FULL, until=None),),
    ),
    queue.QueueListing(
        recipients=(
            queue.QueueEntry(
                message=MessageNumber(1),
                id="00ff",
                size_kib=1,
                since=NOON,
                state=RecipientState.PENDING,
                attempts=0,
                next_attempt=None,
            ),
        )
    ),
    doctor.DoctorReport(
        well=True, findings=(doctor.HealthFinding(doctor.Health.WARNING, "queue", "1 message"),)
    ),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=name_of)
def test_a_request_comes_out_of_json_as_it_went_in(request_: OperationRequest[Any]) -> None:
    written = json.loads(json.dumps(encoded(request_)))
    assert request_named(name_of(request_), written) == request_


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_a_result_comes_out_of_json_as_it_went_in(result: Any) -> None:
    assert decoded(type(result), json.loads(json.dumps(encoded(result)))) == result


def test_json_names_and_orders_values_as_operators_know_them() -> None:
    written = encoded(RESULTS[1])
    assert list(written) == [
        *("address", "kind", "status", "used_kib", "quota_kib", "sealed_bytes", "folders", "people")
    ]
    assert written["people"] == [{"person": "camille", "role": "full", "until": None}]
    assert encoded(RESULTS[3])["findings"] == [{"state": "warn", "subject": "queue", "text": "1 message"}]


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_gives_the_result_that_its_request_promises(name: str) -> None:
    operation = OPERATIONS[name]
    types = get_type_hints(operation.function)
    assert types["request"] is operation.request
    assert types["return"] is result_type(operation.request)
    assert [other for other, each in OPERATIONS.items() if each.request is operation.request] == [name]


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_result_holds_a_secret(name: str) -> None:
    assert Secret not in _types_in(result_type(OPERATIONS[name].request))


def _types_in(kind: Any) -> set[Any]:
    found = {kind}
    for inner in getattr(kind, "__args__", ()):
        found |= _types_in(inner)
    if is_dataclass(kind):
        types = get_type_hints(kind)
        for field in fields(kind):
            found |= _types_in(types[field.name])
    return found


def test_a_password_is_hidden_as_soon_as_it_is_read() -> None:
    arguments = {"person": "camille", "password": "un-mot-de-passe-bien-long"}
    assert "un-mot" not in repr(request_named("person.create", arguments))
