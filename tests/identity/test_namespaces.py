"""Namespaces: the standard ones, a sandbox's own, and who may outrank whom."""

import pytest

from service.core.errors import ConflictError, InvalidInputError, NotFoundError
from service.db.session import SessionFactory, unit_of_work
from service.identity import namespaces
from service.identity.namespaces import IdType, NamespaceChanges, NewNamespace
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock


def test_people_rank_above_devices_from_the_start(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with unit_of_work(store) as session:
        known = namespaces.list_all(session, scope)

    people = [each for each in known if namespaces.is_person(each)]
    assert known[: len(people)] == tuple(people)
    assert all(each.is_unique for each in people)
    assert {each.code for each in known if each.code == "ECID" and not each.is_unique} == {"ECID"}


def test_a_persons_namespace_of_ones_own_is_unique_and_ranks_above_devices(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    new = NewNamespace("LoyaltyId", "Loyalty", IdType.CROSS_DEVICE)
    with unit_of_work(store) as session:
        namespaces.create(session, scope, new, now=clock.now())

    with unit_of_work(store) as session:
        made = namespaces.get(session, scope, "LoyaltyId")
    assert made.is_unique
    assert not namespaces.is_standard(made)
    assert made.priority < 8


def test_a_code_is_taken_whatever_its_case(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    new = NewNamespace("ecid", "Mine", IdType.COOKIE)

    with pytest.raises(ConflictError), unit_of_work(store) as session:
        namespaces.create(session, scope, new, now=clock.now())


@pytest.mark.parametrize("priority", [1, 2, 3])
def test_a_device_that_would_not_rank_below_a_person_is_refused(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
    priority: int,
) -> None:
    new = NewNamespace("Kiosk", "Kiosk", IdType.DEVICE, priority)

    with pytest.raises(InvalidInputError), unit_of_work(store) as session:
        namespaces.create(session, scope, new, now=clock.now())


def test_a_change_that_would_put_a_person_below_a_device_is_refused_and_not_kept(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with pytest.raises(InvalidInputError), unit_of_work(store) as session:
        namespaces.update(session, scope, "Phone", NamespaceChanges(priority=8))

    with unit_of_work(store) as session:
        assert namespaces.get(session, scope, "Phone").priority == 3


def test_a_priority_and_a_name_can_change(store: SessionFactory, scope: Scope) -> None:
    with unit_of_work(store) as session:
        namespaces.update(session, scope, "ECID", NamespaceChanges("Device id", 20))

    with unit_of_work(store) as session:
        changed = namespaces.get(session, scope, "ECID")
    assert (changed.name, changed.priority) == ("Device id", 20)


def test_an_unknown_namespace_is_not_changed(store: SessionFactory, scope: Scope) -> None:
    with pytest.raises(NotFoundError), unit_of_work(store) as session:
        namespaces.update(session, scope, "Nothing", NamespaceChanges())
