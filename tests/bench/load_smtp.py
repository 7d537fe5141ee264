"""A small load generator for where PERF is not at hand: the options and the figures of its namesake, fewer.

Blocking sockets in threads of one process. Figures of the two generators are not to be compared: this one
measures CPU in ticks of 10 ms when it has no cgroup, and takes no care of its own cost.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")


def _octets(text: str) -> int:
    return int(text[:-1]) * {"k": 1 << 10, "m": 1 << 20}[text[-1]]


def _message(sender: str, recipient: str, octets: int, n: int) -> bytes:
    head = f"From: <{sender}>\r\nTo: <{recipient}>\r\nMessage-ID: <{n}.{time.time_ns()}@bench.test>\r\n"
    line = b"QUJDREVG" * 9 + b"\r\n"
    return head.encode() + b"Subject: bench\r\n\r\n" + line * max(1, (octets - 200) // len(line))


class _Connection:
    def __init__(self, options: argparse.Namespace) -> None:
        context = ssl.create_default_context(cafile=options.cafile)
        context.load_cert_chain(options.cert, options.key)
        self._wire: socket.socket = socket.create_connection((options.host, options.port), 60)
        self._lines = self._wire.makefile("rb")
        self.expect("220")
        for command, code in (("EHLO bench.test", "250"), ("STARTTLS", "220")):
            self.say(command, code)
        self._wire = context.wrap_socket(self._wire, server_hostname=options.servername)
        self._lines = self._wire.makefile("rb")
        self.say("EHLO bench.test", "250")

    def expect(self, *codes: str) -> None:
        for code in codes:
            while (line := self._lines.readline().decode())[3:4] == "-":
                pass
            if not line.startswith(code):
                raise RuntimeError(f"wanted {code}, got {line!r}")

    def say(self, text: str, *codes: str) -> None:
        self._wire.sendall(text.encode() + b"\r\n")
        self.expect(*codes)

    def send(self, sender: str, recipient: str, message: bytes) -> None:
        self.say(f"MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA", "250", "250", "354")
        self._wire.sendall(message + b".\r\n")
        self.expect("250")

    def quit(self) -> None:
        self.say("QUIT", "221")
        self._wire.close()


class _Run:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        low, high = re.findall(r"\d+(?=[-}])", options.rcpt)
        self.recipients = [re.sub(r"{.*}", str(n), options.rcpt) for n in range(int(low), int(high) + 1)]
        self.left = options.count
        self.done = 0
        self.errors: list[str] = []
        self.lock = threading.Lock()

    def work(self) -> None:
        connection = None
        try:
            while (n := self._take()) is not None:
                connection = connection or _Connection(self.options)
                to = self.recipients[n % len(self.recipients)]
                connection.send(self.options.sender, to, self._message(to, n))
                with self.lock:
                    self.done += 1
                if self.options.mode == "perconn":
                    connection.quit()
                    connection = None
            if connection is not None:
                connection.quit()
        except (OSError, RuntimeError) as error:
            self.errors.append(repr(error))

    def _message(self, to: str, n: int) -> bytes:
        return _message(self.options.sender, to, _octets(self.options.size), n)

    def _take(self) -> int | None:
        with self.lock:
            self.left -= 1
            return self.left if self.left >= 0 else None


def _cpu(options: argparse.Namespace) -> float:
    if options.server_cgroup:
        return int((Path(options.server_cgroup) / "cpuacct.usage").read_text()) / 1e9
    fields = Path(f"/proc/{options.server_pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _watch(pid: int, stop: threading.Event, peak: list[int]) -> None:
    while not stop.wait(0.3):
        found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
        peak[0] = max(peak[0], int(found[1]) if found else 0)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    run, stop, peak = _Run(options), threading.Event(), [0]
    watcher = threading.Thread(target=_watch, args=(options.server_pid, stop, peak))
    watcher.start()
    cpu, begun = _cpu(options), time.perf_counter()
    threads = [threading.Thread(target=run.work) for _ in range(options.conns)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    time.sleep(0.3)
    stop.set()
    watcher.join()
    return {
        "n_errors": len(run.errors),
        "errors": run.errors[:5],
        "drained": True,
        "msgs_per_s_drained": run.done / seconds,
        "server_cpu_ms_per_msg": (_cpu(options) - cpu) / max(1, run.done) * 1e3,
        "peak_pss_mib": peak[0] / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("host", "servername", "cafile", "cert", "key", "sender", "rcpt", "size", "mode"):
        parser.add_argument(f"--{name}")
    for name in ("port", "conns", "count", "count-large", "repeat", "server-pid"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--server-cgroup")
    parser.add_argument("--starttls", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.json.write_text(json.dumps([measure(options)]))


if __name__ == "__main__":
    main()
