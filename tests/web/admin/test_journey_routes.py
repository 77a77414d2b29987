"""Journeys over HTTP: authored, published, stopped and explained."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select

from service.access.permissions import Permission
from service.audit.models import AuditEntry
from service.db.session import SessionFactory, unit_of_work
from service.flows.advance_journeys import advance
from service.flows.ingest import ingest
from service.flows.open_sandbox import open_sandbox
from service.journeys import inbox
from service.journeys.inbox import Told
from service.journeys.stimuli import DeliveryEnded, DeliveryOutcome
from tests.support.admin import AdminClient, signed_in
from tests.support.builders import PROD, ecid, event, person, request
from tests.support.clocks import START, FixedClock
from tests.support.journeys import END, by_event, by_segment, call, reaction, wait

ADA = person("ada")
CALLED = {
    "name": "called",
    "adapter": "webhook",
    "url": "https://hook.example/called",
    "auth": {"type": "none"},
    "payload": {"to": "{{ delivery.id }}"},
}
ORDER = {"_experience": {"campaign": {"orchestration": {"eventID": "order"}}}}


@pytest.fixture
def live(client: AdminClient) -> str:
    """Return the id of a live journey that an order opens."""
    created = client.post("/journeys", json=by_event(wait()))
    journey_id: str = created.get_json()["id"]
    assert client.post(f"/journeys/{journey_id}/publish").status_code == 200
    return journey_id


def order(store: SessionFactory, clock: FixedClock) -> None:
    """Let Ada order something, and walk as far as she can."""
    with unit_of_work(store) as session:
        ingest(session, [request(event(ecid(1), ADA, xdm=ORDER))], now=clock.now())
    advance(store, clock)


def test_a_journey_is_created_as_a_draft_and_answered_as_it_was_written(
    client: AdminClient,
) -> None:
    document = by_event(wait("PT30M"))

    created = client.post("/journeys", json=document)

    answer = created.get_json()
    assert created.status_code == 201
    assert document.items() <= answer.items()
    assert (answer["version"], answer["status"], answer["sandboxName"]) == (1, "Draft", "prod")
    assert client.get(f"/journeys/{answer['id']}").get_json() == answer


def test_publishing_makes_it_live(client: AdminClient) -> None:
    journey_id = client.post("/journeys", json=by_event(wait())).get_json()["id"]

    published = client.post(f"/journeys/{journey_id}/publish")

    answer = published.get_json()
    assert (published.status_code, answer["status"]) == (200, "Deployed")
    assert answer["metadata"]["lastDeployedAt"] == "2026-07-01T10:00:00Z"
    assert answer["metadata"]["warnings"] == []


def test_a_journey_with_an_unreachable_node_is_refused_with_every_problem(
    client: AdminClient,
) -> None:
    document = by_segment(wait(0), segment=uuid4())
    document["nodes"].append({"id": "lost", "type": "end"})
    journey_id = client.post("/journeys", json=document).get_json()["id"]

    refused = client.post(f"/journeys/{journey_id}/publish")

    found = {(each["path"], each["code"]) for each in refused.get_json()["problems"]}
    assert refused.status_code == 422
    assert found == {
        ("/nodes/0/segmentId", "unknownSegment"),
        ("/nodes/1/delay", "waitTooShort"),
        ("/nodes/3", "unreachableNode"),
    }
    assert client.get(f"/journeys/{journey_id}").get_json()["status"] == "Draft"


@pytest.mark.parametrize(
    ("document", "status", "code"),
    [
        ({"name": "x", "nodes": [], "speed": 9}, 422, "unknownKey"),
        ({"name": "x", "nodes": [], "priority": 9}, 422, "notSupported"),
        ({"name": 5, "nodes": []}, 422, "wrongType"),
        ({"nodes": []}, 422, "missing"),
        ({"name": "x", "nodes": [], "description": "x" * 2_100_000}, 413, "documentTooLarge"),
    ],
)
def test_what_cannot_be_read_is_refused_and_not_stored(
    client: AdminClient, document: dict[str, Any], status: int, code: str
) -> None:
    refused = client.post("/journeys", json=document)

    assert refused.status_code == status
    assert [each["code"] for each in refused.get_json()["problems"]] == [code]
    assert client.get("/journeys").get_json()["items"] == []


@pytest.mark.parametrize("body", [[], "text", 5, {"name": "x", "nodes": [], "version": "two"}])
def test_what_is_no_journey_is_refused(client: AdminClient, body: Any) -> None:
    assert client.post("/journeys", json=body).status_code == 422


def test_a_taken_name_is_a_conflict(client: AdminClient) -> None:
    client.post("/journeys", json=by_event())

    assert client.post("/journeys", json=by_event()).status_code == 409


def test_a_draft_is_replaced_and_a_live_version_is_not(client: AdminClient, live: str) -> None:
    frozen = client.call("PUT", f"/journeys/{live}", json=by_event(wait(5)))
    client.post(f"/journeys/{live}/versions")

    # What was answered can be sent back, changed where it matters.
    document = {**client.get(f"/journeys/{live}").get_json(), "description": "Faster"}
    changed = client.call("PUT", f"/journeys/{live}", json=document)

    assert (frozen.status_code, changed.status_code) == (409, 200)
    assert (changed.get_json()["version"], changed.get_json()["description"]) == (2, "Faster")
    assert "description" not in client.get(f"/journeys/{live}?version=1").get_json()


def test_journeys_are_listed_page_by_page(client: AdminClient) -> None:
    for name in ("One", "Two", "Three"):
        client.post("/journeys", json=by_event(name=name))

    first = client.get("/journeys?limit=2").get_json()
    rest = client.get(f"/journeys?limit=2&after={first['page']['next']}").get_json()

    assert [each["name"] for each in first["items"]] == ["One", "Two"]
    assert [each["name"] for each in rest["items"]] == ["Three"]
    assert rest["page"]["next"] is None


def test_a_stopped_journey_stays_stopped(client: AdminClient, live: str) -> None:
    stopped = client.post(f"/journeys/{live}/stop")

    again = client.post(f"/journeys/{live}/stop")

    assert (stopped.status_code, stopped.get_json()["status"]) == (200, "Stopped")
    assert again.status_code == 409


def test_explain_tells_each_gate_of_one_person(
    client: AdminClient, store: SessionFactory, clock: FixedClock, live: str
) -> None:
    order(store, clock)

    answer = client.get(f"/journeys/{live}/explain?entityId=ada&entityIdNS=crmid").get_json()

    assert (answer["entityIdNS"], answer["profileId"]) == ("CRMID", str(ADA.key))
    assert [(each["gate"], each["basis"], each["passed"]) for each in answer["lines"]] == [
        ("identity", "evaluatedNow", True),
        ("versionLive", "evaluatedNow", True),
        ("namespace", "evaluatedNow", True),
        ("event", "recorded", True),
        ("entered", "recorded", True),
        ("step", "recorded", True),
        ("step", "recorded", True),
    ]
    live_line = answer["lines"][1]
    assert live_line["seen"]["publishedAt"] == "2026-07-01T10:00:00Z"


@pytest.mark.parametrize(
    "query", ["", "?entityId=ada", "?entityIdNS=CRMID", "?entityId=&entityIdNS=CRMID"]
)
def test_explain_needs_a_person(client: AdminClient, live: str, query: str) -> None:
    assert client.get(f"/journeys/{live}/explain{query}").status_code == 422


def test_the_ledger_of_a_journey_holds_its_own_people(
    client: AdminClient, store: SessionFactory, clock: FixedClock, live: str
) -> None:
    order(store, clock)

    answer = client.get(f"/journeys/{live}/ledger").get_json()

    (version,) = answer["journeys"]
    assert (answer["balanced"], version["journeyId"]) == (True, live)
    assert (version["people"]["entered"], version["people"]["inside"]) == (1, 1)


def test_runs_and_their_step_events_are_shown(
    client: AdminClient, store: SessionFactory, clock: FixedClock, live: str
) -> None:
    order(store, clock)

    listed = client.get(f"/journeys/{live}/instances?entityId=ada&entityIdNS=CRMID")
    (run,) = listed.get_json()["items"]
    steps = client.get(f"/journeys/{live}/instances/{run['id']}/step-events").get_json()["items"]

    assert (run["status"], run["nodeId"], run["waitingFor"]) == ("inside", "rest", "timer")
    fields = [each["_experience"]["journeyOrchestration"]["stepEvents"] for each in steps]
    assert [(each["nodeID"], each["journeyNodeProcessed"]) for each in fields] == [
        ("start", True),
        ("rest", False),
    ]
    elsewhere = f"/journeys/{uuid4()}/instances/{run['id']}/step-events"
    assert client.get(elsewhere).status_code == 404


def test_an_open_is_shown_among_the_step_events_and_ends_the_wait_for_it(
    client: AdminClient, store: SessionFactory, clock: FixedClock
) -> None:
    action = client.post("/actions", json=CALLED).get_json()["id"]
    document = by_event(call("react", action=action), reaction("rest"), wait(), END)
    journey = client.post("/journeys", json=document).get_json()["id"]
    published = client.post(f"/journeys/{journey}/publish")
    order(store, clock)
    (delivery,) = client.get("/deliveries").get_json()["items"]
    with unit_of_work(store) as session:
        sent = DeliveryEnded("call", DeliveryOutcome.SENT)
        inbox.tell(session, PROD, [Told(UUID(delivery["instanceId"]), sent, clock.now())])
    advance(store, clock)
    runs = f"/journeys/{journey}/instances"
    (waiting,) = client.get(f"{runs}?entityId=ada&entityIdNS=CRMID").get_json()["items"]

    execution = {"messageExecution": {"messageID": delivery["id"]}}
    xdm = {"_experience": {"customerJourneyManagement": execution}}
    opened = event(ecid(1), ADA, event_type="pushTracking.applicationOpened", xdm=xdm)
    with unit_of_work(store) as session:
        ingest(session, [request(opened)], now=clock.now())
    advance(store, clock)

    assert published.status_code == 200
    assert (waiting["nodeId"], waiting["waitingFor"]) == ("react", "reaction")
    assert waiting["dueAt"] == "2026-07-02T10:00:00Z"
    steps = client.get(f"{runs}/{waiting['id']}/step-events").get_json()["items"]
    told = [
        (each["_experience"]["journeyOrchestration"]["stepEvents"]["nodeID"], each.get("eventType"))
        for each in steps
    ]
    assert ("call", "pushTracking.applicationOpened") in told
    assert [node for node, kind in told if kind is None] == [
        *("start", "call", "call", "react", "react", "rest"),
    ]


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"messageNodeId": "rest"}, "/nodes/2/messageNodeId", "unknownMessage"),
        ({"timeout": "P31D"}, "/nodes/2/timeout", "waitTooLong"),
        ({"transitions": [{"targetNodeId": "done"}]}, "/nodes/2/transitions", "deadEnd"),
    ],
)
def test_a_reaction_that_cannot_be_waited_for_is_not_published(
    client: AdminClient, changes: dict[str, Any], pointer: str, code: str
) -> None:
    action = client.post("/actions", json=CALLED).get_json()["id"]
    asked = {**reaction("done"), **changes}
    document = by_event(call("react", action=action), asked, END)
    journey = client.post("/journeys", json=document).get_json()["id"]

    refused = client.post(f"/journeys/{journey}/publish")

    assert refused.status_code == 422
    problems = refused.get_json()["problems"]
    assert (pointer, code) in [(each["path"], each["code"]) for each in problems]


def test_a_draft_is_deleted_and_its_name_is_free_again(client: AdminClient) -> None:
    journey_id = client.post("/journeys", json=by_event()).get_json()["id"]

    deleted = client.delete(f"/journeys/{journey_id}")

    assert deleted.status_code == 204
    assert client.get(f"/journeys/{journey_id}").status_code == 404
    assert client.get("/journeys").get_json()["items"] == []
    assert client.post("/journeys", json=by_event()).status_code == 201


def test_what_was_published_is_not_deleted(client: AdminClient, live: str) -> None:
    path = f"/journeys/{live}"

    running = client.delete(path)
    client.post(f"{path}/stop")
    stopped = client.delete(path)

    assert (running.status_code, stopped.status_code) == (409, 409)
    assert "stop it" in running.get_json()["detail"]
    assert client.get(path).get_json()["status"] == "Stopped"


def test_a_draft_after_a_published_version_is_deleted_by_its_number(
    client: AdminClient, live: str
) -> None:
    path = f"/journeys/{live}"
    client.post(f"{path}/versions")

    unnamed = client.delete(path)
    published = client.delete(f"{path}?version=1")
    absent = client.delete(f"{path}?version=3")
    draft = client.delete(f"{path}?version=2")

    codes = [each.status_code for each in (unnamed, published, absent, draft)]
    assert codes == [409, 409, 404, 204]
    assert "?version=2" in unnamed.get_json()["detail"]
    answer = client.get(path).get_json()
    assert (answer["version"], answer["status"]) == (1, "Deployed")


def test_what_is_not_there_is_not_found(client: AdminClient) -> None:
    nowhere = f"/journeys/{uuid4()}"
    person_of = "?entityId=ada&entityIdNS=CRMID"

    asked = [
        client.get(nowhere),
        client.call("PUT", nowhere, json=by_event()),
        client.delete(nowhere),
        client.post(f"{nowhere}/publish"),
        client.post(f"{nowhere}/stop"),
        client.post(f"{nowhere}/versions"),
        client.get(f"{nowhere}/ledger"),
        client.get(f"{nowhere}/explain{person_of}"),
        client.get(f"{nowhere}/instances{person_of}"),
        client.get(f"{nowhere}/instances/{uuid4()}/step-events"),
    ]

    assert {each.status_code for each in asked} == {404}


def test_a_journey_is_not_seen_from_another_sandbox(
    client: AdminClient, store: SessionFactory, live: str
) -> None:
    with unit_of_work(store) as session:
        open_sandbox(session, name="dev", title="Dev", type_="development", now=START)
    other = client.having(x_sandbox_name="dev")

    assert other.get(f"/journeys/{live}").status_code == 404
    assert other.post(f"/journeys/{live}/stop").status_code == 404
    assert other.delete(f"/journeys/{live}").status_code == 404
    assert other.get("/journeys").get_json()["items"] == []


def test_a_persons_runs_need_the_right_to_see_people(app: Flask, live: str) -> None:
    limited = signed_in(app, Permission.JOURNEYS_READ, Permission.JOURNEYS_WRITE)

    answers = [
        limited.get(f"/journeys/{live}"),
        limited.get(f"/journeys/{live}/explain?entityId=ada&entityIdNS=CRMID"),
        limited.get(f"/journeys/{live}/instances?entityId=ada&entityIdNS=CRMID"),
    ]

    assert [each.status_code for each in answers] == [200, 403, 403]


def test_changes_are_audited(client: AdminClient, store: SessionFactory, live: str) -> None:
    client.post(f"/journeys/{live}/stop")

    with store.opened() as session:
        rows = session.scalars(
            select(AuditEntry).where(AuditEntry.sandbox_id == 1).order_by(AuditEntry.id)
        )
        actions = [each.action for each in rows if each.subject == live]
    assert actions == ["journey.create", "journey.publish", "journey.stop"]
