"""One person over HTTP, by any identity, with tokens that cannot be used."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from service.core.ids import derived_key, new_key
from service.db.session import SessionFactory, unit_of_work
from service.identity.identity_map import identity_key
from service.identity.models import Identity
from service.profiles.models import (
    LiveActivityOwner,
    LiveActivityToken,
    Profile,
    PushToken,
    PushTokenOwner,
)
from service.sandboxes.scope import Scope
from tests.support.admin import AdminClient
from tests.support.clocks import START, FixedClock
from tests.support.subscriptions import ENDPOINT, spelled, subscription

TOKEN = "very-long-token-that-nobody-may-read-abc123"
ECID = "12345678901234567890123456789012345678"
EMAIL = "jo@example.com"
STRANGER = identity_key("Email", "stranger@example.com")


def _identity(scope: Scope, namespace: str, value: str, root: UUID) -> Identity:
    key = identity_key(namespace, value)
    return Identity(
        sandbox_id=scope.sandbox_id,
        id=key,
        namespace=namespace,
        value=value,
        graph_id=root,
        profile_id=root,
        parent_id=None if key == root else root,
        had_login=False,
        created_at=START,
    )


def _owner(scope: Scope, token_id: UUID, identity_id: UUID, days: int) -> PushTokenOwner:
    return PushTokenOwner(
        sandbox_id=scope.sandbox_id,
        token_id=token_id,
        from_at=START + timedelta(days=days),
        id=new_key(),
        identity_id=identity_id,
        to_at=None if days else START + timedelta(days=1),
        cause="login",
        end_cause=None if days else "login",
    )


@pytest.fixture
def known(store: SessionFactory, scope: Scope, clock: FixedClock) -> UUID:
    """Return the key of a person with a device whose token another person had before."""
    root = identity_key("Email", EMAIL)
    token_id = derived_key("com.example.app", "fcm", TOKEN)
    token = PushToken(
        sandbox_id=scope.sandbox_id,
        id=token_id,
        app_id="com.example.app",
        platform="fcm",
        token=TOKEN,
        device_id=identity_key("ECID", ECID),
        announced_at=START,
        announced_event="e-1",
        logout_policy="detach",
        owner_id=root,
        registered_at=START,
    )
    profile = Profile(
        sandbox_id=scope.sandbox_id,
        id=root,
        attributes={"person": {"name": "Jo"}, "pushNotificationDetails": [{"token": TOKEN}]},
        is_test=False,
        created_at=START,
        updated_at=START,
    )
    with unit_of_work(store) as session:
        session.add_all(
            [
                profile,
                token,
                _identity(scope, "Email", EMAIL, root),
                _identity(scope, "ECID", ECID, root),
                _owner(scope, token_id, STRANGER, 0),
                _owner(scope, token_id, root, 1),
            ],
        )
    return root


def test_a_person_is_found_by_any_identity(client: AdminClient, known: UUID) -> None:
    by_email = client.get(f"/profiles/Email/{EMAIL}").get_json()
    by_device = client.get(f"/profiles/ECID/{ECID}").get_json()

    assert by_email == by_device
    assert by_email["id"] == str(known)
    assert by_email["attributes"] == {"person": {"name": "Jo"}}
    assert [(each["namespace"], each["id"]) for each in by_email["identities"]] == [
        ("ECID", ECID),
        ("Email", EMAIL),
    ]


def test_a_token_shows_its_end_and_everybody_it_belonged_to(
    client: AdminClient,
    known: UUID,
) -> None:
    answer = client.get(f"/profiles/Email/{EMAIL}")

    [token] = answer.get_json()["pushTokens"]
    assert (token["token"], token["owned"], token["platform"]) == ("…abc123", True, "fcm")
    owners = [(each["identityId"], each["to"] is None) for each in token["owners"]]
    assert owners == [(str(STRANGER), False), (str(known), True)]
    assert token["owners"][0]["identity"] is None
    assert token["owners"][1]["identity"]["id"] == EMAIL
    assert TOKEN not in answer.text


def test_adobes_path_answers_in_xdms_shape(client: AdminClient, known: UUID) -> None:
    answer = client.get(
        "/data/core/ups/access/entities",
        query_string={
            "schema.name": "_xdm.context.profile",
            "entityId": EMAIL,
            "entityIdNS": "email",
        },
    )

    assert answer.status_code == 200
    [(key, entity)] = answer.get_json().items()
    assert key == entity["entityId"] == str(known)
    assert entity["entity"]["person"] == {"name": "Jo"}
    assert entity["entity"]["identityMap"] == {"ECID": [{"id": ECID}], "Email": [{"id": EMAIL}]}
    assert entity["entity"]["pushNotificationDetails"] == [
        {
            "appID": "com.example.app",
            "platform": "fcm",
            "token": "…abc123",
            "denylisted": False,
        },
    ]
    assert TOKEN not in answer.text


def test_somebody_who_was_never_seen_is_404(client: AdminClient) -> None:
    query = {"schema.name": "_xdm.context.profile", "entityId": "x", "entityIdNS": "Email"}

    assert client.get("/profiles/Email/nobody@example.com").status_code == 404
    assert client.get("/data/core/ups/access/entities", query_string=query).status_code == 404


def test_a_namespace_that_is_not_there_is_named(client: AdminClient) -> None:
    answer = client.get("/profiles/NOPE/1")

    assert answer.status_code == 404
    assert answer.get_json()["detail"].startswith("There is no namespace 'NOPE' in this sandbox")


@pytest.mark.parametrize("missing", ["schema.name", "entityId", "entityIdNS"])
def test_an_entity_needs_schema_id_and_namespace(client: AdminClient, missing: str) -> None:
    query = {"schema.name": "_xdm.context.profile", "entityId": "x", "entityIdNS": "Email"}
    del query[missing]

    answer = client.get("/data/core/ups/access/entities", query_string=query)

    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["path"] == missing


def test_a_person_is_unknown_in_another_sandbox(client: AdminClient, known: UUID) -> None:
    dev = {"name": "dev", "title": "Dev", "type": "development"}
    client.post("/sandbox-management/sandboxes", json=dev)

    assert client.having(x_sandbox_name="dev").get(f"/profiles/Email/{EMAIL}").status_code == 404
    assert client.get(f"/profiles/Email/{EMAIL}").status_code == 200


LIVE = "80f3c1-whole-token-that-nobody-may-read-d4e5f6"
FOOD = "FoodDeliveryAttributes"


def _activity(
    scope: Scope, kind: str, name: str, *, has_moved: bool = False, **changes: Any
) -> tuple[LiveActivityToken, LiveActivityOwner]:
    """Return a token of the device and which device has it."""
    key, device = new_key(), identity_key("ECID", ECID)
    whole: dict[str, Any] = {
        "sandbox_id": scope.sandbox_id,
        "device_id": device,
        "kind": kind,
        "name": name,
        "app_id": "com.example.app" if kind == "start" else None,
        "platform": "apns" if kind == "start" else None,
        "token": LIVE,
        "token_id": key,
        "announced_at": START,
        "announced_event": "e-1",
        "registered_at": START,
    }
    owner = LiveActivityOwner(
        sandbox_id=scope.sandbox_id,
        token_id=key,
        device_id=STRANGER if has_moved else device,
        kind=kind,
        announced_at=START,
        announced_event="e-1",
        registered_at=START,
    )
    return LiveActivityToken(**{**whole, **changes}), owner


def _log_in(store: SessionFactory, scope: Scope, login: UUID | None) -> None:
    """Make the device's login register say who is there, as after a login."""
    with unit_of_work(store) as session:
        device = session.get(Identity, (scope.sandbox_id, identity_key("ECID", ECID)))
        assert device is not None
        device.login_id = login
        device.had_login = True


