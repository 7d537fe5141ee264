"""doctor: checks that say today what would fail tonight.

Invariants: the checks change nothing; every finding says who must do what; a check that cannot be made is a
finding too.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from mssante.control.operations import OperationRequest, Parts, Settings
from mssante.keys.integrity import StoreCheck
from mssante.limits import (
    CERTIFICATE_RENEW_DAYS,
    DISK_FREE_MIN,
    MIB,
    QUEUED_AT_STEP_SECONDS,
    TRUST_AHEAD_SECONDS_MAX,
    WHITE_LIST_WARN_HOURS,
)
from mssante.model import Direction, Malformed
from mssante.reasons import Declined
from mssante.store.disk_reserve import DiskRoom
from mssante.trust.certificate import Certificate, from_pem
from mssante.trust.revocation import CrlState
from mssante.trust.state import own_domains_unlisted

RENEW_WITHIN = timedelta(days=CERTIFICATE_RENEW_DAYS)
AHEAD_MAX = timedelta(seconds=TRUST_AHEAD_SECONDS_MAX)
LIST_AGE_MAX = timedelta(hours=WHITE_LIST_WARN_HOURS)


class Health(StrEnum):
    """The state of something that the doctor looked at, in the words that operators read."""

    OK = "ok"
    WARNING = "warn"
    WRONG = "WRONG"


OK, WARNING, WRONG = Health.OK, Health.WARNING, Health.WRONG


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """One thing looked at."""

    state: Health
    subject: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """`well`: nothing is WRONG."""

    well: bool
    findings: tuple[HealthFinding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor(OperationRequest[DoctorReport]):
    """Asks how everything is; with `verify_data`, every invariant of the stored data too."""

    verify_data: bool = False


async def doctor(parts: Parts, request: Doctor) -> DoctorReport:
    """Looks at everything; with `verify_data`, at every invariant of the stored data."""
    findings = tuple([finding async for finding in _findings(parts, verify=request.verify_data)])
    well = all(finding.state is not WRONG for finding in findings)
    return DoctorReport(well=well, findings=findings)


async def _findings(parts: Parts, *, verify: bool) -> AsyncIterator[HealthFinding]:
    for finding in await asyncio.to_thread(lambda: [*_certificate(parts), *_trust(parts)]):
        yield finding
    yield await _disk(parts)
    for finding in await asyncio.to_thread(lambda: [*_files(parts.settings)]):
        yield finding
    if parts.store.accepts_writes:
        yield HealthFinding(OK, "database", "takes writes")
    else:
        yield HealthFinding(
            WRONG, "database", "takes no writes since a sync failed: check the disk, then restart"
        )
    for mailbox in await parts.store.accounts.unproven():
        yield HealthFinding(WRONG, "mailbox", f"{mailbox.detail}; it takes no letter in")
    for finding in _keys(await parts.broker.check()):
        yield finding
    waiting = await parts.store.queue.messages()
    oldest = min((message.created_at for message in waiting), default=None)
    # Only the hour that a letter was queued in lies in clear: this is said some minutes late, never early.
    late = 4 * 3600 + QUEUED_AT_STEP_SECONDS
    if oldest is not None and parts.clock.now().timestamp() - oldest > late:
        yield HealthFinding(
            WARNING, "queue", f"{len(waiting)} message(s), the oldest over 4 hours: mssante queue list"
        )
    else:
        yield HealthFinding(OK, "queue", f"{len(waiting)} message(s) on their way")
    if verify:
        found = await parts.store.verify(audit=parts.broker.audit_key())
        for each in found:
            place = f"mailbox {each.mailbox}" + (f" message {each.message}" if each.message else "")
            yield HealthFinding(WRONG, f"invariant {each.invariant}", f"{each.problem} ({place})")
        if not found:
            yield HealthFinding(OK, "data", "every invariant holds")


def _keys(found: StoreCheck) -> Iterator[HealthFinding]:
    if found.trouble:
        yield HealthFinding(WRONG, "key store", f"it opens no mailbox: {found.trouble}")
    for row in found.strange:
        text = f"the row of {row.person} in {row.table} was not written by our key broker, and opens nothing"
        yield HealthFinding(WRONG, "key store", f"{text}; 'mssante keys accept' removes it")
    if found.strange_count > len(found.strange):
        more = found.strange_count - len(found.strange)
        yield HealthFinding(WRONG, "key store", f"and {more} more such rows")
    if not found.trouble and not found.strange:
        yield HealthFinding(OK, "key store", f"its rows are those we wrote (change {found.counter})")


def _certificate(parts: Parts) -> Iterator[HealthFinding]:
    settings, now = parts.settings, parts.clock.now()
    try:
        ours = Certificate.read(from_pem(settings.certificate.read_bytes())[0])
    except (OSError, Malformed) as error:
        yield HealthFinding(WRONG, "certificate", f"{settings.certificate} cannot be read: {_why(error)}")
        return
    left = ours.not_after - now
    if left < timedelta(0):
        yield HealthFinding(
            WRONG, "certificate", f"expired on {ours.not_after:%Y-%m-%d}: renew it with IGC-Santé now"
        )
    elif left < RENEW_WITHIN:
        yield HealthFinding(
            WARNING, "certificate", f"expires on {ours.not_after:%Y-%m-%d}: renew it with IGC-Santé"
        )
    else:
        yield HealthFinding(OK, "certificate", f"{ours.name}, until {ours.not_after:%Y-%m-%d}")
    if parts.trust.trouble:
        return
    for direction in Direction:
        try:
            parts.trust.verify([ours.der], direction)
        except Declined as declined:
            yield HealthFinding(WRONG, f"certificate ({direction})", f"others will refuse it: {declined}")
    missing = own_domains_unlisted(parts.trust.space, ours.name, settings.domains)
    for domain in missing:
        yield HealthFinding(
            WRONG, "our domain", f"{domain} is not listed with our name {ours.name}: ask the ANS to list it"
        )


def _trust(parts: Parts) -> Iterator[HealthFinding]:
    yield from _sources(parts)
    if parts.trust.trouble:
        yield HealthFinding(WRONG, "trust", f"nobody can be trusted: {parts.trust.trouble}")
        return
    space, now = parts.trust.space, parts.clock.now()
    yield HealthFinding(
        OK, "trust", f"{len(space.names_by_domain)} domains, {len(space.names)} names ({space.source})"
    )
    age = space.age(now)
    if parts.trust.too_old:
        hours = parts.settings.space_hours_max
        yield HealthFinding(
            WRONG, "liste blanche", f"over {hours} hours old: nobody is trusted; fetch a new one"
        )
    elif age is not None and age > LIST_AGE_MAX:
        yield HealthFinding(WARNING, "liste blanche", f"{age.days} days old: fetch a new one")
    if age is not None and age < -AHEAD_MAX:
        yield HealthFinding(WRONG, "clock", "the list was made in the future: is the machine's clock right?")
    for issuer in parts.trust.anchors.issuers:
        yield _crl(parts, issuer)


def _sources(parts: Parts) -> Iterator[HealthFinding]:
    """What was accepted of each source, what of it is held back, and whether a restart remembers it."""
    trust = parts.trust
    for name in sorted(trust.floors.sources.keys() | trust.held.keys()):
        kept, held = trust.floors.sources.get(name), trust.held.get(name)
        dated = f" of {kept.floor.dated:%Y-%m-%d %H:%M}" if kept and kept.floor.dated else ""
        serves = f"{kept.floor.pairs} pairs{dated}, {kept.floor.digest}" if kept else "nothing"
        if held is None:
            yield HealthFinding(OK, f"source {name}", f"accepted: {serves}")
        else:
            accept = f"; if it is right: mssante trust accept {name} {held.floor.digest}"
            yield HealthFinding(
                WRONG,
                f"source {name}",
                f"held back: {held.why}; what serves on: {serves}{accept if held.acceptable else ''}",
            )
    if trust.not_kept:
        yield HealthFinding(
            WRONG, "trust kept", f"not written down, so a restart forgets it: {trust.not_kept}"
        )


def _crl(parts: Parts, issuer: Certificate) -> HealthFinding:
    state = parts.trust.crls.state(issuer, parts.clock.now())
    name = f"CRL of {issuer.name}"
    match state:
        case CrlState.FRESH:
            return HealthFinding(OK, "revocation", f"{name} is fresh")
        case CrlState.GRACE:
            return HealthFinding(
                WARNING, "revocation", f"{name} is past its date, in its day of grace: fetch it"
            )
        case _:
            return HealthFinding(
                WRONG, "revocation", f"{name} is {state.value}: put a fresh one into the folder"
            )


async def _disk(parts: Parts) -> HealthFinding:
    reserve = parts.store.reserve
    room = await reserve.room()
    if room is None:
        usage = shutil.disk_usage(parts.settings.folder)
        room = DiskRoom(usage.total, usage.free, 0)
    elif reserve.is_short(room):
        text = f"{_mib(room)}: nothing new is accepted, make room now (reserve: {reserve.octets // MIB} MiB)"
        return HealthFinding(WRONG, "disk", text)
    if room.free + room.inside < max(DISK_FREE_MIN * room.total, 2 * reserve.octets):
        return HealthFinding(WARNING, "disk", f"{_mib(room)}: make room before nothing new is accepted")
    return HealthFinding(OK, "disk", _mib(room))


def _mib(room: DiskRoom) -> str:
    inside = f", {room.inside // MIB} MiB inside the database" if room.inside >= MIB else ""
    return f"{room.free // MIB} MiB free ({room.free / room.total:.0%}){inside}"


def _files(settings: Settings) -> Iterator[HealthFinding]:
    wide = [path for path in settings.secret_files if path.exists() and os.stat(path).st_mode & 0o077]
    for path in wide:
        yield HealthFinding(WRONG, "permissions", f"others can read {path}: chmod 600 {_shown(path)}")
    if not wide:
        yield HealthFinding(OK, "permissions", "keys and databases are ours alone")
    folders = {path.parent.resolve() for path in settings.database_files}
    if len(folders) < len(settings.database_files):
        (folder,) = folders
        yield HealthFinding(
            WARNING,
            "folders",
            f"mail and keys lie in one folder ({folder}), so one copy takes both: stop, move the key store's"
            " files to a folder of their own (mode 700), and name it in storage.keys",
        )


def _why(error: Exception) -> str:
    return str(error.strerror) if isinstance(error, OSError) else str(error)


def _shown(path: Path) -> str:
    return str(path).replace(" ", "\\ ")
