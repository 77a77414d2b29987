"""Two runs never share a folder."""

import os
import subprocess
import sys
from pathlib import Path
from stat import S_IMODE

import pytest
from click.testing import CliRunner

from service.cli.held_folder import held_folder, refuse_held
from service.cli.main import main
from service.core.errors import EdgepostError

HOLD_AND_DIE = """
import os, sys
from pathlib import Path
from service.cli.held_folder import held_folder
with held_folder(Path(sys.argv[1])):
    os._exit(9)
"""


def test_a_second_run_is_refused_with_the_process_that_holds_the_folder(tmp_path: Path) -> None:
    with held_folder(tmp_path):
        refused = CliRunner().invoke(main, ["run", "--folder", str(tmp_path), "--port", "0"])

        assert refused.exit_code == 1
        assert refused.output == (
            f"Error: Process {os.getpid()} runs in {tmp_path} already: end it, or name another "
            "folder with --folder.\n"
        )
        assert [each.name for each in tmp_path.iterdir()] == ["running.lock"]


def test_two_that_start_at_once_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        held_folder(tmp_path),
        pytest.raises(EdgepostError, match=str(os.getpid())),
        held_folder(tmp_path),
    ):
        pytest.fail("both run")


def test_a_folder_is_free_when_its_run_has_ended(tmp_path: Path) -> None:
    with held_folder(tmp_path):
        pass

    refuse_held(tmp_path)

    assert S_IMODE((tmp_path / "running.lock").stat().st_mode) == 0o600


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    died = subprocess.run(  # noqa: S603 - a program of our own
        [sys.executable, "-c", HOLD_AND_DIE, str(tmp_path)], check=False
    )

    with held_folder(tmp_path):
        assert (tmp_path / "running.lock").read_text() == f"{os.getpid()}\n"

    assert died.returncode == 9


def test_nothing_is_made_by_asking(tmp_path: Path) -> None:
    refuse_held(tmp_path / "none")

    assert list(tmp_path.iterdir()) == []
