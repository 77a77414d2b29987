"""Kill switches: what nothing is sent for, by word of a person.

A halt is a row; every process reads the rows of its sandbox again after half a second, before it
claims and once more before a call starts.

Source: service/decisions/0025-after-the-send.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from service.core.errors import ConflictError, NotFoundError
from service.core.ids import new_key
from service.core.json import JsonObject
from service.outbound.models import Halt
from service.sandboxes.scope import Scope

REASON = "halted"
_LIFE_S = 0.5
_MODE = "mode"


class HaltKind(StrEnum):
    """What is halted; the subject is its id, or the host."""

    JOURNEY = "journey"
    ACTION = "action"
    DESTINATION = "destination"


class WaitingMode(StrEnum):
    """What becomes of deliveries that have not started: they wait, or end suppressed."""

    HOLD = "hold"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class NewHalt:
    """A halt to switch on; ``subject`` is a canonical id, or a host in lower case."""

    kind: HaltKind
    subject: str
    mode: WaitingMode
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Halts:
    """What is halted in a sandbox, by kind and subject; where two differ, dropping wins."""

    modes: Mapping[tuple[HaltKind, str], WaitingMode] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.modes)

    @property
    def held_journeys(self) -> frozenset[UUID]:
        """The journeys whose deliveries stay where they are."""
        return frozenset(
            UUID(subject)
            for (kind, subject), mode in self.modes.items()
            if kind is HaltKind.JOURNEY and mode is WaitingMode.HOLD
        )

    def of_lane(self, action_id: UUID, host: str | None) -> WaitingMode | None:
        """Return what becomes of everything that goes through an action to a host."""
        return self._worst((HaltKind.ACTION, str(action_id)), (HaltKind.DESTINATION, host or ""))

    def of_call(self, journey_id: UUID, action_id: UUID, host: str | None) -> WaitingMode | None:
        """Return what becomes of one call that has not started; ``None`` if it may."""
        return self._worst(
            (HaltKind.JOURNEY, str(journey_id)),
            (HaltKind.ACTION, str(action_id)),
            (HaltKind.DESTINATION, host or ""),
        )

    def _worst(self, *asked: tuple[HaltKind, str]) -> WaitingMode | None:
        found = {self.modes.get(each) for each in asked} if self.modes else set()
        return next((mode for mode in (WaitingMode.DROP, WaitingMode.HOLD) if mode in found), None)


_NONE = Halts()


class HaltDirectory:
    """What was halted when a process looked last, half a second ago at most.

    Shared by the threads of a process.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[float, Halts]] = {}

    def find(self, session: Session, scope: Scope, *, at: float) -> Halts:
        """Return what is halted; ``at`` is this moment in monotonic seconds."""
        known = self._known.get(scope.sandbox_id)
        if known is None or not 0 <= at - known[0] < _LIFE_S:
            known = self._known[scope.sandbox_id] = (at, read(session, scope))
        return known[1]

    def last(self, scope: Scope) -> Halts:
        """Return what was halted when it was looked at last."""
        known = self._known.get(scope.sandbox_id)
        return _NONE if known is None else known[1]


def read(session: Session, scope: Scope) -> Halts:
    """Return what is halted now."""
    modes: dict[tuple[HaltKind, str], WaitingMode] = {}
    for row in session.scalars(_standing(scope)):
        place = (HaltKind(row.kind), row.subject)
        if modes.get(place) is not WaitingMode.DROP:
            modes[place] = mode_of(row)
    return Halts(modes) if modes else _NONE


def switch_on(session: Session, scope: Scope, new: NewHalt, *, now: datetime) -> Halt:
    """Halt something. The caller commits, then counts.

    Raises:
        ConflictError: It is halted already.
    """
    same = _standing(scope).where(Halt.kind == new.kind.value, Halt.subject == new.subject)
    there = session.scalar(same)
    if there is not None:
        raise ConflictError(
            f"The {new.kind.value} {new.subject} is halted already.", haltId=str(there.id)
        )
    row = Halt(
        sandbox_id=scope.sandbox_id,
        id=new_key(),
        kind=new.kind.value,
        subject=new.subject,
        reason=new.reason,
        numbers={_MODE: new.mode.value},
        created_at=now,
    )
    session.add(row)
    return row


def note(session: Session, scope: Scope, halt_id: UUID, numbers: JsonObject) -> Halt:
    """Keep what was counted when a halt was switched on. The caller commits."""
    row = get(session, scope, halt_id)
    row.numbers = {**row.numbers, **numbers}
    return row


def mode_of(row: Halt) -> WaitingMode:
    """Return what a halt does with deliveries that have not started."""
    return WaitingMode(row.numbers[_MODE])


def numbers_of(row: Halt) -> JsonObject:
    """Return what was counted when a halt was switched on."""
    return {name: count for name, count in row.numbers.items() if name != _MODE}


def list_page(
    session: Session, scope: Scope, *, is_on: bool | None, limit: int, after: UUID | None = None
) -> Sequence[Halt]:
    """Return up to ``limit`` halts, newest first, older than ``after``."""
    query = select(Halt).where(Halt.sandbox_id == scope.sandbox_id)
    if is_on is not None:
        query = query.where(Halt.lifted_at.is_(None) == is_on)
    if after is not None:
        query = query.where(Halt.id < after)
    return tuple(session.scalars(query.order_by(Halt.id.desc()).limit(limit)))


def get(session: Session, scope: Scope, halt_id: UUID) -> Halt:
    """Return one halt.

    Raises:
        NotFoundError: There is none of this id in the sandbox.
    """
    row = session.scalar(
        select(Halt).where(Halt.sandbox_id == scope.sandbox_id, Halt.id == halt_id)
    )
    if row is None:
        raise NotFoundError(f"There is no halt {halt_id}.")
    return row


def lift(session: Session, scope: Scope, halt_id: UUID, *, now: datetime) -> Halt:
    """Let a halt's subject send again; one that is lifted stays as it is. The caller commits.

    Raises:
        NotFoundError: There is none of this id in the sandbox.
    """
    row = get(session, scope, halt_id)
    row.lifted_at = row.lifted_at or now
    return row


def _standing(scope: Scope) -> Select[Halt]:
    return select(Halt).where(Halt.sandbox_id == scope.sandbox_id, Halt.lifted_at.is_(None))
