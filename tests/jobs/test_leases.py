"""One process leads; another takes over only when the lease has run out."""

from datetime import timedelta

from service.db.session import SessionFactory, unit_of_work
from service.jobs import leases
from tests.support.clocks import START

LEASE = timedelta(seconds=5)


def take(store: SessionFactory, owner: str, after_s: float) -> int | None:
    now = START + timedelta(seconds=after_s)
    with unit_of_work(store) as session:
        return leases.take(session, "clock", owner, now=now, expires_at=now + LEASE)


def test_a_held_lease_is_renewed_by_its_owner_and_refused_to_others(store: SessionFactory) -> None:
    fences = [take(store, "one", 0), take(store, "two", 1), take(store, "one", 4)]

    assert fences == [1, None, 1]
    assert take(store, "two", 8) is None, "the renewal did not prolong the lease"


def test_a_lease_that_ran_out_goes_to_another_under_a_greater_fence(store: SessionFactory) -> None:
    take(store, "one", 0)

    fences = [take(store, "two", 6), take(store, "one", 7), take(store, "one", 12)]

    assert fences == [2, None, 3]


def test_a_lease_that_is_given_up_is_free_at_once(store: SessionFactory) -> None:
    take(store, "one", 0)
    with unit_of_work(store) as session:
        leases.give_up(session, "clock", "two")
    still_held = take(store, "two", 1)

    with unit_of_work(store) as session:
        leases.give_up(session, "clock", "one")

    assert still_held is None
    assert take(store, "two", 1) is not None


def test_roles_do_not_share_a_lease(store: SessionFactory) -> None:
    take(store, "one", 0)

    with unit_of_work(store) as session:
        fence = leases.take(session, "other", "two", now=START, expires_at=START + LEASE)

    assert fence == 1
