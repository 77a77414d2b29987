"""The demo, as a newcomer runs it: it passes, and it leaves nothing behind that runs."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.e2e.patience import eventually

pytestmark = pytest.mark.e2e
WITHIN_S = 120
CLAIMS = 7
# A deployment of the caller's own, which the demo must never touch.
SOMEBODY_ELSES = {"DATABASE_URL": "postgresql://127.0.0.1:9/live", "EDGEPOST_SECRET_KEYS": "none"}


def demo_in(folder: Path) -> list[str]:
    return [sys.executable, "-m", "mobile_stub", "demo", "--folder", str(folder)]


def test_the_demo_finds_everything_as_it_should_be(tmp_path: Path) -> None:
    done = subprocess.run(
        demo_in(tmp_path / "demo"),
        env=os.environ | SOMEBODY_ELSES,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )

    lines = done.stdout.strip().splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[0] for line in lines[-CLAIMS - 1 : -1]] == ["ok"] * CLAIMS
    assert "Both vendors" in done.stdout
    assert re.fullmatch(r"20 people entered = 12 sent \+ 8 capped, in [0-9.]+ s\.", lines[-1])


def test_a_demo_that_is_ended_takes_its_processes_along(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with output.open("wb") as written:
        playing = subprocess.Popen(demo_in(tmp_path / "demo"), stdout=written)
    urls = eventually(
        lambda: re.findall(r"at (http://\S+)\n(?s:.*) at (http://\S+)\n", output.read_text()),
        within_s=WITHIN_S,
        what="both addresses",
    )

    playing.send_signal(signal.SIGTERM)

    assert playing.wait(WITHIN_S) == 128 + signal.SIGTERM
    for url in urls[0]:
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=5)
