"""What a lane has to record: kept until the store has it, in another thread if there is one.

Source: service/decisions/0008-attempt-states.md.
"""

from collections.abc import Callable, Sequence
from concurrent import futures
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from service.core.clock import Clock
from service.core.errors import StoreUnavailableError
from service.db.session import is_conflict
from service.flows import deliver
from service.flows.delivery_steps import DeliveryTools, Recorded, Settled
from service.outbound.deliveries import Lane

RECORD_AFTER_S = 0.05
_STORE_AGAIN_S = 1.0
_T = TypeVar("_T")


class StorePauses:
    """Leaves the store alone for a moment after it could not be reached."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._again_at = 0.0

    @property
    def is_away(self) -> bool:
        """Whether to leave it alone still."""
        return self._clock.monotonic() < self._again_at

    def unless_away(self, work: Callable[[], _T]) -> _T | None:
        """Return what the work returns, ``None`` when the store has to be left alone for now."""
        try:
            return work()
        except StoreUnavailableError:
            self._again_at = self._clock.monotonic() + _STORE_AGAIN_S
        except DBAPIError as error:
            if not is_conflict(error):
                raise
        return None


@dataclass(frozen=True, slots=True)
class Saved:
    """What came of recording: ``left`` is to be recorded later."""

    recorded: list[Recorded]
    left: list[Settled]
    count: int


_NOTHING = Saved([], [], 0)


class LaneRecords:
    """The outcomes of one lane on their way into the store; used by one thread."""

    def __init__(
        self, tools: DeliveryTools, lane: Lane, store: StorePauses, recorder: Executor | None
    ) -> None:
        self._tools = tools
        self._lane = lane
        self._store = store
        self._recorder = recorder
        self._settled: list[Settled] = []
        self._settled_since = 0.0
        self._saving: Future[Saved] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether anything is not recorded yet."""
        return bool(self._settled or self._saving)

    def add(self, settled: Sequence[Settled]) -> None:
        """Take outcomes to be recorded."""
        if settled and not self._settled:
            self._settled_since = self._tools.clock.monotonic()
        self._settled += settled

    def save(self, *, flying: int, capacity: int) -> Saved:
        """Record what has ended: in bulk while calls are in the air, at once when none is.

        Returns what is known of recordings that have ended by now.
        """
        if self._saving is not None:
            return self._saved(self._saving.result()) if self._saving.done() else _NOTHING
        is_enough = (
            not flying
            or len(self._settled) * 2 >= capacity
            or self._tools.clock.monotonic() - self._settled_since >= RECORD_AFTER_S
        )
        if not self._settled or not is_enough or self._store.is_away:
            return _NOTHING
        waiting, self._settled = self._settled, []
        if self._recorder is None:
            return self._saved(self._save(waiting))
        self._saving = self._recorder.submit(self._save, waiting)
        return _NOTHING

    def wait(self) -> None:
        """Return when the recording in the other thread has ended."""
        if self._saving is not None:
            futures.wait([self._saving])

    def _saved(self, saved: Saved) -> Saved:
        self._saving = None
        self._settled = saved.left + self._settled
        return saved

    def _save(self, waiting: list[Settled]) -> Saved:
        """Record in bulk; changes nothing here but the time to leave the store alone until."""
        record = partial(deliver.record, self._tools, self._lane)
        try:
            recorded = self._store.unless_away(lambda: record(waiting))
        except DBAPIError:
            return self._save_apart(waiting)
        return Saved([], waiting, 0) if recorded is None else Saved([recorded], [], len(waiting))

    def _save_apart(self, waiting: Sequence[Settled]) -> Saved:
        """Record one by one, since the store refuses something of one; that one is kept bare."""
        record = partial(deliver.record, self._tools, self._lane)
        saved = Saved([], [], 0)
        for each in waiting:
            try:
                recorded = self._store.unless_away(partial(record, [each]))
            except DBAPIError:
                recorded = self._store.unless_away(partial(record, [each.without_details()]))
            if recorded is None:
                saved.left.append(each)
            else:
                saved.recorded.append(recorded)
        return replace(saved, count=len(saved.recorded))
