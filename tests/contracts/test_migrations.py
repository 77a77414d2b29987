"""Migrations end in exactly the tables of the models, on both engines."""

import importlib
import pkgutil

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import service
from service.db.base import Base
from service.db.migrations import is_current, migrate
from service.db.session import SessionFactory


def _load_models() -> None:
    for module in pkgutil.walk_packages(service.__path__, "service."):
        if module.name.endswith(".models"):
            importlib.import_module(module.name)


def test_the_migrated_store_has_the_tables_of_the_models(store: SessionFactory) -> None:
    _load_models()
    with store.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)

        assert compare_metadata(context, Base.metadata) == []
        assert is_current(connection)


def test_migrating_again_changes_nothing(store: SessionFactory) -> None:
    migrate(store.engine)

    with store.engine.connect() as connection:
        assert is_current(connection)


def test_every_table_leads_with_its_sandbox_or_stands_above_them() -> None:
    _load_models()
    above = {"sandbox", "api_credential", "signing_key", "process_lease"}

    for table in Base.metadata.sorted_tables:
        if table.name not in above:
            assert next(iter(table.primary_key.columns)).name == "sandbox_id", table.name
