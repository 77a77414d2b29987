"""The ledgers by journey version and node, held against the rows, for people to read.

What is rolled up and what is not yet are one sum here: a roll-up that lost or doubled a delta
shows as a difference. Nothing is written.

Source: service/ledger/balance.py says what is compared.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.db.session import SessionFactory, unit_of_work
from service.journeys.models import JourneyVersion
from service.ledger import balance
from service.ledger.balance import BalanceSheet, Difference
from service.ledger.entries import Account, Book, DeliveryEntry, PeopleEntry
from service.sandboxes import registry
from service.sandboxes.scope import Scope

_WHOLE_JOURNEY = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """One ledger of one place: every entry with its amount, and where the rows disagree."""

    amounts: Mapping[str, int]
    differences: tuple[Difference, ...]

    @property
    def is_balanced(self) -> bool:
        """Whether every number agrees."""
        return not self.differences


@dataclass(frozen=True, slots=True)
class VersionLedger:
    """Both ledgers of one journey version; ``journey`` is ``None`` when its row is gone.

    Attributes:
        people: Who entered, and where they are.
        nodes: What each node intended to send, and what became of it.
    """

    journey_version_id: UUID
    journey: JourneyVersion | None
    people: Tally
    nodes: Mapping[str, Tally]

    @property
    def is_balanced(self) -> bool:
        """Whether every number agrees."""
        return self.people.is_balanced and all(each.is_balanced for each in self.nodes.values())

    @property
    def title(self) -> str:
        """The version as people call it."""
        if self.journey is None:
            return str(self.journey_version_id)
        return f"{self.journey.name} v{self.journey.version}"


@dataclass(frozen=True, slots=True)
class SandboxLedger:
    """The ledgers of one sandbox at one moment."""

    scope: Scope
    versions: tuple[VersionLedger, ...]

    @property
    def is_balanced(self) -> bool:
        """Whether every number agrees."""
        return all(each.is_balanced for each in self.versions)


def read_ledger(session: Session, scope: Scope) -> SandboxLedger:
    """Return the ledgers of one sandbox, journeys by name and version."""
    sheet = balance.check(session, scope)
    places = {(each.journey_version_id, each.node_id) for each in sheet.amounts}
    places |= {(each.journey_version_id, each.node_id) for each in sheet.differences}
    journeys = _journeys(session, scope, {version_id for version_id, _ in places})
    versions = [
        VersionLedger(
            version_id,
            journeys.get(version_id),
            _tally(sheet, Book.PEOPLE, version_id, _WHOLE_JOURNEY),
            {
                node_id: _tally(sheet, Book.DELIVERIES, version_id, node_id)
                for of_version, node_id in sorted(places)
                if of_version == version_id and node_id != _WHOLE_JOURNEY
            },
        )
        for version_id in {version_id for version_id, _ in places}
    ]
    return SandboxLedger(scope, tuple(sorted(versions, key=_by_name)))


def check_ledgers(sessions: SessionFactory) -> tuple[SandboxLedger, ...]:
    """Return the ledgers of every sandbox, oldest first, each as of one moment."""
    with unit_of_work(sessions) as session:
        scopes = [Scope(each.id, each.name) for each in registry.list_all(session)]
    ledgers = []
    for scope in scopes:
        with unit_of_work(sessions) as session:
            ledgers.append(read_ledger(session, scope))
    return tuple(ledgers)


def lines(ledgers: Iterable[SandboxLedger]) -> Iterator[str]:
    """Yield what ``edgepost ledger check`` prints: each identity, and each difference below it."""
    for ledger in ledgers:
        verdict = "balanced" if ledger.is_balanced else "NOT BALANCED"
        versions = "version" if len(ledger.versions) == 1 else "versions"
        yield f"{ledger.scope.sandbox}: {len(ledger.versions)} journey {versions}, {verdict}"
        for version in ledger.versions:
            yield f"  {version.title}"
            yield f"    people: {_sum(version.people.amounts)}"
            yield from _differences(version.people)
            for node_id, tally in version.nodes.items():
                yield f"    {node_id}: {_sum(tally.amounts)}"
                yield from _differences(tally)


def _journeys(
    session: Session, scope: Scope, version_ids: Iterable[UUID]
) -> dict[UUID, JourneyVersion]:
    chosen = select(JourneyVersion).where(
        JourneyVersion.sandbox_id == scope.sandbox_id, JourneyVersion.id.in_(version_ids)
    )
    return {row.id: row for row in session.scalars(chosen)}


def _tally(sheet: BalanceSheet, book: Book, version_id: UUID, node_id: str) -> Tally:
    entries: Sequence[str] = tuple(PeopleEntry if book is Book.PEOPLE else DeliveryEntry)
    place = (book, version_id, node_id)
    return Tally(
        {entry: sheet.amounts.get(Account(*place, entry), 0) for entry in entries},
        tuple(
            each
            for each in sheet.differences
            if (each.book, each.journey_version_id, each.node_id) == place
        ),
    )


def _by_name(version: VersionLedger) -> tuple[str, int, UUID]:
    row = version.journey
    name, number = ("", 0) if row is None else (row.name, row.version)
    return name, number, version.journey_version_id


def _sum(amounts: Mapping[str, int]) -> str:
    (left, total), *parts = amounts.items()
    return f"{left} {total} = " + " + ".join(f"{amount} {entry}" for entry, amount in parts)


def _differences(tally: Tally) -> Iterator[str]:
    for each in tally.differences:
        one, other = f"{each.one} {each.one_amount}", f"{each.other} {each.other_amount}"
        yield f"      DIFFERS: {each.entry}: {one}, {other}"
