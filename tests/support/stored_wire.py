"""The hot paths over a real committer and a real store: what is accepted is really kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from service.core.secret import Keyring, new_secret_key
from service.db.session import SessionFactory
from service.flows.committer import Committer
from service.flows.login_proofs import LoginProofs
from service.flows.sources import DatastreamSource, Disabled, InletSource
from service.settings import Settings
from service.web.collection.application import CollectionApplication
from service.web.edge.application import EdgeApplication
from service.web.edge.bearer import TokenReader, nobody
from service.web.wsgi import Application
from tests.support.clocks import FixedClock
from tests.support.wire import FakeSources, NothingPublished, datastream, inlet


@contextmanager
def served(
    store: SessionFactory,
    *sources: DatastreamSource | InletSource | Disabled,
    clock: FixedClock | None = None,
    read_token: TokenReader = nobody,
) -> Iterator[Application]:
    """Yield the hot paths; without sources there are one mobile datastream and one inlet."""
    clock = clock or FixedClock()
    options = Settings("sqlite://", (), answer_within_s=10)
    committer = Committer(store, clock, Keyring.of([new_secret_key()]), options)
    known = FakeSources(*(sources or (datastream(), inlet())))
    services = _Services(known, committer, clock, options)
    collection = CollectionApplication(services, lambda _, __: False)
    try:
        yield Application(EdgeApplication(services, read_token), collection, _nobody)
    finally:
        committer.close()


class _Services:
    def __init__(
        self, sources: FakeSources, committer: Committer, clock: FixedClock, options: Settings
    ) -> None:
        self.sources = sources
        self.committer = committer
        self.clock = clock
        self.settings = options
        self.login_proofs = LoginProofs(NothingPublished())


def _nobody(_: Any, __: Any) -> Any:
    raise AssertionError("no path of this test leads here")
