"""What the protocols accept, both stores keep: no accepted body is refused behind the queue."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from mobile_stub import sdk
from mobile_stub.device import Kind, Platform, new_device
from service.db.session import SessionFactory, unit_of_work
from service.profiles.models import ExperienceEvent, PushToken
from service.web.wsgi import Application
from tests.support.clocks import START
from tests.support.stored_wire import served
from tests.support.wire import INLET_ID, MOBILE_ID, ORG, Reply, call, edge_query

ECID = "41861666193140161934276845651148876988"
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
)
KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
OBJECTS = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)
PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def post(application: Application, body: bytes) -> Reply:
    return call(application, "/ee/v1/interact", body, query=edge_query(MOBILE_ID))


def count(store: SessionFactory, table: Any) -> int:
    with unit_of_work(store) as session:
        counted = select(func.count()).select_from(table).where(table.sandbox_id == 1)
        return session.scalar(counted) or 0


@pytest.mark.parametrize("kind", list(Kind))
def test_a_phones_token_is_stored_once_however_often_it_is_sent(
    store: SessionFactory, kind: Kind
) -> None:
    platform = Platform.FCM if kind is Kind.ANDROID else Platform.APNS
    phone, hit = sdk.install(new_device(kind, "com.example.shop", platform, 7), "TOKEN:1", START)
    assert hit is not None

    with served(store) as application:
        bodies = [sdk.render(hit, phone, START + timedelta(seconds=each)) for each in range(3)]
        statuses = [post(application, body).status for body in bodies]

    assert statuses == [200, 200, 200]
    assert (count(store, ExperienceEvent), count(store, PushToken)) == (1, 1)


@settings(max_examples=40)
@given(xdm=OBJECTS, data=OBJECTS, person=PLAIN, event_type=PLAIN)
def test_no_accepted_event_is_refused_by_a_store(
    store: SessionFactory, xdm: Any, data: Any, person: str, event_type: str
) -> None:
    identity_map = {"ECID": [{"id": ECID}], "CRMID": [{"id": person}]}
    own = {"identityMap": identity_map, "eventType": event_type}
    body = json.dumps({"events": [{"xdm": xdm | own, "data": data}]}).encode()

    with served(store) as application:
        before = count(store, ExperienceEvent)
        reply = post(application, body)

    assert reply.status == 200, reply.body
    assert count(store, ExperienceEvent) == before + 1


@settings(max_examples=40)
@given(attributes=OBJECTS, person=PLAIN.filter(lambda text: text.strip("0- ") != ""))
def test_no_accepted_record_is_refused_by_a_store(
    store: SessionFactory, attributes: Any, person: str
) -> None:
    schema = {"schemaRef": {"id": "https://ns.adobe.com/acme/schemas/people"}}
    entity = attributes | {"identityMap": {"CRMID": [{"id": f"C-{person}"}]}}
    message = {
        "header": {**schema, "imsOrgId": ORG},
        "body": {"xdmMeta": schema, "xdmEntity": entity},
    }

    with served(store) as application:
        body = json.dumps(message).encode()
        reply = call(application, f"/collection/{INLET_ID}", body)

    assert reply.status == 200, reply.body
