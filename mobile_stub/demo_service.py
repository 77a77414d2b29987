"""The demo's processes: vendors and the embedded service, children that end with the demo.

Each writes into a log of its own in the demo's folder, beside the service's database.
"""

import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

API_KEY_VARIABLE = "ACTION_SECRET_DEMO_PUSH_KEY"
_MARK = "made-by-the-demo"
_READY_WITHIN_S = 30.0
_COMMAND_WITHIN_S = 60.0
_STOP_WITHIN_S = 20.0
_VENDORS_WITHIN_S = 5.0
_POLL_S = 0.02
_SHOWN_OF_A_LOG = 2000
_FOREIGN = re.compile(r"DATABASE_URL|PORT|HOST|EDGEPOST_.*|.*_proxy", re.IGNORECASE)
_GATEWAY_URL = re.compile(r'"url": *"(http://[^"]+)"')
_SERVICE_URL = re.compile(r"^url: *(http://\S+)", re.MULTILINE)

_EDGEPOST = (sys.executable, "-m", "service.cli")


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


@dataclass(frozen=True, slots=True)
class Vendors:
    """Where the vendors are and what their push API wants to see in ``X-API-Key``."""

    url: str
    api_key: str = field(repr=False)

    def get(self, path: str) -> Any:
        """Read what the gateway shows to a test, whatever proxies the environment names.

        Raises:
            DemoError: It does not answer.
        """
        with requests.Session() as http:
            http.trust_env = False
            try:
                answer = http.get(f"{self.url}{path}", timeout=_VENDORS_WITHIN_S)
            except requests.RequestException as error:
                raise DemoError(f"the vendors do not answer: {type(error).__name__}") from error
            return answer.json()


@dataclass(slots=True)
class _Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path


class Backstage:
    """The folder, the child processes in it, and the service's command line.

    Nothing of the caller's own deployment is used: settings of the service in the environment are
    not handed on, so the demo can only ever write into its folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._children: list[_Child] = []
        self._api_key = secrets.token_hex(24)  # never begins with a dash, as an option does

    def __enter__(self) -> Self:
        _make_fresh(self.folder)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> tuple[Vendors, str]:
        """Start the gateway and ``edgepost run`` on free ports; return when both answer.

        Returns:
            The vendors, and the URL of the service.

        Raises:
            DemoError: One ended, or did not say its address in time.
        """
        play = [sys.executable, "-m", "mobile_stub", "gateway", "--api-key", self._api_key]
        gateway = self._start("vendors", play)
        service = self._start("service", [*_EDGEPOST, "run", "--port", "0"])
        vendors = Vendors(self._address(gateway, _GATEWAY_URL), self._api_key)
        return vendors, self._address(service, _SERVICE_URL)

    def edgepost(self, *arguments: str) -> str:
        """Run one command of the service in its folder and return what it printed.

        Raises:
            DemoError: Its exit status is not 0; the text is what it printed.
        """
        done = subprocess.run(  # noqa: S603 - our own program, words of our own
            [*_EDGEPOST, *arguments],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=_COMMAND_WITHIN_S,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr + done.stdout).strip()[-_SHOWN_OF_A_LOG:]
            raise DemoError(f"edgepost {' '.join(arguments)} ended with {done.returncode}: {said}")
        return done.stdout

    def check_alive(self) -> None:
        """Say so when a process ended that should be running.

        Raises:
            DemoError: One has ended; the text holds the end of its log.
        """
        for child in self._children:
            if child.process.poll() is not None:
                end = child.log.read_text(errors="replace")[-_SHOWN_OF_A_LOG:]
                raise DemoError(f"{child.name} ended with {child.process.returncode}:\n{end}")

    def stop(self) -> None:
        """Ask each process to stop, the service first; kill what does not within 20 seconds."""
        for child in reversed(self._children):
            child.process.terminate()
            try:
                child.process.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        self._children.clear()

    def _start(self, name: str, command: Sequence[str]) -> _Child:
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own programs, words of our own
                command, env=self._environment(), stdout=output, stderr=subprocess.STDOUT
            )
        child = _Child(name, process, log)
        self._children.append(child)
        return child

    def _address(self, child: _Child, spelled: re.Pattern[str]) -> str:
        deadline = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < deadline:
            found = spelled.search(child.log.read_text(errors="replace"))
            if found:
                return found[1]
            self.check_alive()
            pause(_POLL_S)
        raise DemoError(f"{child.name} did not say its address within {_READY_WITHIN_S:.0f} s")

    def _environment(self) -> Mapping[str, str]:
        own = {
            "EDGEPOST_FOLDER": str(self.folder),
            "EDGEPOST_ALLOW_PRIVATE_HOSTS": "127.0.0.0/8",
            API_KEY_VARIABLE: self._api_key,
            "PYTHONUNBUFFERED": "1",
        }
        kept = {name: value for name, value in os.environ.items() if not _FOREIGN.fullmatch(name)}
        return kept | own


def pause(seconds: float) -> None:
    """Wait between two looks at something that another process does."""
    threading.Event().wait(seconds)


def _make_fresh(folder: Path) -> None:
    """Leave an empty folder; only one that a demo made is ever removed."""
    mark = folder / _MARK
    if folder.exists() and any(folder.iterdir()):
        if not mark.exists():
            raise DemoError(f"{folder} is not empty and was not made by a demo: name another one")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark.touch()
