"""The ledgers' balance, and whether it agrees with rows that were counted independently.

Three sources say the same or something is wrong: the ledger (totals and deltas that remain), the
step events (entered, ended, intended), and the rows themselves (instances by status, deliveries by
state). All are read in one statement, so a check under load sees one moment.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy.orm import Session

from service.db.statements import INTEGER, KEY, TEXT, SetStatement
from service.ledger.entries import Account, Book, DeliveryEntry, PeopleEntry
from service.sandboxes.scope import Scope

_COUNT = SetStatement(
    """
    SELECT source, book, journey_version_id, node_id, entry, SUM(amount) AS amount FROM (
        SELECT 'ledger' AS source, book, journey_version_id, node_id, entry, amount
        FROM ledger_delta WHERE sandbox_id = :sandbox_id
        UNION ALL
        SELECT 'ledger', book, journey_version_id, node_id, entry, amount
        FROM ledger_total WHERE sandbox_id = :sandbox_id
        UNION ALL
        SELECT 'steps', 'people', journey_version_id, '',
            CASE WHEN kind = 'entrance' THEN 'entered' ELSE substr(kind, 5) END, 1
        FROM step_event
        WHERE sandbox_id = :sandbox_id AND (kind = 'entrance' OR substr(kind, 1, 4) = 'end:')
        UNION ALL
        SELECT 'steps', 'deliveries', journey_version_id, node_id, 'intended', 1
        FROM step_event WHERE sandbox_id = :sandbox_id AND kind = 'dispatch'
        UNION ALL
        SELECT 'steps', 'deliveries', journey_version_id, node_id, 'intended', 1
        FROM delivery WHERE sandbox_id = :sandbox_id AND replay_of IS NOT NULL
        UNION ALL
        SELECT 'rows', 'people', version_id, '', status, 1
        FROM journey_instance WHERE sandbox_id = :sandbox_id
        UNION ALL
        SELECT 'rows', 'deliveries', journey_version_id, node_id, state, 1
        FROM delivery WHERE sandbox_id = :sandbox_id
    ) AS counted
    GROUP BY source, book, journey_version_id, node_id, entry
    """,
    rows={},
    params={"sandbox_id": INTEGER},
    result={
        "source": TEXT,
        "book": TEXT,
        "journey_version_id": KEY,
        "node_id": TEXT,
        "entry": TEXT,
        "amount": INTEGER,
    },
)
_LEFT = {Book.PEOPLE: PeopleEntry.ENTERED, Book.DELIVERIES: DeliveryEntry.INTENDED}
_RIGHT: Mapping[Book, tuple[str, ...]] = {
    Book.PEOPLE: tuple(each for each in PeopleEntry if each is not PeopleEntry.ENTERED),
    Book.DELIVERIES: tuple(each for each in DeliveryEntry if each is not DeliveryEntry.INTENDED),
}


class Count(StrEnum):
    """Who says a number."""

    LEDGER = "ledger"
    STEPS = "steps"
    ROWS = "rows"


@dataclass(frozen=True, slots=True)
class Difference:
    """Two numbers that should be equal and are not; ``entry`` names what both count."""

    book: str
    journey_version_id: UUID
    node_id: str
    entry: str
    one: str
    one_amount: int
    other: str
    other_amount: int


@dataclass(frozen=True, slots=True)
class BalanceSheet:
    """One moment of both ledgers.

    Attributes:
        amounts: What the ledger says, by account.
        differences: Every two numbers that disagree; empty when the ledgers balance.
    """

    amounts: Mapping[Account, int]
    differences: tuple[Difference, ...]

    @property
    def is_balanced(self) -> bool:
        """Whether every identity holds."""
        return not self.differences


def check(session: Session, scope: Scope) -> BalanceSheet:
    """Return the balance of one sandbox, held against the rows it is about."""
    said: dict[Count, dict[Account, int]] = {source: {} for source in Count}
    for row in _COUNT.run(session, {"sandbox_id": scope.sandbox_id}):
        account = Account(row.book, row.journey_version_id, row.node_id, row.entry)
        said[Count(row.source)][account] = int(row.amount)
    places = sorted(
        {
            (account.book, account.journey_version_id, account.node_id)
            for amounts in said.values()
            for account in amounts
        },
    )
    differences = tuple(difference for place in places for difference in _differences(said, *place))
    return BalanceSheet(said[Count.LEDGER], differences)


def _differences(
    said: Mapping[Count, Mapping[Account, int]], book: str, version_id: UUID, node_id: str
) -> Iterator[Difference]:
    left, right = _LEFT[Book(book)], _RIGHT[Book(book)]

    def amount(source: Count, *entries: str) -> int:
        return sum(
            said[source].get(Account(book, version_id, node_id, entry), 0) for entry in entries
        )

    sides: list[tuple[str, str, int, str, int]] = [
        (left, "ledger", amount(Count.LEDGER, left), "steps", amount(Count.STEPS, left)),
        (left, "ledger", amount(Count.LEDGER, left), "sum", amount(Count.LEDGER, *right)),
        (left, "steps", amount(Count.STEPS, left), "rows", amount(Count.ROWS, *right)),
    ]
    for entry in right:
        sides.append(
            (entry, "ledger", amount(Count.LEDGER, entry), "rows", amount(Count.ROWS, entry))
        )
        if book == Book.PEOPLE and entry != PeopleEntry.INSIDE:
            sides.append(
                (entry, "steps", amount(Count.STEPS, entry), "rows", amount(Count.ROWS, entry))
            )
    for entry, one, one_amount, other, other_amount in sides:
        if one_amount != other_amount:
            yield Difference(book, version_id, node_id, entry, one, one_amount, other, other_amount)
