"""A backup of the embedded store, taken while somebody writes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from stat import S_IMODE

import pytest
from click.testing import CliRunner, Result

from service.cli.main import main
from service.core.secret import new_secret_key


def called(folder: Path, *command: str, **env: str) -> Result:
    given = {"EDGEPOST_FOLDER": str(folder), "DATABASE_URL": None, "EDGEPOST_SECRET_KEYS": None}
    return CliRunner().invoke(main, command, env={**given, **env})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    assert called(folder, "migrate").exit_code == 0
    assert called(folder, "secrets", "rotate-signing-key").exit_code == 0
    return folder


@contextmanager
def somebody_writes(folder: Path) -> Iterator[None]:
    """Hold what was committed last in the write-ahead log, and the writer's lock."""
    with closing(sqlite3.connect(folder / "edgepost.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("UPDATE sandbox SET title = 'last committed'")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE sandbox SET title = 'not committed'")
        yield
        writer.execute("ROLLBACK")


def test_a_backup_holds_what_was_committed_last_and_nothing_else(
    folder: Path, tmp_path: Path
) -> None:
    with somebody_writes(folder):
        taken = called(folder, "backup", str(tmp_path / "deep" / "kept"))

    kept = tmp_path / "deep" / "kept"
    assert taken.exit_code == 0, taken.output
    with closing(sqlite3.connect(kept / "edgepost.db")) as copy:
        assert copy.execute("SELECT title FROM sandbox").fetchall() == [("last committed",)]


def test_a_backup_is_a_whole_store_of_its_owners_only(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"

    called(folder, "backup", str(kept))

    modes = {each.name: S_IMODE(each.stat().st_mode) for each in (kept, *kept.iterdir())}
    assert modes == {"kept": 0o700, "edgepost.db": 0o600, "secret.key": 0o600}
    assert (kept / "secret.key").read_text() == (folder / "secret.key").read_text()
    assert called(kept, "secrets", "rotate").exit_code == 0
    assert called(kept, "ledger", "check").exit_code == 0


def test_a_key_that_lies_in_the_environment_is_kept_too(folder: Path, tmp_path: Path) -> None:
    key = (folder / "secret.key").read_text()
    (folder / "secret.key").unlink()

    called(folder, "backup", str(tmp_path / "kept"), EDGEPOST_SECRET_KEYS=key.strip())

    assert (tmp_path / "kept" / "secret.key").read_text() == key


@pytest.mark.parametrize("name", ["edgepost.db", "secret.key"])
def test_a_store_is_never_overwritten(folder: Path, tmp_path: Path, name: str) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / name).write_text("another one")

    refused = called(folder, "backup", str(kept))

    assert (refused.exit_code, len(refused.output.splitlines())) == (1, 1)
    assert f"holds {name} already" in refused.output
    assert (kept / name).read_text() == "another one"
    assert [each.name for each in kept.iterdir()] == [name]


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    refused = called(folder, "backup", str(tmp_path / "file" / "kept"))

    assert (refused.exit_code, len(refused.output.splitlines())) == (1, 1)
    assert "Not a directory" in refused.output


def test_a_store_that_cannot_be_read_leaves_no_copy(folder: Path, tmp_path: Path) -> None:
    (folder / "edgepost.db").write_bytes(b"no store" * 1000)

    refused = called(folder, "backup", str(tmp_path / "kept"))

    assert (refused.exit_code, list((tmp_path / "kept").iterdir())) == (1, [])
    assert "cannot be copied" in refused.output


def test_postgresql_is_backed_up_by_its_own_tool(tmp_path: Path) -> None:
    refused = called(
        tmp_path,
        "backup",
        str(tmp_path / "kept"),
        DATABASE_URL="postgres://127.0.0.1:9/none",
        EDGEPOST_SECRET_KEYS=new_secret_key(),
    )

    assert refused.exit_code == 1
    assert "pg_dump" in refused.output
