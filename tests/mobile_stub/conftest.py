from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import requests

from mobile_stub.browser import Browser, WebConfig
from mobile_stub.device import Kind, Platform, new_device
from mobile_stub.edge_client import Edge, Phone
from mobile_stub.gateway import GatewaySettings, make_app
from mobile_stub.gateway_http import ServerThread
from mobile_stub.page import Page
from tests.mobile_stub.pages import OpenPage
from tests.mobile_stub.phones import Open, VirtualTime
from tests.mobile_stub.running_service import Running, phone_of, running
from tests.mobile_stub.scripted_edge import ScriptedEdge, for_pages
from tests.mobile_stub.vendor_caller import Vendor


@pytest.fixture
def edge() -> Iterator[ScriptedEdge]:
    scripted = ScriptedEdge()
    with ServerThread(lambda _url: scripted) as server:
        scripted.url = server.url
        yield scripted


@pytest.fixture(scope="session")
def gateway_url() -> Iterator[str]:
    with ServerThread(make_app(GatewaySettings())) as server:
        yield server.url


@pytest.fixture
def vendor(gateway_url: str) -> Iterator[Vendor]:
    with requests.Session() as http:
        http.trust_env = False
        account = http.get(f"{gateway_url}/service-account.json", timeout=5).json()
        caller = Vendor(gateway_url, http, account)
        http.delete(f"{gateway_url}/_script", timeout=5)
        caller.access_token = caller.grant(caller.assertion()).json()["access_token"]
        http.delete(f"{gateway_url}/_received", timeout=5)
        yield caller


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def open_phone(edge: ScriptedEdge, time: VirtualTime) -> Iterator[Open]:
    with ExitStack() as phones:

        def opened(
            kind: Kind = Kind.ANDROID,
            *,
            timeout_s: float = 5.0,
            url: str = "",
            configured: bool = True,
            assurance: str = "",
            **more: str,
        ) -> Phone:
            platform = Platform.FCM if kind is Kind.ANDROID else Platform.APNS
            phone = Phone(
                new_device(kind, "com.example.shop", platform, 1),
                Edge(**{"url": url or edge.url, "datastream_id": "ds-1"} | more)
                if configured
                else None,
                wait=time.wait,
                clock=time.clock,
                timeout_s=timeout_s,
                assurance=assurance,
            )
            phones.enter_context(closing(phone))
            return phone

        yield opened


@pytest.fixture
def open_page(edge: ScriptedEdge, time: VirtualTime) -> Iterator[OpenPage]:
    edge.usual = for_pages()
    with ExitStack() as browsers:

        def opened(*, edge_domain: str = "", **config: Any) -> Browser:
            browser = Browser(
                Page(),
                Edge(edge.url, "web-1", domain=edge_domain),
                1,
                wait=time.wait,
                clock=time.clock,
                config=WebConfig(**config),
            )
            browsers.enter_context(closing(browser))
            return browser

        yield opened


@pytest.fixture(scope="session")
def service(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    path = tmp_path_factory.mktemp("service") / "edgepost.db"
    path.write_bytes(sqlite_template.read_bytes())
    with running(path) as started:
        yield started


@pytest.fixture(scope="session")
def mobile(service: Running) -> str:
    return service.datastream("mobile")


@pytest.fixture(scope="session")
def web(service: Running) -> str:
    return service.datastream("web")


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Yield where a test puts the clients that it has opened."""
    with ExitStack() as clients:
        yield clients


@pytest.fixture
def phone(request: pytest.FixtureRequest, service: Running, mobile: str) -> Iterator[Phone]:
    """Yield a phone of the kind that the test asks for."""
    with closing(phone_of(request.param, service, mobile)) as one:
        yield one
