"""What all commands share: finding the configuration, running an operation, printing, the right exit code.

Exit codes: 0 yes, 1 no (refused), 2 misuse, 75 try later, 78 the configuration or a file's rights are wrong.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from mssante.config import Config, ConfigError, load
from mssante.reasons import Declined, Passing
from mssante.words.operator import declined_sentence

if TYPE_CHECKING:
    from mssante.control.operations import OperationRequest

NO, MISUSE, TRY_LATER, MISCONFIGURED = 1, 2, 75, 78
T = TypeVar("T")

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def end(code: int, text: str) -> NoReturn:
    """Ends the command with a word to the operator on standard error."""
    click.echo(text, err=True)
    sys.exit(code)


def configuration() -> Config:
    """The configuration named by --config, $MSSANTE_CONFIG, or ./config.toml."""
    context = click.get_current_context().find_root()
    path = Path(context.params.get("config") or os.environ.get("MSSANTE_CONFIG") or "config.toml")
    try:
        return load(path)
    except FileNotFoundError:
        end(MISCONFIGURED, f"no configuration at {path}: 'mssante init' makes one, --config names another")
    except OSError as error:
        end(MISCONFIGURED, f"{path} cannot be read: {error.strerror}")
    except ConfigError as error:
        end(MISCONFIGURED, f"{len(error.mistakes)} mistake(s) in the configuration:\n{error}")


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` to its end. A refusal becomes a sentence for the operator and an exit code."""
    try:
        return asyncio.run(work)
    except Declined as declined:
        _end_declined(declined)
    except KeyboardInterrupt:
        sys.exit(130)


def _end_declined(declined: Declined) -> NoReturn:
    word = "try later" if isinstance(declined, Passing) else "refused"
    end(TRY_LATER if isinstance(declined, Passing) else NO, f"{word}: {declined_sentence(declined)}")


def requested(kind: type[T], /, **options: object) -> T:
    """The request that a command's options make; a refusal ends the command. The configuration is read first,
    because a mistake in it must be mended before one in the options."""
    from mssante.control.json_values import decoded

    configuration()
    try:
        return decoded(kind, options)
    except Declined as declined:
        _end_declined(declined)


def perform(request: OperationRequest[T]) -> T:
    """Has an operation done: by the server if one runs here, else on the files directly."""
    return finish(_perform(configuration(), request))


async def _perform(config: Config, request: OperationRequest[T]) -> T:
    from mssante.control.socket import ask

    try:
        return await ask(config.folder, request)
    except (FileNotFoundError, ConnectionRefusedError):
        pass  # no server runs here
    from mssante.app.parts import CannotStart, open_parts
    from mssante.control import catalogue

    try:
        async with open_parts(config) as parts:
            return await catalogue.perform(parts, request)
    except CannotStart as error:
        end(MISCONFIGURED, f"cannot open: {error}")


def show(result: T, *, as_json: bool, human: Callable[[T], None] | None = None) -> None:
    """Prints a result: one JSON object, or in the command's own way, or a line for each value."""
    if as_json:
        click.echo(json.dumps(plain(result), ensure_ascii=False))
    elif human is not None:
        human(result)
    else:
        show_values(plain(result))


def plain(result: object) -> Any:
    """A result, or a part of one, as plain JSON values."""
    from mssante.control.json_values import encoded

    return encoded(result)


def show_values(values: dict[str, Any]) -> None:
    """Prints a line for each value."""
    for key, value in values.items():
        click.echo(f"{key}: {value}")


def table(rows: list[dict[str, Any]], *columns: str, empty: str) -> None:
    """Prints rows as a table, or one sentence when there are none."""
    from rich.console import Console
    from rich.table import Table

    if not rows:
        click.echo(empty)
        return
    drawn = Table(*[column.replace("_", " ") for column in columns], box=None, pad_edge=False)
    for row in rows:
        drawn.add_row(*["" if row.get(column) is None else str(row[column]) for column in columns])
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(drawn)


def read_password(file: Path | None, descriptor: int | None) -> str:
    """A new password: from a file, a file descriptor, or asked twice. Never from the command line."""
    if file is not None and descriptor is not None:
        raise click.UsageError("give --password-file or --password-fd, not both")
    if file is not None:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    if descriptor is not None:
        with os.fdopen(descriptor, encoding="utf-8") as stream:
            return stream.readline().rstrip("\r\n")
    return str(click.prompt("New password", hide_input=True, confirmation_prompt=True))
