"""Tokens as phones and pages announce them over the wire, and whose they are in the store then."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from mobile_stub import answers, sdk
from mobile_stub.device import Device, Hit, Kind, Platform, new_device
from service.audit.models import AuditEntry
from service.db.session import SessionFactory
from service.flows.sources import DatastreamSource
from service.identity.identity_map import identity_key
from service.profiles import live_activities, live_activity_targets, lookups
from service.profiles.models import ExperienceEvent, PushToken, PushTokenOwner
from service.web.edge.identity_cookie import cookie_name, encode_cookie
from service.web.wsgi import Application
from tests.support.clocks import FixedClock
from tests.support.edge_documents import web
from tests.support.stored_wire import served
from tests.support.subscriptions import subscription
from tests.support.wire import MOBILE_ID, ORG, PROD, WEB_ID, Reply, call, datastream, edge_query

APP = "com.example.shop"
ECID = "41861666193140161934276845651148876988"
FOOD = "FoodDeliveryLiveActivityAttributes"
APNS_TOKEN = "80F3C1AB09DE" * 5 + "CAFE"
LIVE_TOKEN = "80f3c1ab09de" * 13 + "feed"
ANDROID = new_device(Kind.ANDROID, APP, Platform.FCM, 1)
IPHONE = new_device(Kind.IOS, APP, Platform.APNS, 2)


class World:
    """One service over a store, and phones and pages that speak to it a second apart."""

    def __init__(self, store: SessionFactory, application: Application, clock: FixedClock) -> None:
        self.store = store
        self._application = application
        self._clock = clock

    def send(self, step: tuple[Device, Hit | None]) -> tuple[Device, Any]:
        """Send a phone's hit; return the phone and the only fragment of a 200."""
        device, hit = step
        assert hit is not None
        reply = self._post(sdk.render(hit, device, self.now()), MOBILE_ID)
        (envelope,) = answers.fragments_of(device.kind, reply.body)
        return device, envelope

    def browse(self, *events: dict[str, Any]) -> Any:
        """Send a page's events; its identity lies in its cookie."""
        cookie = {"key": cookie_name(ORG), "value": encode_cookie(ECID, self.now(), is_new=False)}
        document = web() | {"events": list(events)}
        document["meta"]["state"]["entries"] = [cookie]
        return self._post(json.dumps(document).encode(), WEB_ID).json()

    def now(self) -> Any:
        """Return a moment that the service's clock reaches before the request arrives."""
        return self._clock.now()

    def tokens(self) -> list[PushToken]:
        """Return every push token, in the order of their platforms."""
        query = select(PushToken).where(PushToken.sandbox_id == PROD.sandbox_id)
        with self.store.opened() as session:
            return list(session.scalars(query.order_by(PushToken.platform, PushToken.token)))

    def history(self) -> list[tuple[Any, str, str | None]]:
        """Return whom tokens belonged to, what began it and what ended it."""
        query = select(PushTokenOwner).where(PushTokenOwner.sandbox_id == PROD.sandbox_id)
        with self.store.opened() as session:
            rows = session.scalars(query.order_by(PushTokenOwner.from_at)).all()
        return [(each.identity_id, each.cause, each.end_cause) for each in rows]

    def audited(self) -> list[tuple[str, str]]:
        """Return action and reason of what was refused."""
        query = select(AuditEntry).where(AuditEntry.sandbox_id == PROD.sandbox_id)
        with self.store.opened() as session:
            rows = session.scalars(query.order_by(AuditEntry.id)).all()
        return [(each.action, each.reason) for each in rows]

    def event_count(self) -> int:
        """Return how many events are stored."""
        query = select(ExperienceEvent).where(ExperienceEvent.sandbox_id == PROD.sandbox_id)
        with self.store.opened() as session:
            return len(session.scalars(query).all())

    def reached(self, namespace: str, value: str, kind: str, name: str) -> Sequence[str]:
        """Return the tokens by which a person's live activities of this name are reached."""
        key = identity_key(namespace, value)
        with self.store.opened() as session:
            wanted = live_activities.Kind(kind)
            found = live_activity_targets.of_named(session, PROD, wanted, [(key, name)])
        tokens = found.get((key, name), ())
        return [each.token for each in tokens if each.denylisted_at is None]

    def _post(self, body: bytes, datastream_id: Any) -> Reply:
        self._clock.advance(1)
        query = edge_query(datastream_id)
        reply = call(self._application, "/ee/v1/interact", body, query=query)
        assert reply.status == 200, reply.body
        return reply


