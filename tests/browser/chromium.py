"""Debian's Chromium: installed where that is allowed, started without a screen."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

_PROGRAMS = ("chromium", "npm")
_INSTALL = ("apt-get", "install", "-y", "--no-install-recommends")


class ChromiumError(Exception):
    """There is no browser to test with."""


def bring() -> None:
    """Install Chromium, and npm for the Web SDK, unless they are there.

    As root, or in CI through ``sudo``; anybody else is told the one command to run.
    """
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if not missing:
        return
    if os.geteuid() != 0 and "CI" not in os.environ:
        raise SystemExit(f"The browser tests need it, run: sudo {' '.join((*_INSTALL, *missing))}")
    sudo = () if os.geteuid() == 0 else ("sudo", "-n")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (("apt-get", "update", "-qq"), (*_INSTALL, "-qq", *missing)):
        subprocess.run([*sudo, *command], check=True, env=quiet, stdout=subprocess.DEVNULL)


@contextmanager
def started(*, port: int, key_digest: str) -> Iterator[Browser]:
    """Yield a browser to which every ``.test`` host is on ``port`` and no other host exists.

    Certificates are checked as ever; a chain with the key of ``key_digest`` (SHA-256 of its
    SubjectPublicKeyInfo, base64) counts as trusted.
    """
    program = shutil.which("chromium")
    if program is None:
        raise ChromiumError("Chromium is missing: run `make browser`")
    hosts = f"MAP *.test:443 127.0.0.1:{port}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    arguments = [
        f"--host-resolver-rules={hosts}",
        f"--ignore-certificate-errors-spki-list={key_digest}",
        "--disable-quic",
        "--disable-gpu",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=Path(program), args=arguments)
        yield browser
        browser.close()
