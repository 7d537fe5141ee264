"""`mssante demo`: two operators on this machine exchange a letter, from nothing, in one command."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from mssante.cli.run import NO, end

STOPPED = 130  # 128 + SIGINT, as a shell says it


@click.command()
@click.option("--once", is_flag=True, help="Tell the story and end; do not stay up for a mail client.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object last.")
@click.option(
    "--directory", type=click.Path(path_type=Path), help="Work here (it must be empty) and keep it."
)
def demo(once: bool, as_json: bool, directory: Path | None) -> None:
    """Two operators exchange a letter over mutual TLS, and it is read back over IMAP.

    Nothing to install, no root: SQLite, an LDIF directory, a development PKI."""
    work = (directory or Path(tempfile.mkdtemp(prefix="mssante-demo-"))).resolve()
    if directory is not None and work.exists() and any(work.iterdir()):
        end(NO, f"refused: {work} is not empty")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM too must end the demo's servers
    report: dict[str, Any] = {}
    try:
        asyncio.run(_tell(work, report, once=once, as_json=as_json))
    except KeyboardInterrupt:
        if not report:
            end(STOPPED, "stopped before the letter was read back")
    except Exception as error:
        end(NO, f"the demo failed: {type(error).__name__}: {error}")
    finally:
        if directory is None:
            shutil.rmtree(work, ignore_errors=True)
    sys.exit(0 if report["delivered"] and report["read_back_equal"] else NO)


async def _tell(work: Path, report: dict[str, Any], *, once: bool, as_json: bool) -> None:
    """Fills `report` once the letter has been read back."""
    from mssante.demo.story import Story

    started = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"[{time.monotonic() - started:5.2f} s] {text}")

    story = Story(work, say)
    try:
        await story.prepare()
        report |= await story.exchange()
        report["seconds"] = round(time.monotonic() - started, 2)
        if not once:
            await story.more_letters()
            click.echo(story.settings())
        if as_json:
            click.echo(json.dumps(report, ensure_ascii=False))
        if not once:
            click.echo("Both operators are running. Ctrl-C ends the demo and removes what it made.")
            await story.until_stopped()
    finally:
        await story.end()
