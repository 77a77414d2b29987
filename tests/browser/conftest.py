"""One browser and one deployment for all of these tests; a visitor and a datastream for each."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext
from sqlalchemy import make_url

from service.db.engine import open_engine
from service.db.session import SessionFactory
from service.profiles.models import ExperienceEvent
from service.settings import normal_database_url
from tests.browser import authority, chromium, web_sdk
from tests.browser.front import Front, serving
from tests.browser.stored import Stored
from tests.browser.visitors import EDGE, Visitor, forget_everything
from tests.e2e import worlds
from tests.support.admin_client import ORG, AdminClient
from tests.support.deployments import Deployment, deployed

SITES = ("www.shop.test", "www.brand.test")
_HERE = Path(__file__).parent
EDGES = ("edge.shop.test", "edge.other.test")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests in one worker, one after the other, beside no other processes."""
    for item in items:
        if item.path.parent == _HERE:
            item.add_marker(pytest.mark.xdist_group("processes"))
            item.add_marker(pytest.mark.e2e)


@dataclass(frozen=True, slots=True)
class Internet:
    """What stands on port 443, and a browser that finds nothing else.

    Attributes:
        usual: The browser profile of a test's first visitor, blank when the test begins.
        admin: The admin API of the service behind the edge hosts.
    """

    front: Front
    browser: Browser
    usual: BrowserContext
    admin: AdminClient


@dataclass(frozen=True, slots=True)
class Visitors:
    """Everybody who comes in one test."""

    internet: Internet
    known: list[Visitor] = field(default_factory=list)

    def new(self, options: dict[str, Any], *, own_profile: bool) -> Visitor:
        """Return somebody who was never here."""
        is_usual = not self.known and not own_profile
        there = self.internet
        context = there.usual if is_usual else there.browser.new_context()
        self.known.append(Visitor(context, options, there.front))
        return self.known[-1]

    def leave(self) -> None:
        """Forget everybody."""
        for each in self.known:
            if each.context is not self.internet.usual:
                each.context.close()
        forget_everything(self.internet.usual, [f"https://{site}" for site in SITES])


@dataclass(frozen=True, slots=True)
class Shop:
    """A web datastream of a running service, and whoever comes to the site.

    Attributes:
        datastream: The document of the datastream, as the admin API shows it.
    """

    admin: AdminClient
    stored: Stored
    datastream: dict[str, Any]
    visitors: Visitors

    @property
    def id(self) -> str:
        """Return what pages configure as ``datastreamId``."""
        return str(self.datastream["id"])

    def another(self, **settings: Any) -> "Shop":
        """Return the same site with a further datastream."""
        return replace(self, datastream=new_datastream(self.admin, **settings))

    def visitor(self, *, own_profile: bool = False, **options: Any) -> Visitor:
        """Return somebody new; ``options`` change how the site configures the Web SDK.

        With ``own_profile`` the browser profile was never used before, and never is again: what
        service workers leave behind cannot be forgotten in time.
        """
        usual = {
            "datastreamId": self.id,
            "orgId": ORG,
            "edgeDomain": EDGE,
            "thirdPartyCookiesEnabled": False,
            "idMigrationEnabled": False,
        }
        return self.visitors.new(usual | options, own_profile=own_profile)

    def events(self) -> list[ExperienceEvent]:
        """Return what is kept of the visitors, by its own time."""
        return self.stored.events(self.id)

    def consent(self, ecid: str) -> str | None:
        """Return what a visitor last said of collecting."""
        return self.stored.consent(ecid)

    def profile(self, ecid: str) -> Any:
        """Return the person of a visitor, as the admin API shows it."""
        return self.admin.get(f"/profiles/ECID/{ecid}")


@pytest.fixture(scope="package")
def deployment(
    postgres_url: str, postgres_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """Yield a deployment without processes, over a database of its own."""
    name = f"edgepost_browser_{uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{postgres_template}"'.encode())
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    folder = tmp_path_factory.mktemp("deployment")
    with deployed(normal_database_url(url), folder, prepare=()) as made:
        yield made
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture(scope="package")
def stored(deployment: Deployment) -> Iterator[Stored]:
    """Yield the deployment's store."""
    engine = open_engine(deployment.database_url, pool_size=1)
    yield Stored(SessionFactory(engine))
    engine.dispose()


@pytest.fixture(scope="package")
def internet(
    deployment: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Internet]:
    """Yield the sites, the service behind them, and a browser."""
    web = deployment.start_web(WEB_CONCURRENCY="1", EDGEPOST_LOG_LEVEL="WARNING")
    admin = worlds.prepare(deployment, web).admin
    context, digest = authority.certify([*SITES, *EDGES], tmp_path_factory.mktemp("authority"))
    with (
        serving(Front(context, web.url, web_sdk.read_files())) as front,
        chromium.started(port=front.port, key_digest=digest) as browser,
    ):
        usual = browser.new_context()
        usual.new_page()
        yield Internet(front, browser, usual, admin)


@pytest.fixture
def shop(internet: Internet, deployment: Deployment, stored: Stored) -> Iterator[Shop]:
    """Yield a site with a datastream of its own; what passed is shown if the test fails."""
    visitors, exchanges = Visitors(internet), internet.front.exchanges
    began = len(exchanges)
    yield Shop(internet.admin, stored, new_datastream(internet.admin), visitors)
    visitors.leave()
    sys.stdout.write("\n".join([*map(str, exchanges[began:]), deployment.logs()]))


def new_datastream(admin: AdminClient, **settings: Any) -> dict[str, Any]:
    """Create a web datastream."""
    document = {"name": f"web {uuid4().hex[:8]}", "platform": "web", **settings}
    made: dict[str, Any] = admin.post("/datastreams", document)
    return made
