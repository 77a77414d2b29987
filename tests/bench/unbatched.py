"""The same service with one transaction per request, each in the request's own thread."""

from dataclasses import replace
from wsgiref.types import WSGIApplication

from service.bootstrap import build_services
from service.core.clock import Clock
from service.db.engine import open_engine
from service.db.session import SessionFactory, unit_of_work
from service.flows.ingest import ingest
from service.identity.graph_rows import GraphMovedError
from service.profiles.incoming import IncomingRequest, Kept
from service.settings import read_settings
from service.web.main import build_application

THREADS = 32


class EachByItself:
    """Stands in for the committer; the statements are the same, the batch is always one."""

    def __init__(self, sessions: SessionFactory, clock: Clock) -> None:
        self._sessions = sessions
        self._clock = clock

    def submit(self, request: IncomingRequest) -> Kept:
        """Keep one request in a transaction of its own."""
        while True:
            try:
                with unit_of_work(self._sessions) as session:
                    return ingest(session, [request], now=self._clock.now())[0]
            except GraphMovedError:
                continue

    def close(self) -> None:
        """Nothing waits here."""


def application() -> WSGIApplication:
    """Return the application of one server process."""
    settings = read_settings()
    services = build_services(settings)
    sessions = SessionFactory(open_engine(settings.database_url, pool_size=THREADS))
    alone = EachByItself(sessions, services.clock)
    return build_application(replace(services, committer=alone))  # type: ignore[arg-type]
