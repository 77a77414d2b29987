"""Housekeeping removes what is old enough, and nothing younger."""

from datetime import timedelta

from sqlalchemy import select

from service.audit import entries, gate_traces
from service.audit.entries import AuditFilter, NewAuditEntry
from service.audit.gate_traces import Trace
from service.audit.models import GateTrace
from service.catalog import datastreams
from service.catalog.datastreams import NewDatastream, Platform
from service.core.ids import first_key_at, new_key
from service.db.session import SessionFactory, unit_of_work
from service.flows import housekeeping
from service.flows.ingest import ingest
from service.flows.sources import datastream_source
from service.identity.linking import Order
from service.outbound.models import DeliveryInteraction
from service.profiles import live_activities
from service.profiles.incoming import AnnouncedLiveActivity
from service.profiles.models import ExperienceEvent, LiveActivityToken, ProfileFragment
from service.sandboxes.scope import Scope
from tests.support.builders import ecid, event, person, record, request, source
from tests.support.clocks import START, FixedClock

DAY_S = 86400


def _count(
    store: SessionFactory,
    table: type[DeliveryInteraction | ExperienceEvent | LiveActivityToken | ProfileFragment],
    scope: Scope,
) -> int:
    with store.opened() as session:
        rows = session.scalars(select(table).where(table.sandbox_id == scope.sandbox_id)).all()
    return len(rows)


def test_an_event_goes_when_its_dataset_no_longer_keeps_it(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    new = NewDatastream(name="m", platform=Platform.MOBILE, org_id="A@AdobeOrg")
    with unit_of_work(store) as session:
        row = datastreams.create(session, scope, new, now=clock.now())
        origin = datastream_source(row, scope)
    for at in (0, 40 * DAY_S):
        received = START + timedelta(seconds=at)
        posted = request(event(ecid(1), at=at), source_=origin, received_at=received)
        with unit_of_work(store) as session:
            ingest(session, [posted], now=received)

    counts = []
    for days in (90, 2):
        clock.advance(days * DAY_S)
        housekeeping.run(store, clock)
        counts.append(_count(store, ExperienceEvent, scope))

    assert counts == [2, 1]


def test_a_closed_fragment_version_goes_after_91_days_and_the_open_one_stays(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    for city in ("Bonn", "Köln"):
        told = request(source_=source("inlet"), records=(record(person("ada"), city=city),))
        with unit_of_work(store) as session:
            ingest(session, [told], now=clock.now())
        clock.advance(1)

    clock.advance(92 * DAY_S)
    housekeeping.run(store, clock)

    assert _count(store, ProfileFragment, scope) == 1


def test_a_verdict_goes_by_the_moment_in_its_key(store: SessionFactory, scope: Scope) -> None:
    trace = Trace(ecid(1).key, ecid(2).key, "reentrance", "alreadyInside")
    with unit_of_work(store) as session:
        gate_traces.record(session, scope, [trace], now=START)
        written = session.scalars(
            select(GateTrace.id).where(GateTrace.sandbox_id == scope.sandbox_id),
        ).one()

        early = gate_traces.remove_before(session, scope, START - timedelta(days=9999), limit=9)
        late = gate_traces.remove_before(session, scope, START + timedelta(days=9999), limit=9)

    assert (early, late) == (0, 1)
    assert first_key_at(START - timedelta(days=9999)) < written < new_key()


def test_the_token_of_a_live_activity_that_must_have_ended_goes(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    activity = AnnouncedLiveActivity("update", "order-4711", "80d1a4", ecid(1))
    with unit_of_work(store) as session:
        live_activities.register(session, scope, [(activity, Order(START, "e"))], now=START)

    counts = []
    for seconds in (DAY_S, 1):
        clock.advance(seconds)
        housekeeping.run(store, clock)
        counts.append(_count(store, LiveActivityToken, scope))

    assert counts == [1, 0]


def test_what_devices_had_refused_goes_in_steps_and_what_people_changed_stays(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    actions = ("identity.refuse", "pushToken.refuse", "identityLink.drop", "datastream.create")
    for after_days in (0, 2):
        moment = START + timedelta(days=after_days)
        written = [NewAuditEntry(moment, "x", each, "y", "reason") for each in actions]
        with unit_of_work(store) as session:
            entries.record(session, scope, written)
    clock.advance(91 * DAY_S + 1)

    housekeeping.run(store, clock)

    with store.opened() as session:
        left = entries.list_page(session, scope, AuditFilter(), limit=100)
        with_bound = entries.remove_before(
            session, scope, actions[:3], START + timedelta(days=9), limit=2
        )
    kept = [each.action for each in left if each.at == START]
    assert (kept, len(left), with_bound) == (["datastream.create"], 5, 2)


def test_what_was_done_with_a_message_goes_after_91_days(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    with unit_of_work(store) as session:
        session.add_all(
            DeliveryInteraction(
                sandbox_id=scope.sandbox_id,
                delivery_id=new_key(),
                id=new_key(),
                kind="opened",
                at=START + timedelta(days=days),
            )
            for days in (0, 2)
        )
    clock.advance(91 * DAY_S + 1)

    housekeeping.run(store, clock)

    assert _count(store, DeliveryInteraction, scope) == 1
