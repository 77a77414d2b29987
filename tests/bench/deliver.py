"""Deliveries per second from claim to recorded outcome, against bare clients on the same sink."""

import asyncio
import io
import json
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any
from uuid import uuid4

import pycurl
import requests
from sqlalchemy import text

from service.bootstrap import Services, build_services, delivery_tools
from service.core import memory
from service.core.clock import SystemClock
from service.core.secret import Secret, new_secret_key
from service.db.migrations import migrate
from service.db.session import unit_of_work
from service.flows import advance_journeys
from service.flows.check_ledgers import check_ledgers
from service.flows.delivery_lane import LaneRunner
from service.flows.ingest import ingest
from service.flows.open_sandbox import open_sandbox
from service.identity.identity_map import ClaimedIdentity
from service.journeys import lifecycle
from service.journeys.validation import Known
from service.outbound import delivery_views
from service.outbound.auth_account import ServiceAccountAuth, mint, parse_service_account
from service.outbound.connection_spec import DIRECT
from service.outbound.egress import AddressGuard
from service.outbound.new_action import NewAction
from service.outbound.transport_form import ask_token
from service.sandboxes.scope import Scope
from service.settings import Settings, normal_database_url
from tests.bench.ingest import assert_durable
from tests.support.builders import event, person, request, source, token
from tests.support.database import PostgresServer, running_postgres

WARM_UP = 1000
DELIVERIES = 8000
ROUNDS = 3
RIVAL_MESSAGES = 1500
HANDLES = 64
_PROJECT = "stub-project"
_EVENT_ID = "bench-order"


@dataclass(frozen=True, slots=True)
class Sink:
    """The vendor stub, and what it has accepted."""

    url: str

    def accepted(self) -> int:
        """Return how many messages it accepted since it was last emptied."""
        return int(requests.get(f"{self.url}/_received/count", timeout=10).json()["byRoute"]["fcm"])

    def empty(self) -> None:
        """Forget what was received."""
        requests.delete(f"{self.url}/_received", timeout=10).raise_for_status()

    def service_account(self) -> dict[str, Any]:
        """Return the credentials file that the stub made for itself."""
        found: dict[str, Any] = requests.get(f"{self.url}/service-account.json", timeout=30).json()
        return found


def main() -> None:
    """Print one JSON line."""
    with running_postgres(durable=True) as server, vendor() as sink:
        assert_durable(server)
        ours = [_round(server, sink, number) for number in range(ROUNDS)]
        bare = [_bare(sink) for _ in range(ROUNDS)]
        rivals = {name: _rival(sink, send) for name, send in _RIVALS.items()}
    print(json.dumps({"rivals_per_s": rivals}), file=sys.stderr)
    per_s, fastest = statistics.median(ours), max(rivals.values())
    line = {
        "bench": "deliver",
        "per_s": round(per_s),
        "vs_bare_client": round(per_s / statistics.median(bare), 2),
        "vs_firebase_admin": round(per_s / fastest, 2),
        "bare_client_per_s": round(statistics.median(bare)),
        "firebase_admin_per_s": round(fastest),
    }
    print(json.dumps(line))


@contextmanager
def vendor() -> Iterator[Sink]:
    """Run the vendor stub as a process of its own."""
    command = [sys.executable, "-m", "mobile_stub", "gateway", "--port", "0", "--keep", "10"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield Sink(str(json.loads(process.stdout.readline())["url"]))
    finally:
        process.terminate()
        process.wait(timeout=10)


def _round(server: PostgresServer, sink: Sink, number: int) -> float:
    """Deliver a fresh store's messages and return how many that was per second.

    The first thousand are not timed: with them the store's tables get the statistics that
    autovacuum gives them within a minute, and connections and statements are there.
    """
    services = build_services(_settings(server.create_database(f"deliver{number}")))
    scope = _prepare(services, sink)
    _due(services, scope)
    sink.empty()
    tools = delivery_tools(services)
    with unit_of_work(services.sessions) as session:
        (lane,) = delivery_views.due_lanes(session, now=services.clock.now())
    with ThreadPoolExecutor(1) as recorder:
        runner = LaneRunner(tools, lane, recorder=recorder)
        _deliver(runner, WARM_UP)
        _analyze(services)
        memory.settle()
        warm = sum(runner.recorded.values())
        began = perf_counter()
        _deliver(runner, WARM_UP + DELIVERIES)
        elapsed = perf_counter() - began
        runner.close()
    _agree(services, sink)
    services.sessions.engine.dispose()
    return (WARM_UP + DELIVERIES - warm) / elapsed


def _deliver(runner: LaneRunner, count: int) -> None:
    """Work as the worker does, until ``count`` outcomes are recorded."""
    while sum(runner.recorded.values()) < count:
        runner.step(0.02)


def _analyze(services: Services) -> None:
    with services.sessions.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))


