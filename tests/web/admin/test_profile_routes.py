"""One person over HTTP, by any identity, with tokens that cannot be used."""

from datetime import timedelta
from uuid import UUID

import pytest

from service.core.ids import derived_key, new_key
from service.db.session import SessionFactory, unit_of_work
from service.identity.identity_map import identity_key
from service.identity.models import Identity
from service.profiles.models import Profile, PushToken, PushTokenOwner
from service.sandboxes.scope import Scope
from tests.support.admin import AdminClient
from tests.support.clocks import START, FixedClock

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
