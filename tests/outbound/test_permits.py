"""Permits under several rates, shared among those who ask for them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from service.db.session import SessionFactory, unit_of_work
from service.outbound import permits
from service.outbound.capping import Cap
from service.outbound.endpoint_documents import OnExceed
from service.outbound.endpoint_limits import Rate
from service.outbound.fair_share import Claimant
from service.outbound.models import PermitGrant
from service.outbound.permit_shares import PermitShares
from service.outbound.permits import Permits, Terms
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock

HUNGRY = Claimant(UUID(int=1), is_marketing=True)
MODEST = Claimant(UUID(int=2), is_marketing=True)
URGENT = Claimant(UUID(int=3), is_marketing=False)
HUNGRY_AGAIN = replace(HUNGRY, is_retry=True)


def rate(
    number: int, count: int, on_exceed: OnExceed = OnExceed.DROP, period_ms: int = 60_000
) -> Rate:
    cap = Cap(UUID(int=number), count, period_ms)
    return Rate(cap, cap.id, on_exceed, expire_after=timedelta(hours=6))


class Asker:
    """One lane of one process."""

    def __init__(self, store: SessionFactory, *rates: Rate, **terms: Any) -> None:
        self._store = store
        self._rates = rates
        self._terms = Terms(FixedClock(), 1000, **terms)
        self._shares = PermitShares()

    def ask(self, asked: Mapping[Claimant, int]) -> Permits:
        with unit_of_work(self._store) as session:
            scope = Scope(1, "prod")
            return permits.take(session, scope, self._rates, asked, self._terms, self._shares)


def grants(store: SessionFactory, cap_id: int = 1) -> list[tuple[int, Any]]:
    chosen = (
        select(PermitGrant.count, PermitGrant.shares)
        .where(PermitGrant.sandbox_id == 1, PermitGrant.cap_id == UUID(int=cap_id))
        .order_by(PermitGrant.id)
    )
    with unit_of_work(store) as session:
        return [(row[0], row[1]) for row in session.execute(chosen)]


def test_a_call_needs_a_permit_under_every_rate(store: SessionFactory) -> None:
    asker = Asker(store, rate(1, 100), rate(2, 7), rate(3, 50))

    given = asker.ask({HUNGRY: 20})

    assert given.granted == {HUNGRY: 7}
    assert [grants(store, number)[0][0] for number in (1, 2, 3)] == [7, 7, 7]
    assert given.dropped == {HUNGRY: range(7, 20)}
    assert given.refusing.cap.id == UUID(int=2)


def test_what_is_over_a_queue_waits(store: SessionFactory) -> None:
    asker = Asker(store, rate(1, 5, OnExceed.QUEUE))

    given = asker.ask({HUNGRY: 20})

    assert (given.granted, given.dropped) == ({HUNGRY: 5}, {})
    assert given.retry_after_ms > 60_000


def test_a_cap_drops_only_what_the_queue_before_it_lets_through(store: SessionFactory) -> None:
    asker = Asker(store, rate(1, 4), rate(2, 6, OnExceed.QUEUE))

    given = asker.ask({HUNGRY: 20})

    assert (given.granted, given.dropped) == ({HUNGRY: 4}, {HUNGRY: range(4, 6)})


def test_a_throttle_below_the_cap_drops_nothing(store: SessionFactory) -> None:
    asker = Asker(store, rate(1, 10), rate(2, 6, OnExceed.QUEUE))

    given = asker.ask({HUNGRY: 20})

    assert (given.granted, given.dropped) == ({HUNGRY: 6}, {})


def test_what_only_the_pace_holds_back_waits_and_the_rest_is_dropped(
    store: SessionFactory,
) -> None:
    asker = Asker(store, rate(1, 10), pace=0.3)

    first = asker.ask({HUNGRY: 20})
    second = asker.ask({HUNGRY: 8})

    assert (first.granted, first.dropped) == ({HUNGRY: 3}, {HUNGRY: range(10, 20)})
    assert (second.granted, second.dropped) == ({HUNGRY: 0}, {HUNGRY: range(7, 8)})


def test_one_permit_covers_the_rows_of_one_call(store: SessionFactory) -> None:
    asker = Asker(store, rate(1, 3), per_call=500)

    given = asker.ask({HUNGRY: 900, MODEST: 900})

    assert given.granted == {HUNGRY: 750, MODEST: 750}
    assert [count for count, _ in grants(store)] == [3]


@pytest.mark.parametrize("on_exceed", list(OnExceed))
def test_those_who_ask_together_share_what_does_not_suffice(
    store: SessionFactory, on_exceed: OnExceed
) -> None:
    asker = Asker(store, rate(1, 100, on_exceed))

    given = asker.ask({HUNGRY: 1000, MODEST: 20, URGENT: 30, HUNGRY_AGAIN: 40})

    assert given.granted == {HUNGRY: 30, MODEST: 20, URGENT: 30, HUNGRY_AGAIN: 20}


def test_who_comes_first_leaves_the_others_their_share_of_the_next_window(
    store: SessionFactory,
) -> None:
    limit = rate(1, 100, period_ms=300)
    first, other = Asker(store, limit), Asker(store, limit)
    first.ask({HUNGRY: 500})
    other.ask({MODEST: 30})
    shares = [shares for _, shares in grants(store)]

    later = first.ask({HUNGRY: 500})

    assert shares == [{HUNGRY.name: [100, 100]}, {MODEST.name: [30, 0]}]
    assert later.granted == {HUNGRY: 0}


def test_a_share_is_kept_for_who_asked_in_the_last_period(store: SessionFactory) -> None:
    limit = rate(1, 100)
    first, other = Asker(store, limit), Asker(store, limit)
    other.ask({MODEST: 60, URGENT: 10})

    given = first.ask({HUNGRY: 500})

    assert given.granted == {HUNGRY: 30}
    assert other.ask({MODEST: 60}).granted == {MODEST: 0}


def test_weights_divide_a_cap(store: SessionFactory) -> None:
    weighted = replace(rate(1, 100), weights={HUNGRY.journey_id: 3})
    asker = Asker(store, weighted)

    assert asker.ask({HUNGRY: 500, MODEST: 500}).granted == {HUNGRY: 75, MODEST: 25}


def test_one_alone_may_use_the_whole_cap_and_keeps_no_shares(store: SessionFactory) -> None:
    asker = Asker(store, rate(1, 100))

    given = [asker.ask({HUNGRY: 20}).granted[HUNGRY] for _ in range(5)]

    assert given == [20] * 5
    assert grants(store) == [(20, None)] * 5


def test_a_cap_that_is_not_half_used_keeps_no_shares_of_those_who_compete(
    store: SessionFactory,
) -> None:
    asker = Asker(store, rate(1, 100))

    asker.ask({HUNGRY: 20, MODEST: 20})
    asker.ask({HUNGRY: 20, MODEST: 20})

    shared = {HUNGRY.name: [20, 20], MODEST.name: [20, 20]}
    assert grants(store) == [(40, None), (40, shared)]


def test_a_demand_is_kept_up_to_the_whole_cap_however_often_it_is_repeated(
    store: SessionFactory,
) -> None:
    asker = Asker(store, rate(1, 10, OnExceed.QUEUE))

    for _ in range(5):
        asker.ask({HUNGRY: 8})

    kept = [shares for _, shares in grants(store)]
    assert kept == [None, {HUNGRY.name: [8, 2]}, {HUNGRY.name: [2, 0]}]


def test_sandboxes_and_caps_do_not_share_claimants(store: SessionFactory) -> None:
    Asker(store, rate(1, 10)).ask({HUNGRY: 50})

    assert Asker(store, rate(2, 10)).ask({MODEST: 10}).granted == {MODEST: 10}


def test_what_was_asked_is_forgotten_when_its_period_is_over(sqlite_store: SessionFactory) -> None:
    limit = rate(1, 100, period_ms=1)
    asker = Asker(sqlite_store, limit)
    asker.ask({HUNGRY: 500, MODEST: 500})
    with unit_of_work(sqlite_store) as session:
        for row in session.scalars(select(PermitGrant).where(PermitGrant.sandbox_id == 1)):
            row.counted_until -= timedelta(seconds=10)

    given = asker.ask({HUNGRY: 90})

    assert given.granted == {HUNGRY: 90}
