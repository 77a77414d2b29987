"""The ledgers' entries: appended as sums, rolled up without changing what they say."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from service.db.session import SessionFactory, unit_of_work
from service.ledger import balance, entries
from service.ledger.entries import Account, Book, Delta
from service.ledger.models import LedgerDelta
from service.sandboxes.scope import Scope
from tests.support.clocks import START

VERSION = UUID("0197c000-0000-7000-8000-0000000000b1")
ENDINGS = ("finished", "exited", "stopped", "failed")
OUTCOMES = ("sent", "failed", "capped", "suppressed", "expired", "unknown")


def append(store: SessionFactory, scope: Scope, *deltas: Delta) -> None:
    with unit_of_work(store) as session:
        entries.append(session, scope, deltas, now=START)


def amounts(store: SessionFactory, scope: Scope) -> Mapping[Account, int]:
    with unit_of_work(store) as session:
        return balance.check(session, scope).amounts


def rows(store: SessionFactory, scope: Scope) -> int:
    counted = select(func.count()).where(LedgerDelta.sandbox_id == scope.sandbox_id)
    with unit_of_work(store) as session:
        return session.scalar(counted) or 0


@given(
    entered=st.integers(0, 50),
    ended=st.lists(st.sampled_from(ENDINGS), max_size=50),
    intended=st.integers(0, 50),
    outcomes=st.lists(st.sampled_from(OUTCOMES), max_size=50),
)
def test_what_comes_in_is_the_sum_of_where_it_is(
    entered: int, ended: list[str], intended: int, outcomes: list[str]
) -> None:
    deltas = [*entries.people_entered(VERSION, entered)]
    for status in ended:
        deltas += entries.people_ended(VERSION, status)
    deltas += entries.deliveries_intended(VERSION, "node", intended)
    for state in outcomes:
        deltas += entries.deliveries_ended(VERSION, "node", state)

    for book, left in ((Book.PEOPLE, "entered"), (Book.DELIVERIES, "intended")):
        of_book = [delta for delta in deltas if delta.account.book == book]
        came_in = sum(delta.amount for delta in of_book if delta.account.entry == left)
        elsewhere = sum(delta.amount for delta in of_book if delta.account.entry != left)
        assert came_in == elsewhere


def test_deltas_of_one_count_become_one_row(store: SessionFactory, scope: Scope) -> None:
    deltas = [delta for _ in range(5) for delta in entries.people_entered(VERSION)]

    append(store, scope, *deltas)

    assert rows(store, scope) == 2
    assert set(amounts(store, scope).values()) == {5}


def test_deltas_that_cancel_leave_no_row(store: SessionFactory, scope: Scope) -> None:
    one, other = entries.people_entered(VERSION)

    append(store, scope, one, replace(one, amount=-1), other, replace(other, amount=-1))

    assert rows(store, scope) == 0


def test_rolling_up_changes_no_amount_and_is_bounded(store: SessionFactory, scope: Scope) -> None:
    for _ in range(4):
        append(store, scope, *entries.deliveries_intended(VERSION, "node", 3))
    append(store, scope, *entries.deliveries_ended(VERSION, "node", "sent", 5))
    before = amounts(store, scope)

    with unit_of_work(store) as session:
        moved = [entries.roll_up(session, scope, limit=4) for _ in range(4)]

    assert moved == [4, 4, 2, 0]
    assert rows(store, scope) == 0
    assert amounts(store, scope) == before


def test_sandboxes_have_ledgers_of_their_own(store: SessionFactory, scope: Scope) -> None:
    append(store, scope, *entries.people_entered(VERSION))

    assert amounts(store, Scope(2, "dev")) == {}


def test_an_end_that_the_ledger_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="lost"):
        entries.people_ended(VERSION, "lost")
