"""Whatever two web processes and a batch do at once, the end is that of doing it one by one.

Every device speaks to both processes at the same time, so that they write the same rows.
"""

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from uuid import uuid4

import psycopg
import pytest

from mobile_stub import sdk
from mobile_stub.device import new_token
from service.core.clock import SystemClock
from service.core.secret import Keyring, new_secret_key
from service.db.engine import open_engine
from service.db.session import SessionFactory, unit_of_work
from service.flows import evaluate_segments
from service.flows.ingest import ingest
from service.flows.sources import DatastreamSource, SourceDirectory
from service.jobs import queue
from service.jobs.queue import JobKind, NewJob
from service.profiles.incoming import IncomingRequest
from service.sandboxes.scope import Scope
from service.settings import normal_database_url
from service.web.edge.protocol import parse
from service.web.edge.target import EdgeTarget
from tests.e2e import worlds
from tests.e2e.fleet import Fleet, RememberingPhone, phones_at, twins_of
from tests.support.deployments import Deployment

pytestmark = [pytest.mark.e2e, pytest.mark.faults]
SECONDS = float(os.environ.get("EDGEPOST_TEST_CROSSING_S", "30"))
DEVICES = 50
PEOPLE = tuple(f"C-{number}" for number in range(8))
EMAILS = (None, *(f"{number}@example.com" for number in range(8)))
PAUSE_S = 3.0
BATCH_PAUSE_S = 0.2
SCOPE = Scope(1, "prod")
CLOCK = SystemClock()
KEYS = Keyring.of([new_secret_key()])
STREAMING = {
    "bought": 'CHAIN(xEvent, timestamp, [C0: WHAT(eventType = "commerce.purchases") '
    "WHEN(<= 24 hours before now)])",
    "launched": 'CHAIN(xEvent, timestamp, [C0: WHAT(eventType = "application.launch") '
    "WHEN(<= 24 hours before now)])",
}
BATCH = {
    "looked": 'CHAIN(xEvent, timestamp, [C0: WHAT(eventType = "commerce.productViews") '
    "WHEN(<= 24 hours before now)])",
}
STATE = {
    "identities": """
        SELECT namespace, value, graph_id, profile_id, parent_id, login_id, login_at, login_event,
            ambiguous_id, ambiguous_at, ambiguous_event, had_login FROM identity
    """,
    "profiles": """
        SELECT id, merged_into FROM profile WHERE id IN (SELECT profile_id FROM identity)
    """,
    "tokens": """
        SELECT token, device_id, announced_at, announced_event, owner_id FROM push_token
    """,
    "slots": """
        SELECT device_id, app_id, platform, announced_at, announced_event FROM push_token_slot
    """,
    "owners": "SELECT token_id, identity_id FROM push_token_owner WHERE to_at IS NULL",
    "events": "SELECT event_id, identity_id FROM experience_event",
    "members": "SELECT segment_id, profile_id FROM segment_membership WHERE status = 'realized'",
    "stays": "SELECT segment_id, profile_id FROM segment_membership_interval WHERE left_at IS NULL",
}


def cross(phone: RememberingPhone, source: random.Random) -> None:
    """Pass the phone on, log out, get a new token, or reset it and keep its token."""
    chance = source.random()
    device = phone.device
    if device.token is None or chance < 0.1:
        token = new_token(device.platform, source)
        phone.act(lambda held, now: sdk.rotate_token(held, token, now))
    elif chance < 0.5:
        person, email = source.choice(PEOPLE), source.choice(EMAILS)
        phone.change(lambda held: sdk.switch_login(held, person))
        phone.change(lambda held: sdk.switch_login(held, email, "Email") if email else held)
    elif chance < 0.6:
        phone.change(lambda held: sdk.logout(sdk.logout(held), "Email"))
    elif chance < 0.62 and device.resets == 0:
        kept = device.token
        phone.change(sdk.reset_identities)
        phone.act(lambda held, now: sdk.install(held, kept, now))
    rare = source.choice(("commerce.purchases", "commerce.productViews", "application.launch"))
    kind = rare if source.random() < 0.05 else "application.close"
    phone.act(lambda held, now: sdk.event(held, kind, now))


