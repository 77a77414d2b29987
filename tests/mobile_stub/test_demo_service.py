"""The demo's folder and processes."""

from pathlib import Path

import pytest

from mobile_stub.demo_service import Backstage, DemoError


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "edgepost.db").write_text("somebody's")

    with pytest.raises(DemoError, match="was not made by a demo"), Backstage(tmp_path):
        pass

    assert (tmp_path / "edgepost.db").read_text() == "somebody's"


def test_the_folder_of_the_demo_before_is_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with Backstage(folder):
        (folder / "edgepost.db").write_text("old")

    with Backstage(folder) as backstage:
        left = [each.name for each in backstage.folder.iterdir()]

    assert "edgepost.db" not in left


def test_a_command_that_fails_says_what_it_printed(tmp_path: Path) -> None:
    with Backstage(tmp_path) as backstage, pytest.raises(DemoError, match="No such command"):
        backstage.edgepost("dance")
