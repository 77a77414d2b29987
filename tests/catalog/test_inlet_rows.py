"""Inlets and their datasets."""

import pytest

from service.catalog import datasets, inlets
from service.catalog.inlets import InletChanges, NewInlet
from service.core.errors import ConflictError, NotFoundError
from service.core.ids import new_key
from service.db.session import SessionFactory, unit_of_work
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock

ORG = "EDGEPOST@AdobeOrg"


def test_an_inlet_gets_datasets_and_is_found_by_its_id(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        row = inlets.create(session, scope, NewInlet("crm", ORG), now=clock.now())

    with unit_of_work(store) as session:
        found = inlets.find_source(session, row.id)
        made = {each.id for each in datasets.list_all(session, scope)}
    assert found is not None
    assert found[1] == scope
    assert {row.event_dataset_id, row.profile_dataset_id} <= made


def test_a_name_is_taken_once_also_by_renaming(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        inlets.create(session, scope, NewInlet("crm", ORG), now=clock.now())
        other = inlets.create(session, scope, NewInlet("shop", ORG), now=clock.now())

    with pytest.raises(ConflictError), unit_of_work(store) as session:
        inlets.create(session, scope, NewInlet("crm", ORG), now=clock.now())
    with pytest.raises(ConflictError), unit_of_work(store) as session:
        inlets.update(session, scope, other.id, InletChanges(name="crm"), now=clock.now())


def test_an_unknown_inlet_is_not_got(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with pytest.raises(NotFoundError), unit_of_work(store) as session:
        inlets.update(session, scope, new_key(), InletChanges(), now=clock.now())
