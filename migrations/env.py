"""Runs migrations on the connection that ``service.db.migrations`` hands over."""

import pkgutil
from importlib import import_module

from alembic import context

import service
from service.db.base import Base

for module in pkgutil.walk_packages(service.__path__, "service."):
    if module.name.endswith(".models"):
        import_module(module.name)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
    compare_server_default=True,
    user_module_prefix="types.",
)
with context.begin_transaction():
    context.run_migrations()