def test_live_activities_are_shown_by_their_end(
    client: AdminClient, store: SessionFactory, scope: Scope, known: UUID
) -> None:
    with unit_of_work(store) as session:
        session.add_all(
            [
                *_activity(scope, "start", FOOD, registered_at=START + timedelta(hours=1)),
                *_activity(scope, "update", "order-4711", denylisted_at=START),
                *_activity(scope, "start", "MovedAttributes", has_moved=True),
            ],
        )
    _log_in(store, scope, known)

    answer = client.get(f"/profiles/Email/{EMAIL}")

    start, update = answer.get_json()["liveActivityTokens"]
    assert start == {
        "kind": "start",
        "name": FOOD,
        "appId": "com.example.app",
        "platform": "apns",
        "token": "…d4e5f6",
        "owned": True,
        "registeredAt": "2026-07-01T11:00:00+00:00",
        "denylistedAt": None,
    }
    assert (update["kind"], update["name"], update["appId"]) == ("update", "order-4711", None)
    assert update["denylistedAt"] == "2026-07-01T10:00:00+00:00"
    assert LIVE not in answer.text


@pytest.mark.parametrize(
    ("login", "owned"),
    [(identity_key("Email", EMAIL), True), (STRANGER, False), (None, False)],
)
def test_a_live_activity_is_owned_by_whoever_is_logged_in(
    client: AdminClient,
    store: SessionFactory,
    scope: Scope,
    known: UUID,
    login: UUID | None,
    *,
    owned: bool,
) -> None:
    with unit_of_work(store) as session:
        session.add_all(_activity(scope, "start", FOOD))
    _log_in(store, scope, login)

    answer = client.get(f"/profiles/Email/{EMAIL}").get_json()

    assert [each["owned"] for each in answer["liveActivityTokens"]] == [owned]