@contextmanager
def world(store: SessionFactory, *sources: DatastreamSource) -> Iterator[World]:
    clock = FixedClock()
    known = sources or (datastream(logout_on="absent"), datastream("web"))
    with served(store, *known, clock=clock) as application:
        yield World(store, application, clock)


def key_of(device: Device) -> Any:
    return identity_key("ECID", device.ecid)


def with_token(device: Device, text: str | None, now: Any) -> tuple[Device, Hit | None]:
    """Announce a token as the SDK would if it did not look at it."""
    identity = {"namespace": {"code": "ECID"}, "id": device.ecid}
    platform = device.platform.value
    details = {"appID": APP, "token": text, "platform": platform, "identity": identity}
    return sdk.queued(device, {"data": {"pushNotificationDetails": [details]}}, now)


def push_to_start(device: Device, now: Any, **changes: Any) -> tuple[Device, Hit | None]:
    """Announce where live activities are started, as iOS does for every type it knows."""
    details = {
        "appID": APP,
        "denylisted": False,
        "platform": device.platform.value,
        "token": LIVE_TOKEN,
        "attributeType": FOOD,
        "identity": {"namespace": {"code": "ECID"}, "id": device.ecid},
    }
    body = {
        "xdm": {"eventType": "liveActivity.pushToStart"},
        "data": {"liveActivityPushNotificationDetails": [details | changes]},
    }
    return sdk.queued(device, body, now)


def update_token(device: Device, activity: str, text: str, now: Any) -> tuple[Device, Hit | None]:
    """Announce where a running live activity is updated."""
    data = {"liveActivityID": activity, "token": text}
    return sdk.queued(device, {"xdm": {"eventType": "liveActivity.updateToken"}, "data": data}, now)


def subscribed(token: Any) -> dict[str, Any]:
    """Return the event of ``sendPushSubscription``: nothing but data."""
    identity = {"namespace": {"code": "ECID"}, "id": ECID}
    details = {"appID": "my-web-app", "token": token, "platform": "web", "denylisted": False}
    return {"data": {"pushNotificationDetails": [details | {"identity": identity}]}}


def causes(envelope: Any) -> list[str]:
    """Return why tokens of an answered request were not taken."""
    return [each["report"]["cause"]["message"] for each in envelope.get("warnings", ())]


@pytest.mark.parametrize(("phone", "text"), [(ANDROID, "dL3f:APA91bH"), (IPHONE, APNS_TOKEN)])
def test_case_42_a_push_token_is_kept_verbatim_for_its_device(
    store: SessionFactory, phone: Device, text: str
) -> None:
    with world(store) as service:
        phone, envelope = service.send(sdk.install(phone, text, service.now()))

        (token,) = service.tokens()
        assert (token.app_id, token.platform, token.token) == (APP, phone.platform.value, text)
        assert token.device_id == token.owner_id == key_of(phone)
        assert "warnings" not in envelope


@pytest.mark.parametrize("empty", [None, ""])
@pytest.mark.parametrize("phone", [ANDROID, IPHONE])
def test_case_42_an_empty_token_unregisters_nothing(
    store: SessionFactory, phone: Device, empty: str | None
) -> None:
    with world(store) as service:
        phone, _ = service.send(sdk.install(phone, APNS_TOKEN, service.now()))

        phone, envelope = service.send(with_token(phone, empty, service.now()))

        assert [each.owner_id for each in service.tokens()] == [key_of(phone)]
        assert causes(envelope) == ["tokenEmpty"]
        assert service.audited() == [("pushToken.refuse", "tokenEmpty")]
        assert service.event_count() == 2


def test_case_42_the_same_token_again_changes_nothing(store: SessionFactory) -> None:
    with world(store) as service:
        phone, _ = service.send(sdk.install(IPHONE, APNS_TOKEN, service.now()))

        service.send(with_token(phone, APNS_TOKEN, service.now()))

        assert len(service.tokens()) == 1
        assert service.history() == [(key_of(phone), "announced", None)]


def test_case_42_a_new_token_replaces_the_devices_old_one(store: SessionFactory) -> None:
    with world(store) as service:
        phone, _ = service.send(sdk.install(IPHONE, APNS_TOKEN, service.now()))

        phone, _ = service.send(sdk.rotate_token(phone, APNS_TOKEN[::-1], service.now()))

        owners = {each.token: each.owner_id for each in service.tokens()}
        assert owners == {APNS_TOKEN: None, APNS_TOKEN[::-1]: key_of(phone)}


