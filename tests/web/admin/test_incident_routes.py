"""Incidents over HTTP."""

from uuid import UUID, uuid4

import pytest

from service.db.session import SessionFactory, unit_of_work
from service.outbound import incidents
from service.outbound.dead_tokens import Alarm
from service.profiles.push_tokens import DeadToken
from tests.support.admin import AdminClient
from tests.support.builders import PROD
from tests.support.clocks import START

ACTION = uuid4()


@pytest.fixture
def incident(store: SessionFactory) -> UUID:
    dead = [DeadToken(uuid4(), "fcm.404.unregistered", START) for _ in range(3)]
    alarm = Alarm("fcm.404.unregistered", 30, 100)
    with unit_of_work(store) as session:
        sifted = incidents.sift(session, PROD, ACTION, dead, alarm, now=START)
        assert sifted.opened is not None
        return sifted.opened.incident_id


def test_an_open_incident_is_listed_with_what_it_holds(client: AdminClient, incident: UUID) -> None:
    listed = client.get(f"/incidents?open=true&actionId={ACTION}").get_json()["items"]
    shown = client.get(f"/incidents/{incident}").get_json()

    assert listed == [shown]
    assert (shown["id"], shown["kind"], shown["held"]) == (str(incident), "massInvalidation", 3)
    assert shown["facts"] == {
        "rule": "fcm.404.unregistered",
        "deadOfLast": 30,
        "last": 100,
        "ceilingPercent": 20,
    }
    assert client.get("/incidents?open=false").get_json()["items"] == []
    assert client.get(f"/incidents?actionId={uuid4()}").get_json()["items"] == []


def test_a_decision_answers_with_its_numbers_and_is_audited(
    client: AdminClient, incident: UUID
) -> None:
    answer = client.post(f"/incidents/{incident}/decide", json={"verdict": "believe"})

    again = client.post(f"/incidents/{incident}/decide", json={"verdict": "dismiss"})
    audited = client.get(f"/audit/entries?subject={incident}").get_json()["items"]
    body = answer.get_json()
    assert answer.status_code == 200
    assert (body["verdict"], body["held"]) == ("believe", 0)
    assert body["closedAt"] is not None
    assert (body["facts"]["settled"], body["facts"]["denylisted"]) == (3, 0)
    assert again.status_code == 409
    assert [each["action"] for each in audited] == ["incident.decide"]


@pytest.mark.parametrize("body", [{}, {"verdict": "maybe"}, {"verdict": "believe", "x": 1}])
def test_another_verdict_is_refused(client: AdminClient, incident: UUID, body: object) -> None:
    assert client.post(f"/incidents/{incident}/decide", json=body).status_code == 422


def test_an_incident_nobody_knows_is_not_found(client: AdminClient) -> None:
    assert client.get(f"/incidents/{uuid4()}").status_code == 404
    decided = client.post(f"/incidents/{uuid4()}/decide", json={"verdict": "dismiss"})
    assert decided.status_code == 404
