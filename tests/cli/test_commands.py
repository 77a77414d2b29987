"""The operator's commands, run as the operator runs them."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.access import credentials
from service.cli.main import main
from service.core.secret import Keyring, Secret, key_id, new_secret_key
from service.db.engine import open_engine
from service.db.session import SessionFactory, unit_of_work
from service.sandboxes import registry

KEY = new_secret_key()
NEWER = new_secret_key()


class Operator:
    """Runs commands over one store."""

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, *arguments: str, keys: str = KEY) -> Result:
        env = {"DATABASE_URL": self.url, "EDGEPOST_SECRET_KEYS": keys}
        return CliRunner().invoke(main, arguments, env=env)


@pytest.fixture
def operator(store: SessionFactory) -> Operator:
    return Operator(store.engine.url.render_as_string(hide_password=False))


def test_migrate_makes_a_store_with_prod_from_nothing(tmp_path: Path) -> None:
    operator = Operator(f"sqlite:///{tmp_path / 'new.db'}")

    first, again = operator.run("migrate"), operator.run("migrate")

    assert (first.exit_code, again.exit_code) == (0, 0), first.output
    engine = open_engine(operator.url)
    with unit_of_work(SessionFactory(engine)) as session:
        assert [each.name for each in registry.list_all(session)] == ["prod"]
    engine.dispose()


def test_a_secret_is_shown_once_and_proves_the_client(
    operator: Operator,
    store: SessionFactory,
) -> None:
    made = operator.run("credentials", "create", "--name", "ci", "--scope", "audit.read")
    shown = dict(line.split(": ") for line in made.output.splitlines())

    listed = operator.run("credentials", "list")

    assert made.exit_code == 0, made.output
    assert shown["client_id"] in listed.output
    assert shown["client_secret"] not in listed.output
    assert "audit.read" in listed.output
    with unit_of_work(store) as session:
        found = credentials.find_active(session, shown["client_id"])
    assert credentials.proves(found, Secret(shown["client_secret"]))


def test_a_client_that_is_revoked_is_listed_as_such(operator: Operator) -> None:
    made = operator.run("credentials", "create", "--name", "ci")
    client_id = made.output.splitlines()[0].split(": ")[1]

    assert operator.run("credentials", "revoke", client_id).exit_code == 0
    assert "revoked" in operator.run("credentials", "list").output


def test_a_client_for_an_unknown_sandbox_is_refused_in_one_line(operator: Operator) -> None:
    result = operator.run("credentials", "create", "--name", "ci", "--sandbox", "nowhere")

    assert result.exit_code == 1
    assert result.output == "Error: There is no sandbox nowhere.\n"
    assert "ci" not in operator.run("credentials", "list").output


def test_sandboxes_are_opened_and_listed(operator: Operator) -> None:
    opened = operator.run("sandboxes", "create", "dev", "--title", "Dev")

    assert opened.exit_code == 0, opened.output
    lines = operator.run("sandboxes", "list").output.splitlines()
    assert lines == ["prod\tproduction\tProduction", "dev\tdevelopment\tDev"]
    assert operator.run("sandboxes", "create", "dev").exit_code == 1


def test_a_new_key_is_a_key() -> None:
    result = CliRunner().invoke(main, ["secrets", "new-key"])

    assert Keyring.of([result.output.strip()]).ids


def test_rotation_says_when_the_old_key_may_go(operator: Operator) -> None:
    assert operator.run("secrets", "rotate-signing-key").exit_code == 0

    refused = operator.run("secrets", "rotate", keys=NEWER)
    rotated = operator.run("secrets", "rotate", keys=f"{NEWER},{KEY}")
    alone = operator.run("secrets", "rotate", keys=NEWER)

    assert refused.exit_code == 1
    assert key_id(KEY) in refused.output
    assert "1 secrets were re-encrypted" in rotated.output
    assert "No older key is needed any more." in rotated.output
    assert (alone.exit_code, "0 secrets" in alone.output) == (0, True)


def test_a_setting_that_is_missing_is_named_without_a_trace() -> None:
    env = {"DATABASE_URL": "sqlite:///unused.db", "EDGEPOST_SECRET_KEYS": None}

    result = CliRunner().invoke(main, ["sandboxes", "list"], env=env)

    assert result.exit_code == 1
    assert "EDGEPOST_SECRET_KEYS" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 129])
def test_a_client_without_a_readable_name_is_refused(operator: Operator, name: str) -> None:
    refused = operator.run("credentials", "create", "--name", name)

    assert refused.exit_code == 2
    assert "Invalid value for '--name'" in refused.output
    assert operator.run("credentials", "list").output == ""
