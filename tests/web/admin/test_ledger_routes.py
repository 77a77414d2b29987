"""The ledger over HTTP."""

from uuid import uuid4

import pytest
from sqlalchemy import delete

from service.db.session import SessionFactory, unit_of_work
from service.journeys.models import JourneyInstance, JourneyVersion
from service.outbound.deliveries import DeliveryState
from service.sandboxes.scope import Scope
from tests.support.admin import AdminClient
from tests.support.journeys import by_segment, call, published
from tests.support.sent_messages import end, intend


@pytest.fixture
def version(store: SessionFactory) -> JourneyVersion:
    """Return a version with one message sent and one waiting."""
    with unit_of_work(store) as session:
        made = published(session, by_segment(call()))
        first, _ = (intend(session, made, name) for name in ("ann", "bob"))
        end(session, first, DeliveryState.SENT)
        return made


def test_both_ledgers_are_shown_by_version_and_node(
    client: AdminClient, version: JourneyVersion
) -> None:
    shown = client.get("/ledger").get_json()

    [journey] = shown["journeys"]
    assert shown["balanced"] is True
    assert journey["journeyVersionId"] == str(version.id)
    assert (journey["journeyId"], journey["name"], journey["version"]) == (
        str(version.journey_id),
        "Welcome",
        1,
    )
    assert (journey["people"]["entered"], journey["people"]["inside"]) == (2, 2)
    [node] = journey["nodes"]
    assert node["nodeId"] == "call"
    assert {name: amount for name, amount in node["deliveries"].items() if amount} == {
        "intended": 2,
        "sent": 1,
        "waiting": 1,
    }


def test_what_does_not_balance_is_shown_with_both_numbers(
    client: AdminClient, version: JourneyVersion, store: SessionFactory, scope: Scope
) -> None:
    with unit_of_work(store) as session:
        session.execute(
            delete(JourneyInstance).where(JourneyInstance.sandbox_id == scope.sandbox_id)
        )

    shown = client.get("/ledger").get_json()

    [journey] = shown["journeys"]
    assert (shown["balanced"], journey["balanced"]) == (False, False)
    assert journey["nodes"][0]["balanced"] is True
    assert {
        "entry": "inside",
        "one": "ledger",
        "oneAmount": 2,
        "other": "rows",
        "otherAmount": 0,
    } in journey["differences"]


def test_one_journey_can_be_asked_for(client: AdminClient, version: JourneyVersion) -> None:
    by_journey = client.get(f"/ledger?journeyId={version.journey_id}").get_json()
    by_version = client.get(f"/ledger?journeyVersionId={version.id}").get_json()
    other = client.get(f"/ledger?journeyId={uuid4()}").get_json()

    assert by_journey == by_version
    assert len(by_journey["journeys"]) == 1
    assert other == {"balanced": True, "journeys": []}
    assert client.get("/ledger?journeyId=x").status_code == 422


def test_another_sandbox_has_another_ledger(client: AdminClient, version: JourneyVersion) -> None:
    dev = {"name": "dev", "title": "Dev", "type": "development"}
    client.post("/sandbox-management/sandboxes", json=dev)

    assert client.having(x_sandbox_name="dev").get("/ledger").get_json()["journeys"] == []
