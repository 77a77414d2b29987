"""The two ledgers' entries: changes of counts, appended by whoever makes them true.

A person who enters is ``entered`` and ``inside``; one who leaves is ``inside`` no more. A delivery
that is written is ``intended`` and ``waiting``; one that ended is ``waiting`` no more. So at any
moment entered = inside + finished + exited + stopped + failed, and intended = waiting + sent +
failed + capped + suppressed + expired + unknown.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import new_key
from service.db.statements import INTEGER, KEY, MOMENT, TEXT, SetStatement
from service.sandboxes.scope import Scope

_APPEND = SetStatement(
    """
    INSERT INTO ledger_delta
        (sandbox_id, id, book, journey_version_id, node_id, entry, amount, at)
    SELECT :sandbox_id, r.id, r.book, r.journey_version_id, r.node_id, r.entry, r.amount, :now
    FROM {r}
    """,
    rows={
        "r": {
            "id": KEY,
            "book": TEXT,
            "journey_version_id": KEY,
            "node_id": TEXT,
            "entry": TEXT,
            "amount": INTEGER,
        },
    },
    params={"sandbox_id": INTEGER, "now": MOMENT},
)
_TAKE_OLDEST = SetStatement(
    """
    WITH oldest AS MATERIALIZED (
        SELECT id FROM ledger_delta WHERE sandbox_id = :sandbox_id
        ORDER BY id LIMIT :limit {skip_locked}
    )
    DELETE FROM ledger_delta
    WHERE sandbox_id = :sandbox_id AND id IN (SELECT id FROM oldest)
    RETURNING book, journey_version_id, node_id, entry, amount
    """,
    rows={},
    params={"sandbox_id": INTEGER, "limit": INTEGER},
    result={
        "book": TEXT,
        "journey_version_id": KEY,
        "node_id": TEXT,
        "entry": TEXT,
        "amount": INTEGER,
    },
)
_ADD_TO_TOTALS = SetStatement(
    """
    INSERT INTO ledger_total (sandbox_id, book, journey_version_id, node_id, entry, amount)
    SELECT :sandbox_id, r.book, r.journey_version_id, r.node_id, r.entry, r.amount
    FROM {r} WHERE true
    ON CONFLICT (sandbox_id, journey_version_id, book, node_id, entry)
        DO UPDATE SET amount = ledger_total.amount + excluded.amount
    """,
    rows={
        "r": {
            "book": TEXT,
            "journey_version_id": KEY,
            "node_id": TEXT,
            "entry": TEXT,
            "amount": INTEGER,
        },
    },
    params={"sandbox_id": INTEGER},
)
_WHOLE_JOURNEY = ""


class Book(StrEnum):
    """What is counted."""

    PEOPLE = "people"
    DELIVERIES = "deliveries"


class PeopleEntry(StrEnum):
    """The columns of the people's ledger; all but ``ENTERED`` add up to it."""

    ENTERED = "entered"
    INSIDE = "inside"
    FINISHED = "finished"
    EXITED = "exited"
    STOPPED = "stopped"
    FAILED = "failed"


class DeliveryEntry(StrEnum):
    """The columns of the deliveries' ledger; all but ``INTENDED`` add up to it."""

    INTENDED = "intended"
    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    CAPPED = "capped"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """One count: people have no node."""

    book: str
    journey_version_id: UUID
    node_id: str
    entry: str


@dataclass(frozen=True, slots=True)
class Delta:
    """A change of one count."""

    account: Account
    amount: int


def people_entered(version_id: UUID, count: int = 1) -> tuple[Delta, ...]:
    """Return what entering changes."""
    return (
        _people(version_id, PeopleEntry.ENTERED, count),
        _people(version_id, PeopleEntry.INSIDE, count),
    )


def people_ended(version_id: UUID, status: str, count: int = 1) -> tuple[Delta, ...]:
    """Return what leaving changes; ``status`` is that of the instance."""
    return (
        _people(version_id, PeopleEntry.INSIDE, -count),
        _people(version_id, PeopleEntry(status), count),
    )


def deliveries_intended(version_id: UUID, node_id: str, count: int = 1) -> tuple[Delta, ...]:
    """Return what writing deliveries changes."""
    return (
        _delivery(version_id, node_id, DeliveryEntry.INTENDED, count),
        _delivery(version_id, node_id, DeliveryEntry.WAITING, count),
    )


def deliveries_ended(
    version_id: UUID, node_id: str, state: str, count: int = 1
) -> tuple[Delta, ...]:
    """Return what the end of waiting deliveries changes."""
    return (
        _delivery(version_id, node_id, DeliveryEntry.WAITING, -count),
        _delivery(version_id, node_id, DeliveryEntry(state), count),
    )


def append(session: Session, scope: Scope, deltas: Iterable[Delta], *, now: datetime) -> None:
    """Append the sum of the deltas of each count, in the transaction that makes them true.

    Nothing is counted in place, so writers never wait for each other. The caller commits.
    """
    rows = [
        (new_key(), each.book, each.journey_version_id, each.node_id, each.entry, amount)
        for each, amount in sorted(_summed(deltas).items())
    ]
    if rows:
        _APPEND.run(session, {"sandbox_id": scope.sandbox_id, "now": now}, r=rows)


def roll_up(session: Session, scope: Scope, *, limit: int = 5000) -> int:
    """Move the oldest deltas into the totals; return how many. The caller commits."""
    taken = _TAKE_OLDEST.run(session, {"sandbox_id": scope.sandbox_id, "limit": limit})
    sums = _summed(
        Delta(Account(row.book, row.journey_version_id, row.node_id, row.entry), row.amount)
        for row in taken
    )
    rows = [
        (each.book, each.journey_version_id, each.node_id, each.entry, amount)
        for each, amount in sorted(sums.items())
    ]
    _ADD_TO_TOTALS.run(session, {"sandbox_id": scope.sandbox_id}, r=rows)
    return len(taken)


def _people(version_id: UUID, entry: PeopleEntry, amount: int) -> Delta:
    return Delta(Account(Book.PEOPLE, version_id, _WHOLE_JOURNEY, entry), amount)


def _delivery(version_id: UUID, node_id: str, entry: DeliveryEntry, amount: int) -> Delta:
    return Delta(Account(Book.DELIVERIES, version_id, node_id, entry), amount)


def _summed(deltas: Iterable[Delta]) -> dict[Account, int]:
    sums: Counter[Account] = Counter()
    for delta in deltas:
        sums[delta.account] += delta.amount
    return {account: amount for account, amount in sums.items() if amount}
