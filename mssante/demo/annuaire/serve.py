"""Serves the development directory with a real slapd on loopback until told to stop: `annuaire/serve`.

Invariants: standard library only; however it is ended, slapd ends with it and nothing of it stays on disk.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from mssante.demo.annuaire.slapd import SlapdFailed, serve

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Told(Exception):
    """A signal asked us to stop."""


def _stop(number: int, frame: object) -> None:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # once is enough: nothing may interrupt the cleaning up
    raise _Told


def main() -> int:
    parser = argparse.ArgumentParser(prog="annuaire/serve", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; a free one by default")
    parser.add_argument("--data", type=Path, help="an LDIF file in place of dev.ldif")
    options = parser.parse_args()
    for number in _SIGNALS:
        signal.signal(number, _stop)
    try:
        with serve(options.data, port=options.port) as running:
            print(running.url, flush=True)
            print(f"base {running.base_dn}; bind anonymously; ctrl-C stops", file=sys.stderr, flush=True)
            status = running.process.wait()
    except _Told:
        return 0
    except SlapdFailed as failure:
        print(f"annuaire/serve: {failure}", file=sys.stderr)
        return 75
    print(f"annuaire/serve: slapd stopped by itself ({status})", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