def test_crossing_logins_on_two_web_processes_end_as_if_done_one_by_one(
    deployment: Deployment, database: str, postgres_store: SessionFactory, seed: int
) -> None:
    webs = [deployment.start_web(WEB_CONCURRENCY="1") for _ in range(2)]
    world = worlds.prepare(deployment, webs[0])
    for name, rule in STREAMING.items():
        world.create_segment(name, rule, evaluation="continuous")
    for name, rule in BATCH.items():
        world.create_segment(name, rule, evaluation="batch")
    devices = phones_at([world.edge(webs[0])], DEVICES, seed)
    phones = [*devices, *twins_of(devices, world.edge(webs[1]))]
    fleet = Fleet(phones, cross, seed, PAUSE_S)
    store = SessionFactory(open_engine(normal_database_url(database)))

    with fleet.playing(), evaluating(store) as rounds:
        Event().wait(SECONDS)
    evaluate(store)

    assert fleet.acknowledged == set(fleet.hits), "a hit was dropped"
    assert len(rounds) >= SECONDS / 5, "the batch did not run throughout"
    assert {answer.status for answer in fleet.answers} <= {200, 503}
    replayed = postgres_store.engine.url.set(drivername="postgresql")
    other = replayed.render_as_string(hide_password=False)
    copy_segments(database, other)
    datastream = SourceDirectory(store, CLOCK, KEYS).datastream(world.datastream)
    assert isinstance(datastream, DatastreamSource)
    replay(postgres_store, one_by_one(fleet, datastream))
    evaluate(postgres_store)
    store.engine.dispose()
    ended, wanted = state(database), state(other)
    assert len(wanted["members"]) > len(PEOPLE), "the segments are empty"
    for part, rows in wanted.items():
        assert ended[part] == rows, f"{part} differ"


def one_by_one(fleet: Fleet, source: DatastreamSource) -> list[IncomingRequest]:
    """Return the acknowledged requests in the order that counts: event time, then ``_id``."""
    requests = [
        parse(
            EdgeTarget("interact", str(uuid4()), str(source.id)),
            source,
            sdk.render(phone.hits[key], phone.device, CLOCK.now()),
            CLOCK.now(),
        ).incoming
        for phone in fleet.phones
        for key in phone.acknowledged
    ]
    return sorted(requests, key=lambda each: (each.events[0].at, each.events[0].event_id))


def replay(store: SessionFactory, requests: Sequence[IncomingRequest]) -> None:
    """Keep each request in a transaction of its own."""
    for request in requests:
        with unit_of_work(store) as session:
            ingest(session, [request], now=CLOCK.now())


@contextmanager
def evaluating(store: SessionFactory) -> Iterator[list[float]]:
    """Run one batch after the other while the block runs."""
    over = Event()
    rounds: list[float] = []
    failures: list[BaseException] = []

    def repeat() -> None:
        try:
            while not over.wait(BATCH_PAUSE_S):
                evaluate(store)
                rounds.append(CLOCK.monotonic())
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    thread = Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield rounds
    finally:
        over.set()
        thread.join(30)
    assert not failures, failures


def evaluate(store: SessionFactory) -> None:
    """Do one job that evaluates every segment for everybody."""
    now = CLOCK.now()
    new = NewJob(JobKind.EVALUATE_SEGMENTS, str(uuid4()), {"segments": ["*"]}, now)
    with unit_of_work(store) as session:
        queue.enqueue(session, SCOPE, new, now=now)
    assert evaluate_segments.run_due(store, "test", CLOCK) == 1


def copy_segments(database: str, other: str) -> None:
    """Copy the segment definitions, with their ids."""
    with (
        psycopg.connect(database) as here,
        psycopg.connect(other) as there,
        here.cursor().copy("COPY segment TO STDOUT") as read,
        there.cursor().copy("COPY segment FROM STDIN") as written,
    ):
        for data in read:
            written.write(data)


def state(database: str) -> dict[str, set[tuple[object, ...]]]:
    """Return what must not depend on the order of arrival."""
    with psycopg.connect(database) as connection:
        return {
            part: set(connection.execute(statement.encode()).fetchall())
            for part, statement in STATE.items()
        }