def _settings(url: str) -> Settings:
    return Settings(normal_database_url(url), (new_secret_key(),)).allowing("127.0.0.0/8")


def _prepare(services: Services, sink: Sink) -> Scope:
    migrate(services.sessions.engine)
    now = services.clock.now()
    with unit_of_work(services.sessions) as session:
        scope = open_sandbox(session, name="prod", title="P", type_="production", now=now)
        action = services.actions.create(session, scope, _action(sink), now=now)
        version = lifecycle.create(session, scope, _journey(str(action.id)), now=now)
        known = Known(frozenset(), frozenset({str(action.id)}), frozenset({"CRMID"}))
        lifecycle.publish(session, scope, version.journey_id, known, lambda _: None, now=now)
    return scope


def _action(sink: Sink) -> NewAction:
    return NewAction(
        name="push",
        adapter="fcm",
        payload={"adb_title": "Your order shipped", "adb_body": "Tap to follow the parcel"},
        auth={"type": "serviceAccount", "credentials": json.dumps(sink.service_account())},
        settings={"projectId": _PROJECT, "endpoint": sink.url},
    )


def _journey(action_id: str) -> dict[str, Any]:
    return {
        "name": "bench",
        "type": "unitary",
        "identityNamespace": "CRMID",
        "nodes": [
            {
                "id": "start",
                "type": "unitary",
                "eventID": _EVENT_ID,
                "transitions": [{"targetNodeId": "call"}],
            },
            {
                "id": "call",
                "type": "custom_action",
                "actionId": action_id,
                "transitions": [{"targetNodeId": "end"}],
            },
            {"id": "end", "type": "end"},
        ],
    }


def _due(services: Services, scope: Scope) -> None:
    """Bring people with tokens into the journey and up to their delivery."""
    origin = source(scope=scope)
    for _ in range(0, WARM_UP + DELIVERIES, 500):
        now = services.clock.now()
        batch = [request(_arrival(), source_=origin, received_at=now) for _ in range(500)]
        with unit_of_work(services.sessions) as session:
            ingest(session, batch, now=now)
    while advance_journeys.advance(services.sessions, services.clock, limit=500):
        pass
    _analyze(services)


def _arrival() -> Any:
    device = ClaimedIdentity("ECID", f"{uuid4().int % 10**38:038d}")
    orchestration = {"campaign": {"orchestration": {"eventID": _EVENT_ID}}}
    return event(
        device,
        person(uuid4().hex),
        tokens=(token(device, f"token-{uuid4().hex}{uuid4().hex}"),),
        xdm={"_experience": orchestration},
    )


def _agree(services: Services, sink: Sink) -> None:
    """Fail unless the vendor, the deliveries and the ledger count the same."""
    (ledger,) = check_ledgers(services.sessions)
    (version,) = ledger.versions
    sent = version.nodes["call"].amounts["sent"]
    assert ledger.is_balanced
    assert sink.accepted() == sent == WARM_UP + DELIVERIES, (sink.accepted(), sent)


