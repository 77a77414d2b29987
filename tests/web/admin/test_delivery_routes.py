"""Deliveries over HTTP, with tokens that cannot be used."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.db.session import SessionFactory, unit_of_work
from service.journeys.models import JourneyVersion
from service.outbound import kept_interactions
from service.outbound.deliveries import DeliveryState
from service.outbound.interactions import Interaction, InteractionKind
from service.outbound.kept_interactions import TrackedEvent
from tests.support.admin import AdminClient
from tests.support.builders import PROD
from tests.support.clocks import START
from tests.support.journeys import ACTION, by_segment, call, published
from tests.support.sent_messages import TOKEN, WORKER, end, intend, own_token

CHOICES = [
    ("state=capped", [1]),
    ("state=waiting", [2]),
    ("nodeId=call", [2, 1, 0]),
    ("nodeId=other", []),
    (f"actionId={ACTION}", [2, 1, 0]),
    ("entityIdNS=CRMID&entityId=b", [1]),
    ("entityIdNS=crmid&entityId=b", [1]),
    ("entityIdNS=Email&entityId=b", []),
    ("entityIdNS=CRMID&entityId=b&state=sent", []),
    (f"journeyId={uuid4()}", []),
]
WRONG = ["state=gone", "entityId=b", "entityIdNS=CRMID", "limit=0", "after=x", "colour=red"]


@pytest.fixture
def version(store: SessionFactory) -> JourneyVersion:
    with unit_of_work(store) as session:
        return published(session, by_segment(call()))


@pytest.fixture
def sent(store: SessionFactory, version: JourneyVersion) -> list[UUID]:
    """Return three deliveries, oldest first: one sent, one capped, one waiting."""
    with unit_of_work(store) as session:
        ids = [intend(session, version, name, at_s=at) for at, name in enumerate("abc")]
        token_id = own_token(session, "a")
        end(session, ids[0], DeliveryState.SENT, token_id=token_id)
        end(session, ids[1], DeliveryState.CAPPED, "capped")
        return ids


def _ids(answer: Any) -> list[UUID]:
    return [UUID(each["id"]) for each in answer.get_json()["items"]]


def test_deliveries_are_listed_newest_first_page_by_page(
    client: AdminClient, sent: list[UUID]
) -> None:
    first = client.get("/deliveries?limit=2")
    following = first.get_json()["page"]["next"]

    rest = client.get(f"/deliveries?limit=2&after={following}")

    assert _ids(first) == [sent[2], sent[1]]
    assert _ids(rest) == [sent[0]]
    assert rest.get_json()["page"]["next"] is None


def test_pages_hold_each_delivery_once_when_many_are_as_old(
    client: AdminClient, store: SessionFactory, version: JourneyVersion
) -> None:
    with unit_of_work(store) as session:
        made = {intend(session, version, f"p{number}") for number in range(5)}

    seen: list[UUID] = []
    after = ""
    for _ in range(3):
        page = client.get(f"/deliveries?limit=2{after}")
        seen += _ids(page)
        after = f"&after={page.get_json()['page']['next']}"

    assert len(seen) == 5
    assert set(seen) == made


def test_deliveries_are_chosen_by_state_node_action_and_identity(
    client: AdminClient, sent: list[UUID]
) -> None:
    for query, chosen in CHOICES:
        found = _ids(client.get(f"/deliveries?{query}"))

        assert found == [sent[number] for number in chosen], query


def test_deliveries_are_chosen_by_journey_and_version(
    client: AdminClient, sent: list[UUID], version: JourneyVersion
) -> None:
    by_journey = client.get(f"/deliveries?journeyId={version.journey_id}")
    by_version = client.get(f"/deliveries?journeyVersionId={version.id}")

    assert _ids(by_journey) == _ids(by_version) == sent[::-1]


def test_a_wrong_question_is_refused(client: AdminClient) -> None:
    for query in WRONG:
        assert client.get(f"/deliveries?{query}").status_code == 422, query


def test_a_page_after_an_unknown_delivery_is_404(client: AdminClient) -> None:
    assert client.get(f"/deliveries?after={uuid4()}").status_code == 404


def test_one_delivery_shows_its_calls_and_the_end_of_its_token(
    client: AdminClient, sent: list[UUID]
) -> None:
    answer = client.get(f"/deliveries/{sent[0]}")

    shown = answer.get_json()
    assert (shown["state"], shown["attemptCount"], shown["vendorMessageId"]) == ("sent", 1, "m-1")
    assert shown["identity"] == {"namespace": "CRMID", "id": "a"}
    assert shown["pushToken"] == {
        "appId": "com.example.app",
        "platform": "fcm",
        "token": "…abc123",
    }
    [attempt] = shown["attempts"]
    assert (attempt["outcome"], attempt["statusCode"], attempt["worker"]) == ("sent", 200, WORKER)
    assert attempt["capId"] == str(ACTION)
    assert TOKEN not in answer.text
    assert "private" not in answer.text


def test_what_was_done_with_a_message_is_shown_in_lists_and_alone(
    client: AdminClient, store: SessionFactory, sent: list[UUID]
) -> None:
    opened = Interaction(InteractionKind.OPENED, opens_app=True)
    later = Interaction(InteractionKind.CUSTOM_ACTION, "Later")
    done = [
        (Interaction(InteractionKind.DISMISSED), 9),
        (opened, 4),
        (later, 5),
        (Interaction(InteractionKind.RECEIVED), 2),
        (Interaction(InteractionKind.RECEIVED), 3),
    ]
    with unit_of_work(store) as session:
        events = [
            TrackedEvent(uuid4(), sent[0], each, START + timedelta(seconds=at)) for each, at in done
        ]
        kept_interactions.keep(session, PROD, events)

    shown = client.get(f"/deliveries/{sent[0]}").get_json()
    listed = client.get("/deliveries").get_json()["items"]

    assert [(each["kind"], each["actionID"]) for each in shown["interactions"]] == [
        ("received", None),
        ("received", None),
        ("opened", None),
        ("customAction", "Later"),
        ("dismissed", None),
    ]
    names = ("receivedAt", "openedAt", "dismissedAt")
    assert [shown[name][17:19] for name in names] == ["02", "04", "09"]
    assert listed[2]["interactions"] == shown["interactions"]
    assert [listed[0][name] for name in (*names, "interactions")] == [None, None, None, []]


def test_a_waiting_delivery_has_no_end_and_no_calls(client: AdminClient, sent: list[UUID]) -> None:
    shown = client.get(f"/deliveries/{sent[2]}").get_json()

    assert (shown["state"], shown["endedAt"], shown["pushToken"]) == ("waiting", None, None)
    assert shown["attempts"] == []


def test_a_list_hides_tokens_too(client: AdminClient, sent: list[UUID]) -> None:
    answer = client.get("/deliveries")

    assert answer.get_json()["items"][2]["pushToken"]["token"] == "…abc123"
    assert TOKEN not in answer.text


def test_a_delivery_is_unknown_in_another_sandbox(client: AdminClient, sent: list[UUID]) -> None:
    dev = {"name": "dev", "title": "Dev", "type": "development"}
    client.post("/sandbox-management/sandboxes", json=dev)
    other = client.having(x_sandbox_name="dev")

    assert other.get("/deliveries").get_json()["items"] == []
    assert other.get(f"/deliveries/{sent[0]}").status_code == 404
    assert client.get(f"/deliveries/{uuid4()}").status_code == 404
