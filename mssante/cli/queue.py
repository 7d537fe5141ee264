"""`mssante queue`: letters on their way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mssante.cli.run import json_option, perform, plain, requested, show, table

if TYPE_CHECKING:
    from mssante.control.queue import QueueListing


@click.group()
def queue() -> None:
    """Letters on their way to other mailboxes and operators."""


@queue.command("list")
@json_option
def listing(as_json: bool) -> None:
    """Each recipient still waited for. Addresses are sealed: letters go by number."""
    from mssante.control.queue import ListQueue

    def human(result: QueueListing) -> None:
        columns = ("message", "since", "size_kib", "state", "attempts", "next_attempt")
        table(plain(result.recipients), *columns, empty="the queue is empty")

    show(perform(ListQueue()), as_json=as_json, human=human)


@queue.command()
@click.argument("message", type=int, required=False)
@json_option
def retry(message: int | None, as_json: bool) -> None:
    """Try again now: one message by its number, or all that wait."""
    from mssante.control.queue import RetryQueue

    show(perform(requested(RetryQueue, message=message)), as_json=as_json)
