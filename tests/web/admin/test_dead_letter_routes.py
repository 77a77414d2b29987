"""Dead letters over HTTP."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.access.permissions import Permission
from service.core.secret import Keyring
from service.db.session import SessionFactory, unit_of_work
from service.journeys.models import JourneyVersion
from service.outbound.dead_letters import DeadLetters, LetterContext, NewLetter
from service.outbound.deliveries import DeliveryState
from tests.support.admin import KEY, AdminClient, signed_in
from tests.support.builders import PROD
from tests.support.clocks import START
from tests.support.journeys import ACTION, by_segment, call, published
from tests.support.sent_messages import end, intend

PUSH = {
    "name": "crm",
    "adapter": "webhook",
    "url": "https://crm.example/notify",
    "payload": {"note": "{{ parameters.note }}", "of": "{{ event.eventType }}"},
}


@pytest.fixture
def version(store: SessionFactory) -> JourneyVersion:
    with unit_of_work(store) as session:
        return published(session, by_segment(call()))


def dead(
    store: SessionFactory,
    version: JourneyVersion,
    name: str,
    *,
    action: UUID = ACTION,
    state: DeliveryState = DeliveryState.CAPPED,
    at_s: int = 0,
) -> UUID:
    with unit_of_work(store) as session:
        key = intend(session, version, name, action=action)
        end(session, key, state, str(state))
        context = LetterContext({"eventType": "cart"}, {"note": "hello"}, 30_000, 3_600_000)
        letter = NewLetter(key, action, version.journey_id, state, str(state), context)
        book = DeadLetters(Keyring.of([KEY]), timedelta(days=7))
        book.keep(session, PROD, [letter], now=START + timedelta(seconds=at_s))
        return key


def ids(answer: Any) -> list[UUID]:
    return [UUID(each["id"]) for each in answer.get_json()["items"]]


def test_dead_letters_are_listed_newest_first_page_by_page(
    client: AdminClient, store: SessionFactory, version: JourneyVersion
) -> None:
    made = [dead(store, version, name, at_s=place) for place, name in enumerate("abc")]

    first = client.get("/dead-letters?limit=2")
    rest = client.get(f"/dead-letters?limit=2&after={first.get_json()['page']['next']}")

    assert ids(first) + ids(rest) == made[::-1]
    shown = client.get(f"/dead-letters/{made[0]}").get_json()
    assert (shown["state"], shown["reason"], shown["replayId"]) == ("capped", "capped", None)
    assert "hello" not in first.text


def test_they_are_chosen_by_what_is_known_of_them(
    client: AdminClient, store: SessionFactory, version: JourneyVersion
) -> None:
    old = dead(store, version, "a")
    new = dead(store, version, "b", state=DeliveryState.FAILED, at_s=60)
    since = (START + timedelta(seconds=30)).isoformat().replace("+00:00", "Z")

    found = {
        query: ids(client.get(f"/dead-letters?{query}"))
        for query in (
            "state=failed",
            "reason=capped",
            f"since={since}",
            f"until={since}",
            f"actionId={uuid4()}",
            f"journeyId={version.journey_id}",
            "replayed=true",
        )
    }

    assert list(found.values()) == [[new], [old], [new], [old], [], [new, old], []]


@pytest.mark.parametrize("query", ["state=sent", "since=yesterday", "replayed=1", "colour=red"])
def test_another_choice_is_refused(client: AdminClient, query: str) -> None:
    assert client.get(f"/dead-letters?{query}").status_code == 422


def test_a_letter_is_shown_as_it_would_go_now(
    client: AdminClient, store: SessionFactory, version: JourneyVersion
) -> None:
    action = UUID(client.post("/actions", json=PUSH).get_json()["id"])
    known = dead(store, version, "a", action=action)

    shown = client.get(f"/dead-letters/{known}/preview")

    assert shown.status_code == 200
    assert shown.get_json()["outcome"] in {"rendered", "suppressed"}
    assert client.get(f"/dead-letters/{uuid4()}/preview").status_code == 404


def test_they_are_counted_sent_again_and_audited(
    client: AdminClient, store: SessionFactory, version: JourneyVersion
) -> None:
    made = [dead(store, version, name) for name in "abc"]
    body = {"filter": {"state": "capped"}, "maxPerMinute": 60}

    counted = client.post("/dead-letters/replay", json={**body, "dryRun": True}).get_json()
    sent = client.post("/dead-letters/replay", json={**body, "limit": 2}).get_json()
    rest = client.post("/dead-letters/replay", json=body).get_json()

    waiting = client.get("/deliveries?state=waiting").get_json()["items"]
    audited = client.get("/audit/entries?action=deadLetters.replay").get_json()["items"]
    assert (counted["count"], counted["left"], counted["dryRun"]) == (3, 0, True)
    assert (sent["count"], sent["left"], sent["dryRun"]) == (2, 1, False)
    assert (rest["count"], rest["left"], rest["lastDueAt"] is None) == (1, 0, False)
    assert {UUID(each["replayOf"]) for each in waiting} == set(made)
    assert [each["facts"]["count"] for each in audited] == [1, 2]
    assert client.get("/ledger").get_json()["balanced"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"filter": {}},
        {"filter": {}, "maxPerMinute": 0},
        {"filter": {"state": "sent"}, "maxPerMinute": 1},
        {"filter": {"colour": "red"}, "maxPerMinute": 1},
        {"filter": {}, "maxPerMinute": 1, "limit": 0},
    ],
)
def test_what_is_no_replay_is_refused(client: AdminClient, body: object) -> None:
    assert client.post("/dead-letters/replay", json=body).status_code == 422


def test_who_may_only_read_sends_nothing_again(client: AdminClient) -> None:
    reader = signed_in(client.app, Permission.DELIVERIES_READ)
    body = {"filter": {}, "maxPerMinute": 1}

    assert reader.get("/dead-letters").status_code == 200
    assert reader.post("/dead-letters/replay", json=body).status_code == 403
