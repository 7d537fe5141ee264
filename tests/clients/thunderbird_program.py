"""Debian's Thunderbird under its own virtual screen, with a fresh profile that trusts one CA, driven by
Marionette. Everything it makes is under one folder, and `close` ends what `open` started.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # its imports take a second, which the tests that are not run would pay
    from marionette_driver.marionette import Marionette

_SCREEN = "1280x900"
_START_SECONDS_MAX = 90
_STEP_SECONDS_MAX = 120
_ANSWER_SECONDS_MAX = 1000
_STEPS = Path(__file__).with_name("thunderbird_steps.js")
NEEDED = ("thunderbird", "Xvfb", "import", "convert", "certutil", "dbus-run-session")

# Nothing opens by itself, nothing is asked of the network, and new mail is told by IDLE or not at all.
_PREFERENCES: dict[str, str | int | bool] = {
    "mail.accountmanager.accounts": "local",
    "mail.accountmanager.localfoldersserver": "server1",
    "mail.account.local.server": "server1",
    "mail.server.server1.type": "none",
    "mail.server.server1.hostname": "Local Folders",
    "mail.server.server1.name": "Local Folders",
    "mail.server.server1.userName": "nobody",
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mail.winsearch.firstRunDone": True,
    "mail.rights.version": 1,
    "mail.pane_config.dynamic": 0,  # the list above the letter
    "mail.threadpane.listview": 1,  # as a table
    "mail.biff.show_alert": False,
    "mail.biff.play_sound": False,
    "mail.e2ee.auto_enable": False,
    "mail.inappnotifications.enabled": False,
    "mail.phishing.detection.enabled": False,
    "mail.collect_email_address_outgoing": False,
    "mail.compose.warned_about_customize_from": True,
    "mail.warn_on_send_accel_key": False,
    "mailnews.start_page.enabled": False,
    "mailnews.start_page_override.mstone": "ignore",
    "app.donation.eoy.version.viewed": 999,
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.safebrowsing.enabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "datareporting.healthreport.uploadEnabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "security.OCSP.enabled": 0,
    "services.settings.server": "http://127.0.0.1:1/",
    "toolkit.telemetry.enabled": False,
    "calendar.timezone.local": "Europe/Paris",
}


class StepFailed(AssertionError):
    """What Thunderbird said of a step that did not end as it should."""


@dataclass
class Thunderbird:
    """A running Thunderbird. `call(step, …)` runs a function of thunderbird_steps.js."""

    folder: Path
    marionette: Marionette
    display: str
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    def open(cls, folder: Path, ca_file: Path, *, logged: bool = True, ahead: bool = True) -> Thunderbird:
        """Starts it and waits until it can be driven. Raises RuntimeError, with what it said. `logged`: it
        writes down every line of IMAP and SMTP, which costs it more than reading them. `ahead`: it fetches
        the bodies of what it lists, as it does by default, and lets a search wait meanwhile."""
        from marionette_driver.marionette import Marionette

        folder.mkdir(parents=True)
        profile = folder / "profile"
        port = _free_port()
        _lay_profile(profile, ca_file, port, ahead=ahead)
        processes: list[subprocess.Popen[bytes]] = []
        marionette = Marionette(host="127.0.0.1", port=port, socket_timeout=_ANSWER_SECONDS_MAX)
        program = cls(folder, marionette, "", processes)
        try:
            program.display = _screen(folder, processes)
            processes.append(_program(folder, profile, program.display, logged=logged))
            program._meet()
        except BaseException:
            program.close()
            raise
        return program

    def call(self, step: str, *arguments: Any) -> Any:
        """What the step answers. Raises StepFailed."""
        script = f"""
            const [step, args, done] = arguments;
            {_STEPS.read_text(encoding="utf-8")}
            steps[step](...args).then(value => done({{value}}), error => done({{error: String(error)}}));
        """
        answer = self.marionette.execute_async_script(script, (step, list(arguments)), new_sandbox=True)
        if "error" in answer:
            raise StepFailed(f"{step}{arguments}: {answer['error']}")
        return answer.get("value")

    def photograph(self, file: Path) -> None:
        """The screen as a small PNG."""
        file.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "DISPLAY": self.display}
        whole = self.folder / "screen.png"
        subprocess.run(["import", "-window", "root", str(whole)], check=True, env=environment, timeout=30)
        small = ["-strip", "+dither", "-colors", "96", "-define", "png:compression-level=9"]
        subprocess.run(["convert", str(whole), *small, str(file)], check=True, timeout=30)

    def cpu_seconds(self) -> float:
        """What it and its helpers have used so far."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            if int(fields[3]) == self._processes[-1].pid:  # its session
                ticks += int(fields[11]) + int(fields[12])
        return round(ticks / os.sysconf("SC_CLK_TCK"), 1)

    def protocol(self) -> str:
        """What was said over IMAP and SMTP, as Thunderbird logged it."""
        logs = sorted(self.folder.glob("said*.moz_log"))
        return "\n".join(log.read_text(encoding="utf-8", errors="replace") for log in logs)

    def close(self) -> None:
        """Ends Thunderbird, its session bus and its screen: these processes, and no other."""
        for process in reversed(self._processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait(10)

    def _meet(self) -> None:
        from marionette_driver.errors import MarionetteException

        deadline = time.monotonic() + _START_SECONDS_MAX
        while True:
            try:
                self.marionette.start_session()
                break
            except (OSError, MarionetteException, AssertionError) as error:
                if time.monotonic() > deadline or self._processes[-1].poll() is not None:
                    said = (self.folder / "thunderbird.log").read_text(errors="replace")
                    raise RuntimeError(f"Thunderbird cannot be driven: {error}\n{said[-2000:]}") from error
                time.sleep(0.5)
        self.marionette.set_context("chrome")
        self.marionette.timeout.script = _STEP_SECONDS_MAX


def missing() -> list[str]:
    """The programs it takes that are not here."""
    return [name for name in NEEDED if shutil.which(name) is None]


def _lay_profile(profile: Path, ca_file: Path, port: int, *, ahead: bool) -> None:
    profile.mkdir()
    wanted = {
        **_PREFERENCES,
        "marionette.port": port,
        "mail.server.default.autosync_offline_stores": ahead,
        "mailnews.database.global.indexer.enabled": ahead,
    }
    lines = [f'user_pref("{name}", {_javascript(value)});' for name, value in wanted.items()]
    (profile / "user.js").write_text("\n".join(lines) + "\n", encoding="utf-8")
    database = ["-d", f"sql:{profile}"]
    subprocess.run(["certutil", "-N", *database, "--empty-password"], check=True, timeout=30)
    trust = ["-A", *database, "-n", "development root", "-t", "C,,", "-i", str(ca_file)]
    subprocess.run(["certutil", *trust], check=True, timeout=30)


def _javascript(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else f'"{value}"'


def _screen(folder: Path, processes: list[subprocess.Popen[bytes]]) -> str:
    """A virtual screen on a number that nobody has: Xvfb says which."""
    reading, writing = os.pipe()
    with (folder / "screen.log").open("wb") as log:
        process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{_SCREEN}x24", "-nolisten", "tcp"],
            pass_fds=[writing],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    processes.append(process)
    os.close(writing)
    with os.fdopen(reading) as told:
        number = told.readline().strip()
    if not number:
        raise RuntimeError(f"no screen: {(folder / 'screen.log').read_text(errors='replace')[-500:]}")
    return f":{number}"


def _program(folder: Path, profile: Path, display: str, *, logged: bool) -> subprocess.Popen[bytes]:
    home = folder / "home"
    home.mkdir()
    environment = {
        **os.environ,
        "DISPLAY": display,
        "HOME": str(home),
        "MOZ_DISABLE_CONTENT_SANDBOX": "1",  # it may run as root, in a container without user namespaces
    }
    if logged:
        environment |= {"MOZ_LOG": "timestamp,IMAP:4,SMTP:4", "MOZ_LOG_FILE": str(folder / "said")}
    command = ["dbus-run-session", "--", "thunderbird", "--profile", str(profile), "--no-remote"]
    with (folder / "thunderbird.log").open("wb") as log:
        return subprocess.Popen(
            [*command, "--marionette", "-remote-allow-system-access"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
