"""Sandboxes are created once and found by name."""

import pytest

from service.core.errors import ConflictError, InvalidInputError, NotFoundError
from service.db.session import SessionFactory, unit_of_work
from service.sandboxes import registry
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock


def test_a_sandbox_is_found_by_its_name(store: SessionFactory, clock: FixedClock) -> None:
    with unit_of_work(store) as session:
        registry.create(session, name="dev-1", title="Dev", type_="development", now=clock.now())

    with unit_of_work(store) as session:
        assert registry.find(session, "dev-1") == Scope(2, "dev-1")
        assert registry.find(session, "dev-2") is None
        assert [each.name for each in registry.list_all(session)] == ["prod", "dev-1"]


def test_a_name_is_taken_once(store: SessionFactory, clock: FixedClock) -> None:
    with pytest.raises(ConflictError), unit_of_work(store) as session:
        registry.create(session, name="prod", title="P", type_="production", now=clock.now())


@pytest.mark.parametrize("name", ["", "Prod", "1dev", "dev_1", "-dev", "dev ", "a" * 257])
def test_a_name_that_a_header_could_not_carry_is_refused(
    sqlite_store: SessionFactory,
    clock: FixedClock,
    name: str,
) -> None:
    with pytest.raises(InvalidInputError), unit_of_work(sqlite_store) as session:
        registry.create(session, name=name, title="T", type_="development", now=clock.now())


def test_an_unknown_type_is_refused(sqlite_store: SessionFactory, clock: FixedClock) -> None:
    with pytest.raises(InvalidInputError), unit_of_work(sqlite_store) as session:
        registry.create(session, name="dev", title="T", type_="staging", now=clock.now())


def test_a_sandbox_that_does_not_exist_is_not_got(sqlite_store: SessionFactory) -> None:
    with pytest.raises(NotFoundError), unit_of_work(sqlite_store) as session:
        registry.get(session, "nowhere")
