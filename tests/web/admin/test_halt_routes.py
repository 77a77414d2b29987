"""Kill switches over HTTP."""

from uuid import UUID, uuid4

import pytest

from service.access.permissions import Permission
from service.db.session import SessionFactory, unit_of_work
from tests.support.admin import AdminClient, signed_in
from tests.support.journeys import ACTION, by_segment, call, published
from tests.support.sent_messages import intend


@pytest.fixture
def journey_id(store: SessionFactory) -> UUID:
    """Return a journey with two deliveries that wait."""
    with unit_of_work(store) as session:
        version = published(session, by_segment(call()))
        for name in "ab":
            intend(session, version, name)
        return version.journey_id


def test_a_halt_answers_with_its_numbers_until_it_is_lifted(
    client: AdminClient, journey_id: UUID
) -> None:
    body = {"kind": "action", "subject": str(ACTION), "reason": "wrong", "waiting": "hold"}
    made = client.post("/halts", json=body)
    halt = made.get_json()

    shown = client.get(f"/halts/{halt['id']}").get_json()
    on = client.get("/halts?on=true").get_json()["items"]
    lifted = client.delete(f"/halts/{halt['id']}")

    assert made.status_code == 201
    assert halt["numbers"] == {"waiting": 2, "held": 2, "inFlight": 0, "sentLastHour": 0}
    assert {name: halt[name] for name in body} == body
    assert (shown, on) == (halt, [halt])
    assert lifted.status_code == 204
    assert client.get("/halts?on=true").get_json()["items"] == []
    assert client.get("/halts?on=false").get_json()["items"][0]["liftedAt"] is not None


def test_a_journeys_messages_are_dropped(client: AdminClient, journey_id: UUID) -> None:
    body = {"kind": "journey", "subject": str(journey_id).upper(), "waiting": "drop"}

    numbers = client.post("/halts", json=body).get_json()["numbers"]

    states = [each["state"] for each in client.get("/deliveries").get_json()["items"]]
    reasons = {each["reason"] for each in client.get("/deliveries").get_json()["items"]}
    assert numbers == {"waiting": 2, "dropped": 2, "inFlight": 0, "sentLastHour": 0}
    assert (states, reasons) == (["suppressed"] * 2, {"halted"})
    assert client.get("/ledger").get_json()["balanced"]


def test_a_halt_and_its_end_are_audited(client: AdminClient) -> None:
    body = {"kind": "destination", "subject": "Push.Example", "waiting": "hold"}
    halt = client.post("/halts", json=body).get_json()
    client.delete(f"/halts/{halt['id']}")

    audited = client.get(f"/audit/entries?subject={halt['id']}").get_json()["items"]

    assert halt["subject"] == "push.example"
    assert [each["action"] for each in audited] == ["halt.lift", "halt.create"]
    assert audited[0]["facts"]["of"] == "push.example"


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "all"},
        {"subject": "somebody"},
        {"kind": "destination", "subject": "https://push.example/"},
        {"waiting": "maybe"},
        {"reason": ""},
        {"colour": "red"},
    ],
)
def test_what_is_no_halt_is_refused(client: AdminClient, change: dict[str, str]) -> None:
    body = {"kind": "action", "subject": str(uuid4()), "waiting": "hold"}

    assert client.post("/halts", json=body | change).status_code == 422


def test_the_same_subject_is_halted_once(client: AdminClient) -> None:
    body = {"kind": "action", "subject": str(uuid4()), "waiting": "hold"}

    assert client.post("/halts", json=body).status_code == 201
    assert client.post("/halts", json=body).status_code == 409


def test_who_may_only_read_switches_nothing(client: AdminClient) -> None:
    reader = signed_in(client.app, Permission.DELIVERIES_READ)
    body = {"kind": "action", "subject": str(uuid4()), "waiting": "hold"}

    assert reader.get("/halts").status_code == 200
    assert reader.post("/halts", json=body).status_code == 403
    assert reader.delete(f"/halts/{uuid4()}").status_code == 403


def test_a_halt_nobody_knows_is_not_found(client: AdminClient) -> None:
    assert client.get(f"/halts/{uuid4()}").status_code == 404
    assert client.delete(f"/halts/{uuid4()}").status_code == 404