def test_adobes_path_answers_the_start_tokens_that_the_person_owns(
    client: AdminClient, store: SessionFactory, scope: Scope, known: UUID
) -> None:
    with unit_of_work(store) as session:
        session.add_all([*_activity(scope, "start", FOOD), *_activity(scope, "update", "order")])
        profile = session.get(Profile, (scope.sandbox_id, known))
        assert profile is not None
        profile.attributes = {"liveActivityPushNotificationDetails": [{"token": LIVE}]}
    query = {"schema.name": "_xdm.context.profile", "entityId": EMAIL, "entityIdNS": "Email"}

    answers = []
    for login in (known, STRANGER):
        _log_in(store, scope, login)
        answers.append(client.get("/data/core/ups/access/entities", query_string=query))

    told = [
        answer.get_json()[str(known)]["entity"]["liveActivityPushNotificationDetails"]
        for answer in answers
    ]
    assert told == [
        [
            {
                "appID": "com.example.app",
                "platform": "apns",
                "attributeType": FOOD,
                "token": "…d4e5f6",
                "denylisted": False,
            },
        ],
        [],
    ]
    assert LIVE not in answers[0].text


def test_a_browsers_subscription_is_shown_by_its_push_service(
    client: AdminClient, store: SessionFactory, scope: Scope, known: UUID
) -> None:
    with unit_of_work(store) as session:
        key = derived_key("com.example.app", "fcm", TOKEN)
        token = session.get(PushToken, (scope.sandbox_id, key))
        assert token is not None
        token.platform, token.token = "web", subscription()
    query = {"schema.name": "_xdm.context.profile", "entityId": EMAIL, "entityIdNS": "Email"}

    own = client.get(f"/profiles/Email/{EMAIL}")
    adobes = client.get("/data/core/ups/access/entities", query_string=query)

    [shown] = own.get_json()["pushTokens"]
    [detail] = adobes.get_json()[str(known)]["entity"]["pushNotificationDetails"]
    assert shown["token"] == detail["token"] == "https://fcm.googleapis.com/…abc123"
    for secret in (ENDPOINT, spelled(16), spelled(65)):
        assert secret not in own.text + adobes.text
