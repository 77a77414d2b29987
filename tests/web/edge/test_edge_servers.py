"""Servers that speak for devices: version 2, bearer tokens and access types."""

import json
from typing import Any

import pytest

from service.access.permissions import ALL_SANDBOXES, Permission
from service.access.tokens import AccessToken, ExpiredTokenError, MalformedTokenError
from service.catalog.datastream_settings import AccessType, DatastreamSettings
from service.core.errors import StoreUnavailableError, UnauthorizedError
from service.db.session import SessionFactory
from service.identity.identity_map import ClaimedIdentity
from service.web.context import ACCESS_TOKENS
from service.web.edge.application import EdgeApplication
from service.web.edge.identity_cookie import cookie_name
from tests.support.admin import ORG as ADMIN_ORG
from tests.support.admin import admin_app, signed_in
from tests.support.clocks import START, FixedClock
from tests.support.edge_documents import ECID, web
from tests.support.edge_world import World, consent_body, phone_body, plain_body
from tests.support.wire import (
    MOBILE_ID,
    ORG,
    WEB_ID,
    FakeSources,
    Reply,
    WireServices,
    call,
    datastream,
    edge_query,
)

V2 = "/ee/v2/interact"
V2_COLLECT = "/ee/or2/v2/collect"
BEARER = {"Authorization": "Bearer t", "x-api-key": "client", "x-gw-ims-org-id": "org"}
ONLY_TOKENS = DatastreamSettings(access_type=AccessType.AUTHENTICATED)
ONE_EVENT = {"event": {"xdm": {"_id": "E-1", "identityMap": {"ECID": [{"id": ECID}]}}}}


def token(*permissions: Permission, sandbox: str = ALL_SANDBOXES) -> AccessToken:
    return AccessToken("client", "org", frozenset(permissions), frozenset({sandbox}), START)


def reader(found: AccessToken | Exception) -> Any:
    def read(_: str) -> AccessToken:
        if isinstance(found, Exception):
            raise found
        return found

    return read


def server(found: AccessToken | Exception | None = None, **source: Any) -> World:
    sources = datastream(**source), datastream("web", **source)
    return World(*sources, read_token=reader(found or token(Permission.COLLECT)))


def post(world: World, document: Any, path: str = V2, **options: Any) -> Reply:
    return world.post(json.dumps(document).encode(), path=path, headers=BEARER, **options)


def test_a_server_sends_one_event_and_is_answered_with_handles() -> None:
    world = server()
    question = {"query": {"identity": {"fetch": ["ECID"]}}}

    reply = post(world, ONE_EVENT | question, query=f"datastreamId={MOBILE_ID}&requestId=r-1")

    (event,) = world.committer.requests[0].events
    assert reply.status == 200
    assert reply.json()["requestId"] == "r-1"
    assert reply.json()["handle"][0]["payload"][0]["id"] == ECID
    assert event.identities == (ClaimedIdentity("ECID", ECID),)


def test_a_server_that_keeps_a_browsers_state_is_given_its_cookie() -> None:
    document = web()
    document["event"] = document.pop("events")[0]

    reply = post(server(), document, query=f"dataStreamId={WEB_ID}")

    (entry,) = reply.json()["handle"][1]["payload"]
    assert entry["key"] == cookie_name(ORG)


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [("", 202, b'{"requestId":"r-1"}'), ("&silent=true", 204, b""), ("&silent=false", 202, None)],
)
def test_what_a_server_collects_is_kept_before_the_answer(
    query: str, status: int, body: bytes | None
) -> None:
    world = server()
    document = {"events": [{"xdm": {"_id": f"E-{n}", "eventType": "a"}} for n in range(3)]}

    reply = post(
        world, document, V2_COLLECT, query=f"datastreamId={MOBILE_ID}&requestId=r-1{query}"
    )

    assert reply.status == status
    assert body is None or reply.body == body
    assert len(world.committer.requests[0].events) == 3


