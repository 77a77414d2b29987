"""The folder of ``edgepost run``: who may read it, and what a lost key does to it."""

import os
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE

import pytest
from click.testing import CliRunner, Result

from service.cli.main import main
from service.core.secret import key_id, new_secret_key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def permissive() -> Iterator[None]:
    """Ask the system for files that everybody may write."""
    before = os.umask(0)
    yield
    os.umask(before)


def called(folder: Path, *command: str, keys: str | None = None) -> Result:
    env = {
        "EDGEPOST_FOLDER": str(folder),
        "DATABASE_URL": None,
        "EDGEPOST_SECRET_KEYS": keys,
    }
    return CliRunner().invoke(main, command, env=env)


def modes(folder: Path) -> dict[str, int]:
    return {each.name: S_IMODE(each.stat().st_mode) for each in (folder, *folder.iterdir())}


def with_a_secret(folder: Path) -> str:
    """Make a store that holds a secret; return the key that reads it."""
    assert called(folder, "migrate").exit_code == 0
    assert called(folder, "secrets", "rotate-signing-key").exit_code == 0
    return (folder / "secret.key").read_text().strip()


def test_a_new_folder_and_its_files_are_their_owners_only(folder: Path) -> None:
    with_a_secret(folder)

    found = modes(folder)

    assert found.pop("data") == 0o700
    assert found.keys() >= {"edgepost.db", "secret.key"}
    assert set(found.values()) == {0o600}


def test_a_folder_of_an_earlier_release_is_closed(folder: Path) -> None:
    with_a_secret(folder)
    folder.chmod(0o755)
    for each in folder.iterdir():
        each.chmod(0o644)

    called(folder, "migrate")

    found = modes(folder)
    assert found.pop("data") == 0o700
    assert found["edgepost.db"] == 0o600


def test_a_folder_that_holds_other_files_is_left_open(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    (folder / "Makefile").touch(mode=0o644)

    with_a_secret(folder)

    found = modes(folder)
    assert (found.pop("data"), found.pop("Makefile")) == (0o755, 0o644)
    assert set(found.values()) == {0o600}


@pytest.mark.parametrize("command", [("migrate",), ("run", "--port", "0"), ("ledger", "check")])
def test_a_lost_key_is_named_and_not_replaced(folder: Path, command: tuple[str, ...]) -> None:
    with_a_secret(folder)
    key_file = folder / "secret.key"
    key_file.unlink()

    refused = called(folder, *command)

    assert refused.exit_code == 1
    assert refused.output.startswith(f"Error: {key_file} is lost")
    assert "restore that file from the backup" in refused.output
    assert "EDGEPOST_SECRET_KEYS" in refused.output
    assert len(refused.output.splitlines()) == 1
    assert not key_file.exists()


def test_the_variable_stands_in_for_a_lost_key(folder: Path) -> None:
    key = with_a_secret(folder)
    (folder / "secret.key").unlink()

    again = called(folder, "migrate", keys=key)
    other = called(folder, "migrate", keys=new_secret_key())

    assert again.exit_code == 0, again.output
    assert other.exit_code == 1
    assert key_id(key) in other.output
    assert not (folder / "secret.key").exists()


def test_a_key_of_another_store_is_refused_with_the_file_that_holds_it(folder: Path) -> None:
    key = with_a_secret(folder)
    (folder / "secret.key").write_text(new_secret_key())

    refused = called(folder, "migrate")

    assert refused.exit_code == 1
    assert key_id(key) in refused.output
    assert f"{folder / 'secret.key'}: restore that file from the backup." in refused.output


def test_a_damaged_key_is_refused_with_its_file(folder: Path) -> None:
    with_a_secret(folder)
    (folder / "secret.key").write_bytes(b"\xff not a key")

    refused = called(folder, "ledger", "check")

    assert refused.output == (
        f"Error: {folder / 'secret.key'} is damaged: restore it from the backup.\n"
    )


def test_a_folder_that_is_a_file_is_refused_in_one_line(folder: Path) -> None:
    folder.touch()

    refused = called(folder, "migrate")

    assert refused.exit_code == 1
    assert refused.output.startswith(f"Error: The folder {folder} cannot be used: ")
