"""Requests that wait together are kept together, and none suffers for another."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Event

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.audit.models import QuarantinedBody
from service.core.clock import Clock, SystemClock
from service.core.errors import RefusedDataError, StoreUnavailableError
from service.core.secret import Keyring, new_secret_key
from service.db.engine import open_engine
from service.db.session import SessionFactory
from service.flows.committer import Committer, worth_a_batch
from service.profiles.incoming import IncomingRequest, Kept
from service.profiles.models import ExperienceEvent
from service.settings import Settings
from tests.support.builders import ecid, event, request
from tests.support.clocks import FixedClock
from tests.support.database import free_port

KEYS = Keyring.of([new_secret_key()])
UNSTORABLE = "\ud800"
GATHERING_S = 0.2
SETTINGS = Settings("sqlite://", (), answer_within_s=10)


class HeldStore(SessionFactory):
    """A store that opens no session before the test says so; until then requests gather."""

    def __init__(self, store: SessionFactory) -> None:
        super().__init__(store.engine)
        self.go = Event()

    @contextmanager
    def opened(self) -> Iterator[Session]:
        self.go.wait(10)
        with super().opened() as session:
            yield session


@contextmanager
def committing(
    store: SessionFactory,
    settings: Settings = SETTINGS,
    clock: Clock | None = None,
    company_s: float = 0.02,
) -> Iterator[Committer]:
    committer = Committer(store, clock or SystemClock(), KEYS, settings, company_s=company_s)
    try:
        yield committer
    finally:
        committer.close()


def submit_together(
    committer: Committer, store: HeldStore, requests: Sequence[IncomingRequest]
) -> list[Future[Kept]]:
    """Submit the first, let the others gather behind it, and return when all are answered."""
    with ThreadPoolExecutor(len(requests)) as threads:
        futures = [threads.submit(committer.submit, each) for each in requests]
        Event().wait(GATHERING_S)
        store.go.set()
    return futures


def stored(store: SessionFactory) -> list[str]:
    with store.opened() as session:
        statement = select(ExperienceEvent.event_id).where(ExperienceEvent.sandbox_id == 1)
        return sorted(session.scalars(statement))


def test_a_guilty_request_is_refused_alone_and_set_aside_for_the_operator(
    store: SessionFactory,
) -> None:
    held = HeldStore(store)
    requests = [request(event(ecid(number), event_id=f"e{number}")) for number in range(8)]
    guilty = event(ecid(9), event_id="guilty", event_type=UNSTORABLE)
    requests.insert(5, request(guilty, body=b"its body"))

    with committing(held) as committer:
        futures = submit_together(committer, held, requests)

    failed = [number for number, future in enumerate(futures) if future.exception()]
    assert failed == [5]
    assert isinstance(futures[5].exception(), RefusedDataError)
    assert stored(store) == [f"e{number}" for number in range(8)]
    with store.opened() as session:
        (kept,) = session.scalars(
            select(QuarantinedBody).where(QuarantinedBody.sandbox_id == 1)
        ).all()
    assert KEYS.decrypt(kept.body).reveal() == "its body"


def test_what_gathers_during_a_commit_is_answered_one_by_one(store: SessionFactory) -> None:
    held = HeldStore(store)
    same = request(event(ecid(1), event_id="same"))
    other = request(event(ecid(1), event_id="a"), event(ecid(1), event_id="b"))

    with committing(held) as committer:
        futures = submit_together(committer, held, [same, other, same, same])

    answers = [future.result() for future in futures]
    assert sum(answer.stored for answer in answers) == 3
    assert sum(answer.duplicates for answer in answers) == 2
    assert answers[1] == Kept(stored=2)


def test_without_a_store_every_waiter_is_told_to_come_again() -> None:
    away = SessionFactory(
        open_engine(f"postgresql+psycopg://postgres@127.0.0.1:{free_port()}/away")
    )
    held = HeldStore(away)

    with committing(held) as committer:
        futures = submit_together(committer, held, [request(event(ecid(1))) for _ in range(4)])

    errors = [future.exception() for future in futures]
    assert [type(error) for error in errors] == [StoreUnavailableError] * 4
    assert all(isinstance(e, StoreUnavailableError) and e.retry_after_s >= 1 for e in errors)


def test_a_full_queue_takes_no_more(store: SessionFactory) -> None:
    held = HeldStore(store)
    requests = [request(event(ecid(number))) for number in range(12)]

    with committing(held, replace(SETTINGS, queue_events=4, batch_events=4)) as committer:
        futures = submit_together(committer, held, requests)

    refused = [each for each in futures if isinstance(each.exception(), StoreUnavailableError)]
    assert 4 <= len(refused) <= 8
    assert len(stored(store)) == len(requests) - len(refused)


def test_closing_keeps_what_waits_and_takes_nothing_new(store: SessionFactory) -> None:
    held = HeldStore(store)
    committer = Committer(held, SystemClock(), KEYS, SETTINGS)

    futures = submit_together(committer, held, [request(event(ecid(n))) for n in range(5)])
    committer.close()

    assert [future.result().stored for future in futures] == [1] * 5
    with pytest.raises(StoreUnavailableError):
        committer.submit(request(event(ecid(9))))


@pytest.mark.parametrize(
    ("last_size", "waiting", "worth"),
    [(0, 1, 0), (1, 1, 1), (0, 40, 36), (28, 4, 28), (64, 64, 64)],
)
def test_a_small_batch_after_a_large_one_waits_for_company_and_a_lone_request_does_not(
    last_size: int, waiting: int, worth: int
) -> None:
    assert worth_a_batch(last_size, waiting, 64) == worth


def test_a_batch_that_nobody_joins_is_kept_all_the_same(store: SessionFactory) -> None:
    together = [request(event(ecid(number))) for number in range(8)]
    held = HeldStore(store)
    with committing(held) as committer:
        submit_together(committer, held, together)

        alone = committer.submit(request(event(ecid(9))))

    assert alone.stored == 1


PATIENT_S = 60
IMPATIENT = replace(SETTINGS, answer_within_s=5)


class HurriedClock(FixedClock):
    """A clock on which a second passes whenever somebody looks, until it is told to stand."""

    is_standing = False

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        if not self.is_standing:
            self.advance(1)
        return super().monotonic()


def test_a_lone_request_does_not_wait_for_those_who_were_answered_long_ago(
    store: SessionFactory,
) -> None:
    together = [request(event(ecid(number))) for number in range(8)]
    held = HeldStore(store)
    with committing(held, IMPATIENT, HurriedClock(), company_s=PATIENT_S) as committer:
        answers = [each.result().stored for each in submit_together(committer, held, together)]

        alone = committer.submit(request(event(ecid(9))))

    assert answers == [1] * 8
    assert alone.stored == 1


def test_a_batch_that_is_full_waits_for_nobody(store: SessionFactory) -> None:
    together = [request(event(ecid(number))) for number in range(8)]
    heavy = [request(*(event(ecid(number)) for _ in range(6))) for number in range(2)]
    held, clock = HeldStore(store), HurriedClock()
    settings = replace(IMPATIENT, batch_events=10)
    with committing(held, settings, clock, company_s=PATIENT_S) as committer:
        submit_together(committer, held, together)
        clock.is_standing = True

        answers = [each.result().stored for each in submit_together(committer, held, heavy)]

    assert answers == [6, 6]