def _bare(sink: Sink) -> float:
    """Post the same bodies in a bare loop of the same client library."""
    bearer = _bearer(sink)
    multi = pycurl.CurlMulti()
    handles = [pycurl.Curl() for _ in range(HANDLES)]
    multi.handles = handles  # type: ignore[attr-defined]
    url = f"{sink.url}/v1/projects/{_PROJECT}/messages:send"
    for handle in handles:
        handle.setopt(pycurl.URL, url)
        handle.setopt(
            pycurl.HTTPHEADER,
            [
                f"Authorization: {bearer}",
                "Expect:",
                "Content-Type: application/json; charset=UTF-8",
            ],
        )
        handle.setopt(pycurl.NOSIGNAL, 1)
        handle.setopt(pycurl.WRITEFUNCTION, io.BytesIO().write)
    bodies = iter([_body() for _ in range(DELIVERIES)])
    began = perf_counter()
    done, active = 0, 0
    for handle in handles:
        handle.setopt(pycurl.POSTFIELDS, next(bodies))
        multi.add_handle(handle)
        active += 1
    while active:
        multi.perform()
        _, finished, failed = multi.info_read()
        assert not failed, failed
        for handle in finished:
            multi.remove_handle(handle)
            done, active = done + 1, active - 1
            body = next(bodies, None)
            if body is not None:
                handle.setopt(pycurl.POSTFIELDS, body)
                multi.add_handle(handle)
                active += 1
        if not finished:
            multi.select(0.01)
    elapsed = perf_counter() - began
    assert done == DELIVERIES
    return DELIVERIES / elapsed


def _body() -> bytes:
    message = {
        "token": f"token-{uuid4().hex}{uuid4().hex}",
        "data": {
            "adb_title": "Your order shipped",
            "adb_body": "Tap to follow the parcel",
            "_xdm": "x" * 330,
        },
        "android": {"priority": "HIGH", "ttl": "1800s"},
    }
    return json.dumps({"message": message}).encode()


def _bearer(sink: Sink) -> str:
    account = parse_service_account(Secret(json.dumps(sink.service_account())))
    ask = partial(ask_token, timeout=10, guard=AddressGuard.of("127.0.0.0/8"))
    now = SystemClock().now()
    return f"Bearer {mint(ServiceAccountAuth(account), ask, DIRECT, now=now).token.reveal()}"


def _send_each(messaging: Any, messages: list[Any], app: Any) -> None:
    for start in range(0, len(messages), 500):
        messaging.send_each(messages[start : start + 500], app=app)


def _send_loop(messaging: Any, messages: list[Any], app: Any) -> None:
    for message in messages:
        messaging.send(message, app=app)


def _send_each_async(messaging: Any, messages: list[Any], app: Any) -> None:
    async def send() -> None:
        for start in range(0, len(messages), 500):
            await messaging.send_each_async(messages[start : start + 500], app=app)

    asyncio.run(send())


_RIVALS: dict[str, Callable[[Any, list[Any], Any], None]] = {
    "send_each": _send_each,
    "send": _send_loop,
    "send_each_async": _send_each_async,
}


def _rival(sink: Sink, send: Callable[[Any, list[Any], Any], None]) -> float:
    """Return firebase-admin's median messages per second in one of its ways to send."""
    warnings.simplefilter("ignore")
    import firebase_admin  # noqa: PLC0415 - slow to import, and only the rival needs it
    from firebase_admin import credentials, messaging  # noqa: PLC0415

    data = {
        "adb_title": "Your order shipped",
        "adb_body": "Tap to follow the parcel",
        "_xdm": "x" * 330,
    }
    rates = []
    for _ in range(ROUNDS):
        app = firebase_admin.initialize_app(
            credentials.Certificate(sink.service_account()),
            {"projectId": _PROJECT},
            name=uuid4().hex,
        )
        service = messaging._get_messaging_service(app)  # noqa: SLF001 - its URL has no setting
        service._fcm_url = f"{sink.url}/v1/projects/{_PROJECT}/messages:send"  # noqa: SLF001
        sink.empty()
        messages = [
            messaging.Message(token=f"token-{uuid4().hex}{uuid4().hex}", data=data)
            for _ in range(RIVAL_MESSAGES)
        ]
        began = perf_counter()
        send(messaging, messages, app)
        rates.append(RIVAL_MESSAGES / (perf_counter() - began))
        assert sink.accepted() == RIVAL_MESSAGES
    return round(statistics.median(rates))


if __name__ == "__main__":
    main()
