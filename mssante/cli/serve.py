"""`mssante serve`: the server, in the foreground; a supervisor (systemd) keeps it running."""

from __future__ import annotations

import click

from mssante.cli.run import MISCONFIGURED, TRY_LATER, configuration, end
from mssante.reasons import Passing
from mssante.words.operator import declined_sentence


@click.command()
def serve() -> None:
    """Run the operator until SIGTERM or SIGINT; what was acknowledged is committed before it ends."""
    import uvloop

    from mssante.app.parts import CannotStart
    from mssante.app.server import serve as run

    config = configuration()
    try:
        uvloop.run(run(config))
    except CannotStart as error:
        end(MISCONFIGURED, f"cannot start: {error}")
    except Passing as passing:  # for example, PostgreSQL does not answer yet: the supervisor starts us again
        end(TRY_LATER, f"cannot start, try later: {passing.reason.value}: {declined_sentence(passing)}")
