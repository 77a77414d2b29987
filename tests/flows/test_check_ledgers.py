"""The ledgers of every sandbox, as text and as values."""

from sqlalchemy import update

from service.db.session import SessionFactory, unit_of_work
from service.flows.check_ledgers import check_ledgers, lines, read_ledger
from service.flows.open_sandbox import open_sandbox
from service.journeys.models import JourneyVersion
from service.ledger import entries
from service.outbound.deliveries import DeliveryState
from service.outbound.models import Delivery
from service.sandboxes.scope import Scope
from tests.support.clocks import START
from tests.support.journeys import by_segment, call, published
from tests.support.sent_messages import NODE, end, enter, intend


def _three_messages(store: SessionFactory) -> JourneyVersion:
    with unit_of_work(store) as session:
        version = published(session, by_segment(call()))
        first, second, _ = (intend(session, version, name) for name in ("ann", "bob", "cid"))
        end(session, first, DeliveryState.SENT)
        end(session, second, DeliveryState.CAPPED, "capped")
        return version


def test_ledgers_that_balance_say_so_with_their_sums(store: SessionFactory) -> None:
    _three_messages(store)

    [ledger] = check_ledgers(store)

    assert ledger.is_balanced
    assert list(lines([ledger])) == [
        "prod: 1 journey version, balanced",
        "  Welcome v1",
        "    people: entered 3 = 3 inside + 0 finished + 0 exited + 0 stopped + 0 failed",
        (
            "    call: intended 3 = 1 waiting + 1 sent + 0 failed + 1 capped + 0 suppressed"
            " + 0 expired + 0 unknown"
        ),
    ]


def test_a_delivery_that_is_miscounted_is_named(store: SessionFactory, scope: Scope) -> None:
    _three_messages(store)
    with unit_of_work(store) as session:
        session.execute(
            update(Delivery)
            .where(Delivery.sandbox_id == scope.sandbox_id, Delivery.state == "capped")
            .values(state="sent")
        )

    [ledger] = check_ledgers(store)

    assert not ledger.is_balanced
    assert [line.strip() for line in lines([ledger]) if "DIFFERS" in line] == [
        "DIFFERS: sent: ledger 1, rows 2",
        "DIFFERS: capped: ledger 1, rows 0",
    ]
    assert "prod: 1 journey version, NOT BALANCED" in list(lines([ledger]))


def test_somebody_whom_the_ledger_does_not_know_is_found(
    store: SessionFactory, scope: Scope
) -> None:
    with unit_of_work(store) as session:
        version = published(session, by_segment(call()))
        enter(session, version, "ann")
        entries.append(session, scope, entries.people_ended(version.id, "finished"), now=START)

    [ledger] = check_ledgers(store)

    [version_ledger] = ledger.versions
    assert not version_ledger.people.is_balanced
    assert {each.entry for each in version_ledger.people.differences} == {"inside", "finished"}


def test_a_roll_up_changes_no_number(store: SessionFactory, scope: Scope) -> None:
    _three_messages(store)
    before = list(lines(check_ledgers(store)))
    with unit_of_work(store) as session:
        moved = entries.roll_up(session, scope)

    assert moved > 0
    assert list(lines(check_ledgers(store))) == before


def test_each_sandbox_has_its_own_ledger(store: SessionFactory) -> None:
    version = _three_messages(store)
    with unit_of_work(store) as session:
        dev = open_sandbox(session, name="dev", title="Dev", type_="development", now=START)

    prod_ledger, dev_ledger = check_ledgers(store)

    assert [each.journey_version_id for each in prod_ledger.versions] == [version.id]
    assert (dev_ledger.scope, dev_ledger.versions, dev_ledger.is_balanced) == (dev, (), True)


def test_nodes_are_counted_apart(store: SessionFactory, scope: Scope) -> None:
    version = _three_messages(store)

    with unit_of_work(store) as session:
        [ledger] = read_ledger(session, scope).versions

    assert ledger.journey is not None
    assert (ledger.journey.id, list(ledger.nodes)) == (version.id, [NODE])
    assert ledger.nodes[NODE].amounts["intended"] == 3
