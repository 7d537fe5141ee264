"""`mssante person`: who may log in. Passwords come by prompt, file or file descriptor, never by argument."""

from __future__ import annotations

from pathlib import Path

import click

from mssante.cli.run import json_option, perform, read_password, requested, show

password_file = click.option(
    "--password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Read it from a file.",
)
password_fd = click.option("--password-fd", type=int, help="Read it from an open file descriptor.")


@click.group()
def person() -> None:
    """People and applications who may log in."""


@person.command()
@click.argument("login")
@password_file
@password_fd
@json_option
def create(login: str, password_file: Path | None, password_fd: int | None, as_json: bool) -> None:
    """Make a login."""
    from mssante.control.person import CreatePerson

    secret = read_password(password_file, password_fd)
    show(perform(requested(CreatePerson, person=login, password=secret)), as_json=as_json)


@person.command()
@click.argument("login")
@password_file
@password_fd
@json_option
def password(login: str, password_file: Path | None, password_fd: int | None, as_json: bool) -> None:
    """Set a new password. No letter is lost: mailbox keys do not depend on it."""
    from mssante.control.person import ChangePassword

    secret = read_password(password_file, password_fd)
    show(perform(requested(ChangePassword, person=login, password=secret)), as_json=as_json)
