"""A port that cannot be had is said in one line, before anything is started."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli.main import main
from service.cli.ports import refuse_taken_port
from service.core.errors import EdgepostError
from service.core.secret import new_secret_key


@pytest.fixture
def taken() -> Iterator[int]:
    """Yield a port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def run(folder: Path, port: object) -> Result:
    return CliRunner().invoke(main, ["run", "--folder", str(folder), "--port", str(port)])


def test_run_on_a_port_that_is_taken_is_one_line_and_makes_nothing(
    taken: int, tmp_path: Path
) -> None:
    refused = run(tmp_path / "data", taken)

    assert refused.exit_code == 1
    assert refused.output == (
        f"Error: Another process listens on port {taken} of 127.0.0.1: end it, or choose another "
        "port with --port, or `make run PORT=…`.\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("port", [99999, -1])
def test_run_on_a_port_that_is_none_is_refused(tmp_path: Path, port: int) -> None:
    refused = run(tmp_path / "data", port)

    assert refused.exit_code == 2
    assert "not in the range 0<=x<=65535" in refused.output
    assert list(tmp_path.iterdir()) == []


def test_web_on_a_port_that_is_taken_is_one_line(taken: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", "web"],
        env={
            "DATABASE_URL": "postgres://127.0.0.1:9/none",
            "EDGEPOST_SECRET_KEYS": new_secret_key(),
            "HOST": "127.0.0.1",
            "PORT": str(taken),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == (
        f"Error: Another process listens on port {taken} of 127.0.0.1: end it, or choose another "
        "port with PORT.\n"
    )


def test_a_host_that_is_not_here_is_refused() -> None:
    with pytest.raises(EdgepostError, match=r"Nothing can listen on port 8080 of 192\.0\.2\.1"):
        refuse_taken_port("192.0.2.1", 8080, "PORT")


def test_a_port_that_a_server_has_just_left_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = server.accept()
            accepted.close()

    refuse_taken_port("127.0.0.1", port, "PORT")
