"""Group commit: requests wait together, one transaction keeps them, each gets its own answer.

A request thread hands its request over and waits. One committer thread per process drains what is
waiting, runs ``flows.ingest`` over it, commits and wakes everyone. While one batch commits the next
one gathers, so batches grow with the load. Those who were just answered are about to be back, so a
small batch right after a larger one waits some milliseconds for them; where nobody was answered
lately, a lone request never waits.
Source: service/decisions/0004-group-commit.md.
"""

import os
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Condition, Event, Thread

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.audit import quarantine
from service.core.clock import Clock
from service.core.errors import RefusedDataError, StoreUnavailableError
from service.core.secret import Keyring, Secret
from service.db.session import SessionFactory, is_conflict, unit_of_work
from service.flows.ingest import ingest
from service.identity.graph_rows import GraphMovedError
from service.profiles.incoming import IncomingRequest, Kept
from service.settings import Settings

_LOG = structlog.get_logger("service.flows.committer")
_TRIES = 3
_GRAPH_TRIES = 10
_RETRY_AFTER_S = (2, 7)
_SHOWN_SQL = 200
_COMPANY_S = 0.02
_LATELY_S = 0.1


@dataclass(slots=True)
class _Waiting:
    """A request and, once ``done`` is set, its answer or its error."""

    request: IncomingRequest
    done: Event = field(default_factory=Event)
    kept: Kept | None = None
    error: Exception | None = None

    @property
    def weight(self) -> int:
        return max(1, len(self.request.events) + len(self.request.records))