def test_events_of_several_people_stay_apart() -> None:
    world = server()
    people = [{"xdm": {"identityMap": {"Email": [{"id": f"{n}@a.example"}]}}} for n in range(2)]
    document = {"events": [{"xdm": {"identityMap": {"ECID": [{"id": ECID}]}}}, *people]}

    post(world, document, V2_COLLECT)

    found = [event.identities for event in world.committer.requests[0].events]
    assert [[each.namespace for each in one] for one in found] == [["ECID"], ["Email"], ["Email"]]


@pytest.mark.parametrize(
    ("document", "path", "field"),
    [
        ({"meta": {}}, V2, "$.event "),
        ({"query": {}}, V2_COLLECT, "$.events "),
        ({"event": {"xdm": {"_id": 5}}}, V2, "$.event.xdm._id "),
        ({"event": []}, V2, "$.event "),
        (ONE_EVENT | {"events": [{"xdm": {}}]}, V2, "$.event "),
    ],
)
def test_an_error_names_the_event_as_the_server_spelled_it(
    document: Any, path: str, field: str
) -> None:
    world = server()

    reply = post(world, document, path)

    assert reply.status == 400
    assert field in reply.json()["detail"]
    assert world.committer.requests == []


@pytest.mark.parametrize(
    ("found", "headers", "code"),
    [
        (None, {}, "0500-401"),
        (None, {"Authorization": "Basic abc"}, "0500-401"),
        (None, {"Authorization": "Bearer "}, "0500-401"),
        (MalformedTokenError("no"), BEARER, "0500-401"),
        (UnauthorizedError("no"), BEARER, "0502-401"),
        (ExpiredTokenError("no"), BEARER, "0503-401"),
        (None, BEARER | {"x-api-key": "another"}, "0504-401"),
        (None, BEARER | {"x-gw-ims-org-id": "another"}, "0504-401"),
        (token(Permission.PROFILES_READ), BEARER, "0505-401"),
        (token(Permission.COLLECT, sandbox="dev"), BEARER, "0506-401"),
    ],
)
@pytest.mark.parametrize("path", [V2, V2_COLLECT])
def test_a_server_that_may_not_send_is_told_why(
    path: str, found: Any, headers: dict[str, str], code: str
) -> None:
    world = server(found)

    reply = world.post(json.dumps(ONE_EVENT).encode(), path=path, headers=headers)

    assert reply.status == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert reply.json()["type"].endswith(f"EXEG-{code}")
    assert world.committer.requests == []


def test_a_store_that_is_away_makes_nobody_a_stranger() -> None:
    world = server(StoreUnavailableError("away"))

    assert post(world, ONE_EVENT).status == 503


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/ee/v1/interact", phone_body()),
        ("/ee/v1/collect", plain_body()),
        ("/ee/v1/privacy/set-consent", consent_body()),
        ("/ee/v1/identity/acquire", b"{}"),
        ("/ee/va/v1/ping", plain_body()),
    ],
)
def test_a_datastream_for_servers_only_refuses_everyone_without_a_token(
    path: str, body: bytes
) -> None:
    world = server(settings=ONLY_TOKENS)

    stranger = world.post(body, path=path)
    known = world.post(body, path=path, headers=BEARER)

    assert stranger.json()["type"].endswith("EXEG-0500-401")
    assert known.status in {200, 204}


def test_a_token_of_the_admin_api_opens_version_two(
    sqlite_store: SessionFactory, clock: FixedClock
) -> None:
    admin = admin_app(sqlite_store, clock)
    headers = signed_in(admin, Permission.COLLECT).headers
    services = WireServices(FakeSources(datastream()), clock=clock)
    application = EdgeApplication(services, admin.extensions[ACCESS_TOKENS].verify)
    body = json.dumps(ONE_EVENT).encode()

    def ask(**changes: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in changes.items()}
        return call(application, V2, body, query=edge_query(MOBILE_ID), headers=headers | named)

    good, altered = ask(), ask(Authorization=headers["Authorization"] + "x")
    no_token, foreign = ask(Authorization="Bearer abc"), ask(x_gw_ims_org_id=f"x{ADMIN_ORG}")
    clock.advance(3601)
    expired = ask()

    found = [each.json().get("type", "")[-8:] for each in (altered, no_token, foreign, expired)]
    assert good.status == 200
    assert found == ["0502-401", "0500-401", "0504-401", "0503-401"]
