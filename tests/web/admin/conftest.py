"""The admin API over both stores, and a client that may do everything."""

import pytest
from flask import Flask

from service.db.session import SessionFactory
from tests.support.admin import AdminClient, admin_app, signed_in
from tests.support.clocks import FixedClock


@pytest.fixture
def app(store: SessionFactory, clock: FixedClock) -> Flask:
    return admin_app(store, clock)


@pytest.fixture
def client(app: Flask) -> AdminClient:
    return signed_in(app)
