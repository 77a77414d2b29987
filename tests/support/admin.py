"""The admin API in this process: an application over a store, and a client with a token."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from service.access import credentials
from service.access.credentials import NewCredential
from service.access.permissions import ALL_SANDBOXES, Permission
from service.catalog.datastream_book import DatastreamBook
from service.core.secret import Keyring, Secret
from service.db.session import SessionFactory, unit_of_work
from service.flows.delivery_steps import DeliveryTools
from service.flows.vendor_token_store import VendorTokenStore
from service.outbound.action_auth import ActionSecrets
from service.outbound.actions import ActionBook, ActionDirectory
from service.outbound.auth import VendorTokens
from service.outbound.dead_letters import DeadLetters
from service.outbound.egress import AddressGuard
from service.outbound.endpoint_directory import EndpointDirectory
from service.outbound.shared_tokens import SharedTokens
from service.outbound.transport import Transport
from service.outbound.transport_form import AskToken
from service.settings import Settings
from service.web.app import create_app
from tests.support.clocks import FixedClock
from tests.support.fake_transport import FakeTransport
from tests.support.vendor_tokens import no_token_endpoint

KEY = "kFkVIY0vGgEwpU3PcqQ5hGhXWkZ5w4aXx1KzW7m1y1E="
ORG = "EDGEPOST@AdobeOrg"


@dataclass(frozen=True, slots=True)
class AdminServices:
    """What the admin API is made with."""

    settings: Settings
    clock: FixedClock
    sessions: SessionFactory
    keyring: Keyring
    datastreams: DatastreamBook
    actions: ActionBook
    endpoints: EndpointDirectory
    transport: Transport
    token_endpoint: AskToken = no_token_endpoint

    @property
    def delivery(self) -> DeliveryTools:
        """What test requests are sent with; whoever is to be called is the transport's business."""
        shared = SharedTokens(VendorTokenStore(self.sessions, self.keyring), self.clock)
        return DeliveryTools(
            sessions=self.sessions,
            clock=self.clock,
            transport=self.transport,
            actions=ActionDirectory(self.actions, self.clock),
            endpoints=self.endpoints,
            tokens=VendorTokens(shared, self.token_endpoint, self.clock, self.keyring.fingerprint),
            letters=DeadLetters(self.keyring, timedelta(days=7)),
            watch=None,
            worker="admin",
        )


@dataclass(frozen=True, slots=True)
class AdminClient:
    """A client that carries an access token and the headers that go with it."""

    app: Flask
    headers: dict[str, str]

    def call(self, method: str, path: str, **options: Any) -> TestResponse:
        """Send a request; ``headers`` are added to the client's own."""
        headers = {**self.headers, **options.pop("headers", {})}
        return self.app.test_client().open(path, method=method, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.call("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self.call("POST", path, **options)

    def patch(self, path: str, **options: Any) -> TestResponse:
        return self.call("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.call("DELETE", path, **options)

    def without(self, *names: str) -> "AdminClient":
        """Return the same client without some of its headers."""
        kept = {name: value for name, value in self.headers.items() if name not in names}
        return AdminClient(self.app, kept)

    def having(self, **headers: str) -> "AdminClient":
        """Return the same client with other headers; underscores stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return AdminClient(self.app, {**self.headers, **named})


def admin_services(store: SessionFactory, clock: FixedClock) -> AdminServices:
    """Return the services over a store."""
    settings = Settings(database_url="sqlite://", secret_keys=(KEY,), org_id=ORG)
    keyring = Keyring.of([KEY])
    guard = AddressGuard(())
    return AdminServices(
        settings,
        clock,
        store,
        keyring,
        DatastreamBook(keyring, partial(guard.check_url, resolve=_public_address)),
        ActionBook(ActionSecrets(keyring, {}), guard, _public_address),
        EndpointDirectory(clock),
        FakeTransport(),
    )


def _public_address(_host: str) -> list[str]:
    """Resolve every name to an address that is public and nobody's."""
    return ["93.184.215.14"]


def admin_app(store: SessionFactory, clock: FixedClock) -> Flask:
    """Return the application over a store."""
    return create_app(admin_services(store, clock))


def new_client(
    app: Flask,
    *permissions: Permission,
    sandboxes: tuple[str, ...] = (ALL_SANDBOXES,),
) -> tuple[str, Secret]:
    """Create a credential, with every permission unless some are named."""
    services: AdminServices = app.extensions["services"]
    new = NewCredential("test", permissions or tuple(Permission), sandboxes)
    with unit_of_work(services.sessions) as session:
        credential, secret = credentials.create(session, new, now=services.clock.now())
    return credential.client_id, secret


def token_form(client_id: str, secret: Secret, **more: str) -> dict[str, str]:
    """Return the form that a token is asked for with."""
    return {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": secret.reveal(),
        **more,
    }


def signed_in(
    app: Flask,
    *permissions: Permission,
    sandboxes: tuple[str, ...] = (ALL_SANDBOXES,),
) -> AdminClient:
    """Return a client with a token that was issued over HTTP."""
    client_id, secret = new_client(app, *permissions, sandboxes=sandboxes)
    answer = app.test_client().post("/ims/token/v3", data=token_form(client_id, secret))
    assert answer.status_code == 200, answer.text
    token = answer.get_json()["access_token"]
    return AdminClient(
        app,
        {"Authorization": f"Bearer {token}", "x-api-key": client_id, "x-gw-ims-org-id": ORG},
    )
