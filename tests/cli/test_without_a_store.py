"""What a newcomer sees who calls a command before the service has ever run."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from service.cli.main import main
from service.core.secret import new_secret_key
from service.db.session import SessionFactory, unit_of_work

KEY = new_secret_key()
COMMANDS = [
    ("ledger", "check"),
    ("credentials", "create", "--name", "me"),
    ("credentials", "list"),
    ("sandboxes", "create", "dev"),
    ("secrets", "rotate"),
    ("profiles", "import", __file__),
]
every_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda it: " ".join(it[:2]))


def called(*command: str, folder: Path | None = None, url: str | None = None) -> Result:
    env = {
        "EDGEPOST_FOLDER": None if folder is None else str(folder),
        "DATABASE_URL": url,
        "EDGEPOST_SECRET_KEYS": None if url is None else KEY,
    }
    return CliRunner().invoke(main, command, env=env)


def only_line(result: Result) -> str:
    assert result.exit_code == 1, result.output
    (line,) = result.output.splitlines()
    return line


@every_command
def test_a_command_without_a_store_says_what_to_do_and_makes_nothing(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "data"

    line = only_line(called(*command, folder=folder))

    assert line.startswith(f"Error: There is no store in {folder} yet: ")
    assert "`make run`" in line
    assert f"EDGEPOST_FOLDER={folder} " in line
    assert line.endswith(" migrate`.")
    assert list(tmp_path.iterdir()) == []


@every_command
def test_a_command_on_a_file_that_is_not_there_does_not_make_it(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "edgepost.db"

    line = only_line(called(*command, url=f"sqlite:///{file}"))

    assert line.startswith(f"Error: There is no store in {file} yet: run `")
    assert list(tmp_path.iterdir()) == []


@every_command
def test_a_command_on_a_store_that_lacks_migrations_says_so_in_one_line(
    command: tuple[str, ...], store: SessionFactory
) -> None:
    with unit_of_work(store) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))

    line = only_line(called(*command, url=store.engine.url.render_as_string(hide_password=False)))

    assert line.startswith("Error: The store lacks migrations: run `")
    assert line.endswith(" migrate` first.")


def test_what_an_aborted_first_start_left_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text(KEY)
    (tmp_path / "edgepost.db").touch()

    line = only_line(called("ledger", "check", folder=tmp_path))

    assert line.startswith(f"Error: There is no store in {tmp_path} yet: ")
    assert (tmp_path / "edgepost.db").stat().st_size == 0


def test_after_migrate_commands_work(tmp_path: Path) -> None:
    folder = tmp_path / "data"

    made = called("migrate", folder=folder)

    assert made.exit_code == 0, made.output
    assert called("sandboxes", "list", folder=folder).output == "prod\tproduction\tProduction\n"


@pytest.mark.parametrize(
    "url", ["postgresql://127.0.0.1:9/none", "sqlite:////proc/none/edgepost.db"]
)
def test_a_store_that_cannot_be_reached_or_made_is_one_line(url: str) -> None:
    line = only_line(called("migrate", url=url))

    assert "cannot be" in line