def test_a_token_of_apns_is_the_same_in_another_case(store: SessionFactory) -> None:
    with world(store) as service:
        phone, _ = service.send(sdk.install(IPHONE, APNS_TOKEN, service.now()))

        service.send(with_token(phone, APNS_TOKEN.lower(), service.now()))

        assert [(each.token, each.owner_id) for each in service.tokens()] == [
            (APNS_TOKEN, key_of(phone)),
        ]


def test_a_token_of_fcm_is_another_in_another_case(store: SessionFactory) -> None:
    with world(store) as service:
        phone, _ = service.send(sdk.install(ANDROID, "dL3f:APA91bH", service.now()))

        service.send(with_token(phone, "dl3f:apa91bh", service.now()))

        assert len(service.tokens()) == 2


def test_the_sandbox_of_apns_is_another_address(store: SessionFactory) -> None:
    with world(store) as service:
        phone, _ = service.send(sdk.install(IPHONE, APNS_TOKEN, service.now()))
        sandboxed = replace(phone, platform=Platform.APNS_SANDBOX)

        service.send(with_token(sandboxed, APNS_TOKEN, service.now()))

        assert [(each.platform, each.owner_id) for each in service.tokens()] == [
            ("apns", key_of(phone)),
            ("apnsSandbox", key_of(phone)),
        ]


@pytest.mark.parametrize(("phone", "text"), [(ANDROID, "dL3f:APA91bH"), (IPHONE, APNS_TOKEN)])
def test_after_reset_identities_the_token_moves_to_the_new_ecid(
    store: SessionFactory, phone: Device, text: str
) -> None:
    with world(store) as service:
        before, _ = service.send(sdk.install(phone, text, service.now()))
        known, _ = service.send(sdk.event(sdk.login(before, "ada"), "a", service.now()))

        after, _ = service.send(sdk.install(sdk.reset_identities(known), text, service.now()))

        (token,) = service.tokens()
        assert token.device_id == token.owner_id == key_of(after)
        assert service.history() == [
            (key_of(before), "announced", "login"),
            (identity_key("CRMID", "ada"), "login", "announced"),
            (key_of(after), "announced", None),
        ]


@pytest.mark.parametrize("apps", [(), (APP, "com.example.other"), ("com.example.other",)])
def test_a_datastream_takes_tokens_of_its_apps_only(
    store: SessionFactory, apps: Sequence[str]
) -> None:
    is_taken = not apps or APP in apps
    with world(store, datastream(app_ids=frozenset(apps))) as service:
        phone, told = service.send(sdk.install(IPHONE, APNS_TOKEN, service.now()))
        phone, told_too = service.send(push_to_start(phone, service.now()))

        assert (len(service.tokens()) == 1) == is_taken
        assert service.reached("ECID", phone.ecid, "start", FOOD) == [LIVE_TOKEN] * is_taken
        assert causes(told) == causes(told_too) == ["appNotOnDatastream"] * (not is_taken)
        assert service.audited() == [
            ("pushToken.refuse", "appNotOnDatastream"),
            ("liveActivityToken.refuse", "appNotOnDatastream"),
        ] * (not is_taken)


def test_live_activities_belong_to_whoever_is_logged_in(store: SessionFactory) -> None:
    with world(store) as service:
        phone, _ = service.send(push_to_start(IPHONE, service.now()))
        phone = sdk.login(phone, "ada")
        phone, _ = service.send(update_token(phone, "order-4711", "80d1a4", service.now()))

        assert service.reached("CRMID", "ada", "start", FOOD) == [LIVE_TOKEN]
        assert service.reached("CRMID", "ada", "update", "order-4711") == ["80d1a4"]
        service.send(sdk.event(sdk.logout(phone), "a", service.now()))
        assert service.reached("CRMID", "ada", "start", FOOD) == []
        assert service.reached("CRMID", "ada", "update", "order-4711") == []


def test_after_reset_identities_the_start_token_moves_to_the_new_ecid(
    store: SessionFactory,
) -> None:
    with world(store) as service:
        known, _ = service.send(push_to_start(sdk.login(IPHONE, "ada"), service.now()))
        assert service.reached("CRMID", "ada", "start", FOOD) == [LIVE_TOKEN]

        after, _ = service.send(push_to_start(sdk.reset_identities(known), service.now()))

        assert service.reached("CRMID", "ada", "start", FOOD) == []
        assert service.reached("ECID", after.ecid, "start", FOOD) == [LIVE_TOKEN]


def test_a_live_activity_event_that_comes_again_has_no_effect(store: SessionFactory) -> None:
    with world(store) as service:
        first = update_token(IPHONE, "order-4711", "first", service.now())
        phone, _ = service.send(first)
        service.send(update_token(phone, "order-4711", "second", service.now()))

        service.send(first)

        assert service.reached("ECID", IPHONE.ecid, "update", "order-4711") == ["second"]
        assert service.event_count() == 2


