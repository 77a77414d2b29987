"""Commands are printed as they work when they are typed where they are printed."""

import sys
from pathlib import Path

import pytest

from service.cli.command_line import command_line


@pytest.fixture(autouse=True)
def started_by_make(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [".venv/bin/edgepost", "run"])
    monkeypatch.delenv("DATABASE_URL", raising=False)


def test_a_command_names_the_program_that_runs() -> None:
    assert command_line("ledger", "check") == ".venv/bin/edgepost ledger check"


def test_a_module_is_run_by_its_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/srv/edgepost/service/cli/__main__.py"])

    assert command_line("migrate") == f"{sys.executable} -m service.cli migrate"


def test_a_folder_is_named_unless_it_is_the_usual_one() -> None:
    usual = command_line("migrate", folder=Path(".edgepost"))
    other = command_line("migrate", folder=Path("/srv/my data"))

    assert usual == ".venv/bin/edgepost migrate"
    assert other == "EDGEPOST_FOLDER='/srv/my data' .venv/bin/edgepost migrate"


def test_a_database_of_the_environment_does_not_come_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://127.0.0.1/live")

    assert command_line("migrate", folder=Path("data")) == (
        "env -u DATABASE_URL EDGEPOST_FOLDER=data .venv/bin/edgepost migrate"
    )
    assert command_line("migrate") == ".venv/bin/edgepost migrate"
