"""Custom actions: checked whole when saved, secrets never in the clear, read whole when sent."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from service.core import json
from service.core.errors import ConflictError, InvalidInputError, NotFoundError
from service.core.secret import Keyring, Secret, new_secret_key
from service.db.session import SessionFactory, unit_of_work
from service.outbound import actions
from service.outbound.action_auth import ActionSecrets
from service.outbound.action_parameters import ActionParameter
from service.outbound.actions import Action, ActionBook, ActionDirectory
from service.outbound.auth import ApiKeyAuth, BasicAuth
from service.outbound.auth_account import ServiceAccountAuth
from service.outbound.egress import AddressGuard
from service.outbound.models import CustomAction
from service.outbound.new_action import NewAction
from service.outbound.parameter_types import ParameterType
from service.sandboxes.scope import Scope
from tests.support.clocks import START, FixedClock
from tests.support.delivery_world import PUSH
from tests.support.messages import service_account

KEY = new_secret_key()
SECRET = "stub-api-key"


def book(environment: dict[str, str] | None = None, allow: str = "") -> ActionBook:
    secrets = ActionSecrets(Keyring.of([KEY]), environment or {})
    return ActionBook(secrets, AddressGuard.of(allow))


def create(store: SessionFactory, scope: Scope, new: NewAction = PUSH) -> UUID:
    with unit_of_work(store) as session:
        return book().create(session, scope, new, now=START).id


def read(
    store: SessionFactory, scope: Scope, action_id: UUID, by: ActionBook | None = None
) -> Action:
    with unit_of_work(store) as session:
        return (by or book()).read(actions.get(session, scope, action_id))


def credentials() -> dict[str, str]:
    account = service_account()
    return {
        "type": "service_account",
        "client_email": account.client_email,
        "private_key_id": account.private_key_id,
        "private_key": account.private_key.reveal(),
        "token_uri": account.token_uri,
        "project_id": account.project_id,
    }


FCM = NewAction(
    name="fcm_push",
    adapter="fcm",
    payload={"adb_title": "Hi"},
    auth={"type": "serviceAccount", "credentials": credentials()},
    settings={"ttlS": 60, "appId": "com.example.shop", "platform": "fcm"},
)


def test_an_action_is_read_back_as_it_was_saved(store: SessionFactory, scope: Scope) -> None:
    action = read(store, scope, create(store, scope))

    assert action.spec.auth == ApiKeyAuth("X-API-Key", Secret(SECRET))
    assert (action.method, action.url) == ("POST", PUSH.url)
    assert (action.spec.payload, action.timeout_ms) == (PUSH.payload, 30_000)
    assert action.needs_token


def test_limits_of_a_dynamic_url_are_looked_up_with_stars(
    store: SessionFactory, scope: Scope
) -> None:
    new = replace(
        PUSH,
        url="https://push.example/{{ profile.id }}/send",
        query={"x": "{{ profile.x }}"},
        parameters=(ActionParameter("n", ParameterType.INTEGER, is_optional=True),),
        answers={"response": {"id": {"path": "id"}}},
    )

    action = read(store, scope, create(store, scope, new))

    assert action.url == "https://push.example/*/send"
    assert (action.spec.url, action.spec.query) == (new.url, (("x", "{{ profile.x }}"),))
    assert action.spec.parameters == new.parameters
    assert action.answers is not None


def test_only_actions_that_declare_parameters_are_listed_with_them(
    store: SessionFactory, scope: Scope
) -> None:
    declared = (ActionParameter("n", ParameterType.INTEGER),)
    own = create(store, scope, replace(PUSH, parameters=declared))
    create(store, scope, replace(PUSH, name="free"))
    create(store, Scope(2, "dev"), replace(PUSH, parameters=declared))

    with unit_of_work(store) as session:
        assert actions.declared_parameters(session, scope) == {own: declared}


def test_what_chooses_the_token_is_not_the_adapters(store: SessionFactory, scope: Scope) -> None:
    action = read(store, scope, create(store, scope, FCM))

    assert (action.app_id, action.platform) == ("com.example.shop", "fcm")
    assert dict(action.spec.settings) == {"ttlS": 60}
    assert isinstance(action.spec.auth, ServiceAccountAuth)


def test_limits_are_looked_up_by_the_url_that_is_called(
    store: SessionFactory, scope: Scope
) -> None:
    action = read(store, scope, create(store, scope, FCM))

    assert action.url == "https://fcm.googleapis.com/v1/projects/shop-1/messages:send"


def test_no_row_answer_or_repr_shows_a_secret(store: SessionFactory, scope: Scope) -> None:
    action_id = create(store, scope)

    with unit_of_work(store) as session:
        row = actions.get(session, scope, action_id)
        kept = session.execute(
            text("SELECT * FROM custom_action WHERE sandbox_id = 1 AND id = :id").bindparams(
                id=action_id if session.get_bind().dialect.name != "sqlite" else action_id.hex
            )
        ).one()
        shown = actions.public_auth(row)
        action = book().read(row)
    assert SECRET not in str(tuple(kept))
    assert shown == {"type": "apiKey", "name": "X-API-Key", "location": "header", "value": "***"}
    assert SECRET not in repr(action) + repr(PUSH)


def test_a_secret_may_stay_in_the_environment(store: SessionFactory, scope: Scope) -> None:
    auth = {"type": "basic", "username": "u", "password": "env:ACTION_SECRET_PUSH"}
    with unit_of_work(store) as session:
        by = book({"ACTION_SECRET_PUSH": "from-outside"})
        row = by.create(session, scope, replace(PUSH, auth=auth), now=START)

    action = read(store, scope, row.id, by)

    assert action.spec.auth == BasicAuth("u", Secret("from-outside"))
    assert (row.auth["password"], row.auth_secret) == ("env:ACTION_SECRET_PUSH", None)


@pytest.mark.parametrize("name", ["EDGEPOST_SECRET_KEYS", "DATABASE_URL", "action_secret_x"])
def test_an_action_cannot_name_our_own_secrets(
    sqlite_store: SessionFactory, scope: Scope, name: str
) -> None:
    auth = {"type": "basic", "username": "u", "password": f"env:{name}"}

    with (
        pytest.raises(InvalidInputError, match="ACTION_SECRET_"),
        unit_of_work(sqlite_store) as session,
    ):
        book({name: "ours"}).create(session, scope, replace(PUSH, auth=auth), now=START)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"name": "two words"}, "name"),
        ({"name": "x" * 31}, "name"),
        ({"adapter": "pigeon"}, "adapter"),
        ({"method": "HEAD"}, "method"),
        ({"method": "DELETE"}, "DELETE has no body"),
        ({"url": "http://127.0.0.1/push"}, "127.0.0.1"),
        ({"url": "http://[64:ff9b::7f00:1]/push"}, "NAT64"),
        ({"url": "ftp://push.example/"}, "http"),
        ({"payload": {"a": "{{ profile."}}, "payload"),
        ({"headers": {"Host": "x"}}, "Host"),
        ({"url": ""}, "push needs a url"),
        ({"url": "https://{{token}}.example/"}, "scheme, host and port are static"),
        ({"url": "https://push.example/?t={{ token }}"}, "write it in query"),
        ({"url": "https://u:p@push.example/"}, "credentials"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "control characters"),
        ({"headers": {"X-A\n": "a"}}, "not a header's name"),
        ({"payload": {"a": "{% for i in (1..999999999) %}{% endfor %}"}}, "never be rendered"),
        ({"payload": {"a": "x" * 5_000_000}}, "at most 262144"),
        ({"payload": ["x" * 60_000] * 5}, "at most 262144"),
        ({"query": {"$x": "a"}}, "query parameter's name"),
        ({"parameters": (ActionParameter("x.", ParameterType.STRING),)}, "names joined by dots"),
        (
            {
                "parameters": (ActionParameter("x", ParameterType.STRING),),
                "url": "https://push.example/{{ parameters.y }}",
            },
            "no parameter y: it has x",
        ),
        ({"answers": {"response": {"a": {"path": ""}}}}, "answers.response.a.path"),
        ({"adapter": "fcm", "url": "", "query": {"x": "a"}}, "takes no query"),
        ({"settings": {"ttlS": 1}}, "no setting ttlS: it has appId, idempotencyHeader, platform"),
        ({"settings": {"appId": "a", "foo": 1}}, "no setting foo: it has appId, idem"),
        ({"settings": {"appId": 7}}, "appId"),
        ({"settings": {"appId": " "}}, "appId"),
        ({"settings": {"platform": "pigeon"}}, "one of apns, apnsSandbox, fcm, web"),
        ({"adapter": "webhook", "payload": {}, "settings": {"appId": "a"}}, "no setting appId"),
        ({"adapter": "webhook", "payload": {}, "settings": {"platform": "fcm"}}, "no setting plat"),
        (
            {"adapter": "webhook", "payload": {"to": "{{ token }}"}},
            "no message of .* variable token",
        ),
        (
            {"payload": {"to": "{{ tokn }}"}},
            "variable tokn; there is delivery, event, identity, journey, para",
        ),
        ({"headers": {"X-A": "{{ journey.id }}"}}, "headers.X-A: .* variable journey.id"),
        ({"timeout_ms": 30_001}, "timeoutMs"),
        ({"max_retries": 4}, "maxRetries"),
        ({"auth": {"type": "magic"}}, "auth.type"),
        ({"auth": {"type": "apiKey", "name": "k"}}, "value"),
        ({"auth": {"type": "apiKey", "value": "k"}}, "auth.name"),
        ({"auth": {"type": "none", "token": "k"}}, "auth.token"),
        ({"auth": {"type": "apiKey", "name": "k", "value": "v", "location": "body"}}, "location"),
        ({"auth": {"type": "serviceAccount", "credentials": "{}"}}, "client_email"),
    ],
)
def test_an_action_that_could_not_be_sent_is_not_kept(
    sqlite_store: SessionFactory, scope: Scope, changed: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"(?i){says}"):
        create(sqlite_store, scope, replace(PUSH, **changed))

    with unit_of_work(sqlite_store) as session:
        assert actions.list_all(session, scope) == ()


def test_fcm_sends_to_tokens_of_fcm_only(sqlite_store: SessionFactory, scope: Scope) -> None:
    settings = {"appId": "com.example.shop", "platform": "apns"}

    with pytest.raises(InvalidInputError, match=r"platform apns: settings\.platform is one of fcm"):
        create(sqlite_store, scope, replace(FCM, settings=settings))


@pytest.mark.parametrize("name", ["projectId", "collapseKey", "endpoint"])
def test_what_is_no_template_cannot_hold_one(
    sqlite_store: SessionFactory, scope: Scope, name: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"{name} is static"):
        create(sqlite_store, scope, replace(FCM, settings={name: "{{ profile.id }}"}))


def test_a_choice_that_is_null_takes_any_token(store: SessionFactory, scope: Scope) -> None:
    new = replace(PUSH, settings={"appId": None, "platform": None})

    action = read(store, scope, create(store, scope, new))

    assert (action.app_id, action.platform) == (None, None)


def test_a_name_is_taken_once_in_a_sandbox(store: SessionFactory, scope: Scope) -> None:
    create(store, scope)

    with pytest.raises(ConflictError):
        create(store, scope)
    create(store, Scope(2, "dev"))


def test_an_update_without_a_secret_keeps_the_one_there_is(
    store: SessionFactory, scope: Scope
) -> None:
    action_id = create(store, scope)
    auth = {"type": "apiKey", "name": "X-Key", "location": "query"}

    with unit_of_work(store) as session:
        book().update(
            session, scope, action_id, replace(PUSH, name="renamed", auth=auth), now=START
        )

    action = read(store, scope, action_id)
    assert action.spec.name == "renamed"
    assert isinstance(action.spec.auth, ApiKeyAuth)
    assert (action.spec.auth.name, action.spec.auth.value) == ("X-Key", Secret(SECRET))


def test_another_kind_of_authentication_needs_its_own_secret(
    store: SessionFactory, scope: Scope
) -> None:
    action_id = create(store, scope)
    auth = {"type": "basic", "username": "u"}

    with pytest.raises(InvalidInputError, match="password"), unit_of_work(store) as session:
        book().update(session, scope, action_id, replace(PUSH, auth=auth), now=START)


def test_a_refused_update_leaves_the_action_as_it_was(store: SessionFactory, scope: Scope) -> None:
    action_id = create(store, scope)

    with pytest.raises(InvalidInputError), unit_of_work(store) as session:
        book().update(session, scope, action_id, replace(PUSH, url="http://10.0.0.1/"), now=START)

    assert read(store, scope, action_id).url == PUSH.url


def test_an_action_of_another_sandbox_is_not_found(store: SessionFactory, scope: Scope) -> None:
    action_id = create(store, Scope(2, "dev"))

    with pytest.raises(NotFoundError), unit_of_work(store) as session:
        actions.get(session, scope, action_id)


def test_the_directory_sees_a_change_after_its_life(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    action_id = create(store, scope)
    directory = ActionDirectory(book(), clock, life_s=1.0)

    def name() -> str:
        with unit_of_work(store) as session:
            found = directory.find(session, scope, action_id)
            return found.spec.name if found else "gone"

    at_first = name()
    with unit_of_work(store) as session:
        later = clock.now().replace(year=2027)
        book().update(session, scope, action_id, replace(PUSH, name="renamed"), now=later)
    kept = name()
    clock.advance(1.0)

    assert (at_first, kept, name()) == ("generic_push", "generic_push", "renamed")


def test_the_directory_does_not_find_what_is_not_there(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    with unit_of_work(store) as session:
        assert ActionDirectory(book(), clock).find(session, scope, uuid4()) is None


def test_credentials_are_kept_encrypted_whole(store: SessionFactory, scope: Scope) -> None:
    action_id = create(store, scope, FCM)

    with unit_of_work(store) as session:
        row: CustomAction = actions.get(session, scope, action_id)
        assert row.auth_secret is not None
        revealed = Keyring.of([KEY]).decrypt(row.auth_secret)
    assert row.auth == {"type": "serviceAccount", "credentials": "***"}
    (kept,) = json.decode(revealed.reveal()).values()
    assert json.decode(kept) == credentials()
