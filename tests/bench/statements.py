"""What one statement costs in CPU, by the way it is written: SQLite in memory, so the driver's part is small.

`python -m tests.bench.statements` prints microseconds of process CPU for each run of a statement, the median
of five. The figures are in docs/decisions/0013-sql-in-one-way.md.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, text

from mssante.store import tables
from mssante.store.statements import Among, Bulk

RUNS = 4000
REPEATS = 5
folder, dek = tables.folder, tables.dek
FOLDER_COLUMNS = (
    "id, mailbox_id, role, name_tag, name_ct, uidvalidity, uidnext, subscribed, modseq, recent_uid"
)
READ = f"SELECT {FOLDER_COLUMNS} FROM folder WHERE id = :folder"
READ_TEXT = text(READ)
COLUMNS = [folder.c[name] for name in FOLDER_COLUMNS.split(", ")]
READ_CORE = sa.select(*COLUMNS).where(folder.c.id == bindparam("folder"))
STEP = "UPDATE folder SET modseq = :modseq WHERE id = :folder"
STEP_TEXT = text(STEP)
STEP_CORE = sa.update(folder).where(folder.c.id == bindparam("folder")).values(modseq=bindparam("modseq_"))
VALUES = ":message_number, :epoch, :suite, :form, :ct"
ADD = f"INSERT INTO dek (message_number, epoch, suite, form, ct) VALUES ({VALUES})"
ADD_TEXT = text(ADD)
ADD_CORE = sa.insert(dek)
ADD_ONCE = Bulk(ADD_CORE, "message_number", "epoch", "suite", "form", "ct")
AMONG_CORE = sa.select(folder.c.id, folder.c.uidnext).where(folder.c.id.in_(bindparam("ids", expanding=True)))
AMONG_TEXT = text("SELECT id, uidnext FROM folder WHERE id IN :ids").bindparams(
    bindparam("ids", expanding=True)
)
AMONG_ONCE = Among(AMONG_CORE, "ids")
EIGHT = list(range(1, 9))

numbers = iter(range(1, 10_000_000))


def new_dek() -> tuple[int, int, int, str, bytes]:
    return next(numbers), 1, 1, "wrapped", b"k" * 60


def add_named(statement: Any) -> Callable[[Connection], object]:
    names = ("message_number", "epoch", "suite", "form", "ct")
    return lambda c: c.execute(statement, dict(zip(names, new_dek(), strict=True)))


def read_built(c: Connection) -> object:
    return c.execute(sa.select(*COLUMNS).where(folder.c.id == 1)).first()


WAYS: dict[str, Callable[[Connection], object]] = {
    "read one folder: text(), made once": lambda c: c.execute(READ_TEXT, {"folder": 1}).first(),
    "read one folder: text(), made each time": lambda c: c.execute(text(str(READ)), {"folder": 1}).first(),
    "read one folder: Core, made once": lambda c: c.execute(READ_CORE, {"folder": 1}).first(),
    "read one folder: Core, made each time": read_built,
    "step one folder: text(), made once": lambda c: c.execute(STEP_TEXT, {"folder": 1, "modseq": 5}),
    "step one folder: Core, made once": lambda c: c.execute(STEP_CORE, {"folder": 1, "modseq_": 5}),
    "add one DEK: text(), made once": add_named(ADD_TEXT),
    "add one DEK: Core, made once": add_named(ADD_CORE),
    "add one DEK: compiled once (Bulk)": lambda c: ADD_ONCE.run(c, [new_dek()]),
    "read eight folders: text(), made once": lambda c: c.execute(AMONG_TEXT, {"ids": EIGHT}).all(),
    "read eight folders: Core, made once": lambda c: c.execute(AMONG_CORE, {"ids": EIGHT}).all(),
    "read eight folders: compiled once (Among)": lambda c: AMONG_ONCE.run(c, EIGHT),
}


def measured(connection: Connection, way: Callable[[Connection], object]) -> float:
    took = []
    for _ in range(REPEATS):
        start = time.process_time()
        for _ in range(RUNS):
            way(connection)
        took.append((time.process_time() - start) / RUNS * 1e6)
    return statistics.median(took)


def main() -> None:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        tables.metadata.create_all(connection)
        connection.execute(
            sa.insert(folder),
            [
                {
                    "mailbox_id": b"m",
                    "name_tag": bytes([n]),
                    "uidvalidity": n,
                    "uidnext": 1,
                    "subscribed": True,
                }
                | {"modseq": 1}
                for n in EIGHT
            ],
        )
        for name, way in WAYS.items():
            measured(connection, way)
            print(f"{measured(connection, way):7.1f} µs  {name}")


if __name__ == "__main__":
    main()
