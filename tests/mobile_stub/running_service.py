"""The real service in this process, behind a real port: what the clients are held against."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select

from mobile_stub import consents, sdk
from mobile_stub.browser import Browser, WebConfig
from mobile_stub.device import Kind, Platform, new_device
from mobile_stub.edge_client import Edge, Phone, Wait
from mobile_stub.page import Page
from mobile_stub.roku import Roku
from service.access import credentials
from service.access.credentials import NewCredential
from service.access.permissions import ALL_SANDBOXES, Permission
from service.bootstrap import Services, build_services
from service.core.clock import SystemClock
from service.db.session import unit_of_work
from service.processes.listener import Listener
from service.profiles.models import ExperienceEvent
from service.settings import Settings
from service.web.main import build_application
from tests.support.admin import KEY
from tests.support.admin_client import AdminClient

KINDS = list(Kind)
_STOP_S = 10
_MOST_WAITS = 20
_LONGEST_WAIT_S = 0.25


class RisingClock:
    """The time of day, later at each look: events are ordered by their milliseconds."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._last = self._clock.now()

    def __call__(self) -> datetime:
        self._last = max(self._clock.now(), self._last + timedelta(milliseconds=1))
        return self._last


@dataclass(frozen=True, slots=True)
class Running:
    """A service that answers, its administrator, and its store."""

    url: str
    admin: AdminClient
    services: Services

    def datastream(self, platform: str, **more: Any) -> str:
        """Create a datastream and return its id."""
        document = {"name": f"{platform} {uuid4().hex}", "platform": platform, **more}
        return str(self.admin.post("/datastreams", document)["id"])

    def edge(self, datastream: str, domain: str = "") -> Edge:
        """Return where clients of a datastream send."""
        return Edge(self.url, datastream, domain=domain)

    def person(self, namespace: str, value: str) -> Any:
        """Return the profile of an identity."""
        return self.admin.get(f"/profiles/{namespace}/{value}")

    def event_types(self, datastream: str) -> list[str | None]:
        """Return the types of the events of a datastream, in the order of their timestamps."""
        with unit_of_work(self.services.sessions) as session:
            events = session.scalars(
                select(ExperienceEvent).where(
                    ExperienceEvent.sandbox_id == 1,
                    ExperienceEvent.source_id == UUID(datastream),
                )
            )
            return [each.event_type for each in sorted(events, key=lambda each: each.at)]


@contextmanager
def running(store: Path) -> Iterator[Running]:
    """Yield the service on one SQLite file."""
    settings = Settings(database_url=f"sqlite:///{store}", secret_keys=(KEY,), port=0)
    services = build_services(settings)
    listener = Listener(build_application(services), settings)
    stopping = Event()
    serving = Thread(
        target=listener.serve,
        args=(stopping, services.clock),
        kwargs={"on_stop": services.committer.close},
        daemon=True,
    )
    serving.start()
    url = f"http://127.0.0.1:{listener.port}"
    new = NewCredential("clients", tuple(Permission), (ALL_SANDBOXES,))
    with unit_of_work(services.sessions) as session:
        made, secret = credentials.create(session, new, now=services.clock.now())
    try:
        yield Running(url, AdminClient(url, made.client_id, secret.reveal()), services)
    finally:
        stopping.set()
        serving.join(_STOP_S)
        services.sessions.engine.dispose()


def phone_of(kind: Kind, service: Running, datastream: str) -> Phone:
    platform = Platform.FCM if kind is Kind.ANDROID else Platform.APNS
    device = new_device(kind, "com.example.shop", platform, uuid4().hex)
    device = consents.with_default(device, "y")
    return Phone(device, service.edge(datastream), wait=_patience(), clock=RisingClock())


def browser_of(service: Running, datastream: str, domain: str = "", **config: Any) -> Browser:
    return Browser(
        Page(),
        service.edge(datastream, domain),
        uuid4().hex,
        wait=_patience(),
        clock=RisingClock(),
        config=WebConfig(**config),
    )


def roku_of(service: Running, datastream: str, *, lower_case: bool = False) -> Roku:
    return Roku(
        service.edge(datastream),
        uuid4().hex,
        lower_case=lower_case,
        wait=_patience(),
        clock=RisingClock(),
    )


def _patience() -> Wait:
    """Return a waiting that is short, for a busy machine, and fails when asked too often."""
    left = [_MOST_WAITS]

    def wait(seconds: float) -> bool:
        left[0] -= 1
        assert left[0] >= 0, "a client was told to wait again and again"
        Event().wait(min(seconds, _LONGEST_WAIT_S))
        return True

    return wait


def send(phone: Phone, event_type: str = "a.b", **more: Any) -> str:
    """Send an event and return its id; it must be acknowledged."""
    hit = phone.act(lambda device, now: sdk.event(device, event_type, now, **more))
    assert hit is not None
    assert phone.drain()
    assert hit.id in phone.acknowledged, phone.responses
    return hit.id