def test_a_live_activity_may_name_a_device_that_the_event_does_not(store: SessionFactory) -> None:
    other = {"namespace": {"code": "ECID"}, "id": ECID}
    with world(store) as service:
        service.send(push_to_start(IPHONE, service.now(), identity=other))

        assert service.reached("ECID", ECID, "start", FOOD) == [LIVE_TOKEN]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"platform": "fcm"}, "platformWithoutLiveActivities"),
        ({"token": None}, "tokenEmpty"),
        ({"identity": {"namespace": {"code": "CRMID"}, "id": "ada"}}, "tokenNotOnDevice"),
    ],
)
def test_a_live_activity_that_cannot_be_is_refused_and_its_event_kept(
    store: SessionFactory, changes: dict[str, Any], reason: str
) -> None:
    with world(store) as service:
        _, envelope = service.send(push_to_start(IPHONE, service.now(), **changes))

        assert causes(envelope) == [reason]
        assert service.audited() == [("liveActivityToken.refuse", reason)]
        assert service.event_count() == 1


def test_a_pages_subscription_is_kept_as_it_was_sent(store: SessionFactory) -> None:
    with world(store) as service:
        service.browse({"xdm": {"eventType": "a"}})

        envelope = service.browse(subscribed(subscription()))

        (token,) = service.tokens()
        assert (token.app_id, token.platform, token.token) == ("my-web-app", "web", subscription())
        assert token.device_id == token.owner_id == identity_key("ECID", ECID)
        assert causes(envelope) == []


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("dL3f:APA91bH", "webPushMalformed"),
        (subscription("http://push.example/p"), "webPushMalformed"),
        (subscription(auth="AAAA"), "webPushMalformed"),
        ("", "tokenEmpty"),
        (None, "tokenEmpty"),
        (subscription("https://push.example/" + "p" * 4096), "tokenTooLong"),
    ],
)
def test_a_malformed_subscription_costs_the_page_no_other_event(
    store: SessionFactory, token: str | None, reason: str
) -> None:
    with world(store) as service:
        envelope = service.browse({"xdm": {"eventType": "a"}}, subscribed(token))

        assert causes(envelope) == [reason]
        assert service.audited() == [("pushToken.refuse", reason)]
        assert (service.tokens(), service.event_count()) == ([], 2)


def test_a_page_announces_no_phone_and_a_phone_no_page(store: SessionFactory) -> None:
    details = {"appID": APP, "token": APNS_TOKEN, "platform": "apns", "attributeType": FOOD}
    with world(store) as service:
        page = service.browse(
            {
                "data": {
                    "pushNotificationDetails": [details],
                    "liveActivityPushNotificationDetails": [details],
                },
            },
        )
        _, phone = service.send(
            sdk.queued(IPHONE, {"data": subscribed(subscription())["data"]}, service.now())
        )

        assert causes(page) == ["tokenPlatformNotOnDatastream"] * 2
        assert causes(phone) == ["tokenPlatformNotOnDatastream"]
        assert service.tokens() == []


def test_a_persons_view_shows_all_that_reaches_their_devices(store: SessionFactory) -> None:
    with world(store) as service:
        phone, _ = service.send(sdk.install(sdk.login(IPHONE, "ada"), APNS_TOKEN, service.now()))
        phone, _ = service.send(push_to_start(phone, service.now()))
        phone, _ = service.send(update_token(phone, "order-4711", "80d1a4", service.now()))

        with service.store.opened() as session:
            view = lookups.find_profile(session, PROD, "ECID", phone.ecid)

    assert view is not None
    ada = identity_key("CRMID", "ada")
    assert [(each.token.platform, each.token.owner_id) for each in view.tokens] == [("apns", ada)]
    assert [(each.token.kind, each.token.name, each.owner_id) for each in view.live_activities] == [
        ("update", "order-4711", ada),
        ("start", FOOD, ada),
    ]


def test_a_token_is_unregistered_by_nothing_but_its_provider(store: SessionFactory) -> None:
    with world(store) as service:
        phone, _ = service.send(sdk.install(IPHONE, APNS_TOKEN, service.now()))
        denied = {"appID": APP, "token": APNS_TOKEN, "platform": "apns", "denylisted": True}
        hit = sdk.queued(phone, {"data": {"pushNotificationDetails": [denied]}}, service.now())

        phone, _ = service.send(hit)

        (token,) = service.tokens()
        assert (token.owner_id, token.denylisted_at) == (key_of(phone), None)
