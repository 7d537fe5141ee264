"""What was accepted of the sources of trust, kept in a folder so that a restart does not forget it.

`floors.json` has, for each source and for each authority's revocation list, the newest that was ever
accepted. Beside it lie copies of what is in force, which serve on when a source is bad at the next start.

Invariants: a copy is written before the floor that names it, and the floors before what they describe is put
in force, so that a crash leaves the older state or the newer one. A copy that does not have the digest of its
floor does not count, but the floor does. Floors that cannot be read are never taken for none: reading them
raises Malformed with what to do. Copies without floors mean that the floors were lost, and are such a case.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from mssante.limits import KEPT_FLOORS_OCTETS_MAX, WHITE_LIST_OCTETS_MAX
from mssante.model import Domain, Malformed
from mssante.trust.names import DistinguishedName
from mssante.trust.revocation import Crl, CrlFloor
from mssante.trust.space import Entry, TrustSpace
from mssante.trust.statement import Floor, Statement

_FLOORS: Final = "floors.json"
_CRLS: Final = "crls"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSource:
    """Of one source: its floor, what else its last statement said, and when it was heard."""

    floor: Floor
    source: str
    entries: int
    odd: int
    heard_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """The newest that was accepted: of each source by its name, and of each authority's revocation list."""

    sources: Mapping[str, KeptSource] = field(default_factory=dict)
    crls: Mapping[bytes, CrlFloor] = field(default_factory=dict)


class TrustKeeper:
    """The files of `folder`. `read` and `write` are for private files: the first raises OSError for one that
    others can write, the second replaces one whole. Nothing here waits for anybody but the disk."""

    def __init__(
        self, folder: Path, *, read: Callable[[Path, int], bytes], write: Callable[[Path, bytes], None]
    ) -> None:
        self.folder = folder
        self.crls = folder / _CRLS
        self._read = read
        self._write = write

    def load(self) -> Floors | None:
        """The floors; None where nothing was ever kept. Raises Malformed."""
        if not self._anything():
            return None
        try:
            return _floors(json.loads(self._read(self.folder / _FLOORS, KEPT_FLOORS_OCTETS_MAX)))
        except Exception as error:
            what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise Malformed(
                f"{self.folder / _FLOORS}: what was accepted before cannot be read"
                f" ({what or type(error).__name__}); put it back from a backup. If you are sure that the"
                f" white list and the revocation lists are the newest, remove {self.folder}: it begins anew"
            ) from error

    def statement(self, name: str, kept: KeptSource) -> Statement | None:
        """The last statement of a source; None when its copy is gone or damaged."""
        try:
            octets = self._read(self._copy(name, kept.floor), WHITE_LIST_OCTETS_MAX)
            entries = [
                Entry(Domain.parse(domain), DistinguishedName.parse(dn)) for domain, dn in json.loads(octets)
            ]
        except Exception:  # only the copy is lost: the floor holds without it
            return None
        space = TrustSpace.from_entries(entries, source=kept.source, generated_at=kept.floor.dated)
        if Floor.of(space) != kept.floor:
            return None
        return Statement(space, entries=kept.entries, odd=kept.odd)

    def keep_source(self, floors: Floors, name: str, kept: KeptSource, space: TrustSpace) -> Floors:
        """`floors` with this one, on the disk. Raises OSError."""
        copy = self._copy(name, kept.floor)
        if not copy.exists():
            pairs = [
                (domain.name, str(dn))
                for domain, dns in space.names_by_domain.items()
                for dn in sorted(dns, key=str)
            ]
            self._make_folder(self.folder)
            self._write(copy, json.dumps(pairs, ensure_ascii=False, indent=0).encode())
        return self._keep(replace(floors, sources={**floors.sources, name: kept}))

    def keep_crls(self, floors: Floors, crls: Mapping[bytes, Crl]) -> Floors:
        """`floors` with those of `crls`, on the disk. Raises OSError."""
        changed = {key: crl for key, crl in crls.items() if floors.crls.get(key) != crl.floor}
        if not changed:
            return floors
        self._make_folder(self.folder)
        self._make_folder(self.crls)
        for key, crl in changed.items():
            self._write(self.crls / f"{key.hex()}.crl", crl.der)
        newest = {key: crl.floor for key, crl in changed.items()}
        return self._keep(replace(floors, crls={**floors.crls, **newest}))

    def _keep(self, floors: Floors) -> Floors:
        self._make_folder(self.folder)
        self._write(self.folder / _FLOORS, json.dumps(_plain(floors), indent=1, sort_keys=True).encode())
        current = {self._copy(name, kept.floor) for name, kept in floors.sources.items()}
        for old in set(self.folder.glob("*-*.json")) - current:
            old.unlink(missing_ok=True)
        return floors

    def _copy(self, name: str, floor: Floor) -> Path:
        return self.folder / f"{name}-{floor.digest}.json"

    def _anything(self) -> bool:
        try:
            return any(path.suffix == ".json" for path in self.folder.iterdir()) or any(
                self.crls.glob("*.crl")
            )
        except FileNotFoundError:
            return False
        except OSError as error:
            raise Malformed(f"{self.folder}: {error.strerror}") from error

    @staticmethod
    def _make_folder(folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)


def _plain(floors: Floors) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "sources": {
            name: {
                "dated": kept.floor.dated.isoformat() if kept.floor.dated else None,
                "pairs": kept.floor.pairs,
                "digest": kept.floor.digest,
                "source": kept.source,
                "entries": kept.entries,
                "odd": kept.odd,
                "heard_at": kept.heard_at.isoformat(),
            }
            for name, kept in floors.sources.items()
        },
        "revocation_lists": {
            key.hex(): {"number": str(floor.number), "this_update": floor.this_update.isoformat()}
            for key, floor in floors.crls.items()
        },
    }


def _floors(tree: Any) -> Floors:
    """Raises whatever a tree of another shape makes it raise."""
    if tree["version"] != _VERSION:
        raise Malformed("written by another version of this program")
    return Floors(
        sources={
            name: KeptSource(
                floor=Floor(
                    dated=_moment(kept["dated"]) if kept["dated"] is not None else None,
                    pairs=int(kept["pairs"]),
                    digest=str(kept["digest"]),
                ),
                source=str(kept["source"]),
                entries=int(kept["entries"]),
                odd=int(kept["odd"]),
                heard_at=_moment(kept["heard_at"]),
            )
            for name, kept in tree["sources"].items()
        },
        crls={
            bytes.fromhex(key): CrlFloor(number=int(kept["number"]), this_update=_moment(kept["this_update"]))
            for key, kept in tree["revocation_lists"].items()
        },
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise Malformed("a date without its time zone")
    return moment
