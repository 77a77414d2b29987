from collections.abc import Iterator

import pytest
import requests

from mobile_stub.gateway import GatewaySettings, make_app
from mobile_stub.gateway_http import ServerThread
from tests.mobile_stub.scripted_edge import ScriptedEdge
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