def worth_a_batch(last_size: int, waiting: int, most: int) -> int:
    """Return how many a batch should hold when ``waiting`` are there and ``last_size`` were before.

    Half of a batch's cost is the same for one request as for thirty. Whoever was answered and
    whoever waits now make up the load, so nine in ten of them are worth some milliseconds.
    """
    return min(most, (last_size + waiting) * 9 // 10)


class Committer:
    """Keeps requests in micro-batches; one per server process, started at its first request."""

    def __init__(
        self,
        sessions: SessionFactory,
        clock: Clock,
        keyring: Keyring,
        settings: Settings,
        *,
        on_commit: Callable[[], None] | None = None,
        company_s: float = _COMPANY_S,
    ) -> None:
        self._on_commit = on_commit
        self._sessions = sessions
        self._clock = clock
        self._keyring = keyring
        self._settings = settings
        self._queue: deque[_Waiting] = deque()
        self._weight = 0
        self._last_size = 0
        self._answered_at = clock.monotonic()
        self._company_s = company_s
        self._enough = 1
        self._changed = Condition()
        self._thread: Thread | None = None
        self._pid = 0
        self._is_closing = False

    def submit(self, request: IncomingRequest) -> Kept:
        """Return when the request is committed.

        Raises:
            StoreUnavailableError: The queue is full, the store is away or the wait was too long.
                An event may still commit after this; its ``_id`` makes the retry harmless.
            RefusedDataError: The store refuses this request's data; its neighbours are kept.
        """
        waiting = _Waiting(request)
        with self._changed:
            if self._is_closing or self._weight >= self._settings.queue_events:
                raise StoreUnavailableError(
                    "Too much is waiting; try again.", retry_after_s=_jittered()
                )
            self._start_once()
            self._queue.append(waiting)
            self._weight += waiting.weight
            if self._is_worth_taking():
                self._changed.notify()
        if not waiting.done.wait(self._settings.answer_within_s):
            raise StoreUnavailableError("The store is slow; try again.", retry_after_s=_jittered())
        if waiting.error is not None:
            raise waiting.error
        assert waiting.kept is not None  # noqa: S101 - done without an error means kept
        return waiting.kept

    def close(self) -> None:
        """Take no more, keep what is waiting and return when the last batch is committed."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _start_once(self) -> None:
        """Start the thread in the process that uses it: threads do not survive a fork."""
        if self._thread is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._thread = Thread(target=self._run, name="committer", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                self._keep(batch)
            except Exception:  # noqa: BLE001 - whatever it is, nobody may be left waiting
                _LOG.exception("committer_failed", requests=len(batch))
            finally:
                self._answered_at = self._clock.monotonic()
                for waiting in batch:
                    if waiting.kept is None and waiting.error is None:
                        waiting.error = StoreUnavailableError(
                            "The request could not be kept; try again.",
                            retry_after_s=_jittered(),
                        )
                    waiting.done.set()

    def _next_batch(self) -> list[_Waiting]:
        with self._changed:
            while not self._queue and not self._is_closing:
                self._changed.wait()
            self._await_company()
            batch: list[_Waiting] = []
            room = self._settings.batch_events
            while self._queue and (not batch or self._queue[0].weight <= room):
                waiting = self._queue.popleft()
                self._weight -= waiting.weight
                room -= waiting.weight
                batch.append(waiting)
            self._last_size = len(batch)
            return batch

    def _await_company(self) -> None:
        """Wait shortly for those who are about to be back; the lock is held again after it."""
        is_lately = self._clock.monotonic() - self._answered_at <= _LATELY_S
        last_size = self._last_size if is_lately else 0
        self._enough = worth_a_batch(last_size, len(self._queue), self._settings.batch_events)
        if not self._is_worth_taking() and not self._is_closing:
            self._changed.wait(self._company_s)
        self._enough = 1

    def _is_worth_taking(self) -> bool:
        is_full = self._weight >= self._settings.batch_events
        return is_full or len(self._queue) >= self._enough

    def _keep(self, batch: Sequence[_Waiting]) -> None:
        """Keep a batch; split it when its data is refused until the guilty one is alone."""
        try:
            answers = self._commit([waiting.request for waiting in batch])
        except StoreUnavailableError as error:
            for waiting in batch:
                waiting.error = StoreUnavailableError(error.detail, retry_after_s=_jittered())
        except Exception as error:  # noqa: BLE001 - the guilty request alone must bear it
            if len(batch) > 1:
                middle = len(batch) // 2
                self._keep(batch[:middle])
                self._keep(batch[middle:])
            else:
                self._refuse(batch[0], error)
        else:
            for waiting, kept in zip(batch, answers, strict=True):
                waiting.kept = kept
            if self._on_commit is not None:
                self._on_commit()

    def _commit(self, requests: Sequence[IncomingRequest]) -> list[Kept]:
        conflicts = 0
        for attempt in range(1, _GRAPH_TRIES + 1):
            try:
                with unit_of_work(self._sessions) as session:
                    return self._ingested(session, requests)
            except GraphMovedError:
                _LOG.info("graph_moved", attempt=attempt)
            except DBAPIError as error:
                conflicts += 1
                if not is_conflict(error):
                    raise
                _LOG.info("transaction_conflict", attempt=conflicts)
                if conflicts == _TRIES:
                    break
        raise StoreUnavailableError("The same people are being written elsewhere; try again.")

    def _ingested(self, session: Session, requests: Sequence[IncomingRequest]) -> list[Kept]:
        return ingest(session, requests, now=self._clock.now())

    def _refuse(self, waiting: _Waiting, error: Exception) -> None:
        reason = type(error.orig if isinstance(error, DBAPIError) else error).__name__
        _LOG.warning(
            "request_quarantined",
            request_id=waiting.request.request_id,
            reason=reason,
            statement=_statement(error),
        )
        request = waiting.request
        with unit_of_work(self._sessions) as session:
            quarantine.keep(
                session,
                request.source.scope,
                source_id=request.source.id,
                error=reason,
                ciphertext=self._keyring.encrypt(Secret(request.body.decode(errors="replace"))),
                now=request.received_at,
            )
        waiting.error = RefusedDataError(
            "The store refuses this request's data; it was set aside for the operator.",
            reason=reason,
        )


def _statement(error: Exception) -> str | None:
    """Return the beginning of the SQL that failed; set statements hold no values."""
    if not isinstance(error, DBAPIError) or error.statement is None:
        return None
    return " ".join(error.statement.split())[:_SHOWN_SQL]


def _jittered() -> int:
    return random.randint(*_RETRY_AFTER_S)  # noqa: S311 - spreads retries, guards nothing
