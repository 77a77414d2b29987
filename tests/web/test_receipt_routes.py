"""Receipts over HTTP: signed by vendors, kept on the delivery, harmless when repeated."""

import base64
import hmac
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from service.core.secret import Keyring
from service.db.session import SessionFactory, unit_of_work
from service.journeys.models import JourneyStimulus, JourneyVersion, StepEvent
from service.outbound import dead_letters, deliveries
from service.outbound.dead_letters import DeadLetters, LetterContext, LetterFilter, NewLetter
from service.outbound.deliveries import DeliveryState, EndedDelivery
from tests.support.admin import KEY, AdminClient, admin_app, signed_in
from tests.support.builders import PROD
from tests.support.clocks import START, FixedClock
from tests.support.journeys import by_segment, call, published
from tests.support.sent_messages import end, intend

AUTH_TOKEN = "twilio-auth-token"
PUBLIC = "https://hooks.example.com/sms"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@pytest.fixture
def app(store: SessionFactory, clock: FixedClock) -> Flask:
    return admin_app(store, clock)


@pytest.fixture
def client(app: Flask) -> AdminClient:
    return signed_in(app)


@pytest.fixture
def version(store: SessionFactory) -> JourneyVersion:
    with unit_of_work(store) as session:
        return published(session, by_segment(call()))


@pytest.fixture
def delivery(store: SessionFactory, version: JourneyVersion) -> UUID:
    with unit_of_work(store) as session:
        key = intend(session, version, "ann")
        end(session, key, DeliveryState.SENT)
        return key


def source(client: AdminClient, provider: str, secret: str, **more: str) -> str:
    body = {"name": provider, "provider": provider, "secret": secret, **more}
    answer = client.post("/receipt-sources", json=body)
    assert answer.status_code == 201, answer.text
    path: str = answer.get_json()["path"]
    return path


def shown(client: AdminClient, delivery: UUID) -> Any:
    return client.get(f"/deliveries/{delivery}").get_json()


def twilio(
    client: AdminClient, path: str, delivery: object, status: str, code: str = ""
) -> TestResponse:
    query = f"deliveryId={delivery}"
    form = {"MessageSid": "SM1", "MessageStatus": status, "To": "+15005550006"}
    if code:
        form["ErrorCode"] = code
    signed = f"{PUBLIC}?{query}" + "".join(f"{name}{form[name]}" for name in sorted(form))
    made = hmac.new(AUTH_TOKEN.encode(), signed.encode(), "sha1").digest()
    return client.app.test_client().post(
        f"{path}?{query}",
        data=urlencode(form),
        headers={"X-Twilio-Signature": base64.b64encode(made).decode()},
        content_type="application/x-www-form-urlencoded",
    )


def generic(
    client: AdminClient, clock: FixedClock, path: str, name: str, event: dict[str, Any]
) -> TestResponse:
    body, moment = json.dumps(event).encode(), str(int(clock.now().timestamp()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    made = hmac.new(key, f"{name}.{moment}.".encode() + body, "sha256").digest()
    signature = f"v1,{base64.b64encode(made).decode()}"
    headers = {"webhook-id": name, "webhook-timestamp": moment, "webhook-signature": signature}
    return client.app.test_client().post(path, data=body, headers=headers)


def test_callbacks_in_any_order_end_with_the_same(client: AdminClient, delivery: UUID) -> None:
    path = source(client, "twilio", AUTH_TOKEN, publicUrl=PUBLIC)

    for status in ("sent", "read", "delivered", "queued"):
        assert twilio(client, path, delivery, status).status_code == 200

    found = shown(client, delivery)
    assert (found["feedback"], found["feedbackReason"]) == ("read", None)
    assert {each["kind"] for each in found["interactions"]} == {"opened", "received"}
    assert found["openedAt"] is not None
    assert found["state"] == "sent"


def test_a_repeated_callback_changes_nothing(client: AdminClient, delivery: UUID) -> None:
    path = source(client, "twilio", AUTH_TOKEN, publicUrl=PUBLIC)
    first = twilio(client, path, delivery, "delivered").get_json()
    once = shown(client, delivery)

    again = twilio(client, path, delivery, "delivered").get_json()

    assert first == {"receipts": 1, "changed": 1, "unknown": 0}
    assert again == {"receipts": 1, "changed": 0, "unknown": 0}
    assert shown(client, delivery) == once


def test_a_run_is_told_of_what_a_receipt_says_was_done(
    client: AdminClient, store: SessionFactory, delivery: UUID
) -> None:
    awaits = (
        update(StepEvent)
        .where(StepEvent.sandbox_id == PROD.sandbox_id, StepEvent.kind == "dispatch")
        .values(body={"_edgepost": {"awaitsReaction": True}})
    )
    with unit_of_work(store) as session:
        session.execute(awaits)
    path = source(client, "twilio", AUTH_TOKEN, publicUrl=PUBLIC)
    for _ in range(2):
        twilio(client, path, delivery, "read")

    told = select(JourneyStimulus.kind, JourneyStimulus.payload).where(
        JourneyStimulus.sandbox_id == PROD.sandbox_id, JourneyStimulus.kind == "interacted"
    )
    steps = select(StepEvent.body).where(
        StepEvent.sandbox_id == PROD.sandbox_id, StepEvent.kind == "interaction"
    )
    with unit_of_work(store) as session:
        stimuli = [payload["interaction"]["kind"] for _, payload in session.execute(told)]
        events = [body["eventType"] for body in session.scalars(steps)]
    assert (stimuli, events) == (["opened"], ["pushTracking.applicationOpened"])


def test_a_failure_gives_way_to_what_arrived_after_all(client: AdminClient, delivery: UUID) -> None:
    path = source(client, "twilio", AUTH_TOKEN, publicUrl=PUBLIC)
    twilio(client, path, delivery, "undelivered", "30003")
    between = shown(client, delivery)
    twilio(client, path, delivery, "delivered")

    assert (between["feedback"], between["feedbackReason"]) == ("bounce", "30003")
    assert shown(client, delivery)["feedback"] == "delivered"


def test_who_opts_out_is_audited_once(client: AdminClient, delivery: UUID) -> None:
    path = source(client, "twilio", AUTH_TOKEN, publicUrl=PUBLIC)
    for _ in range(2):
        twilio(client, path, delivery, "undelivered", "21610")

    audited = client.get("/audit/entries?action=receipt.optOut").get_json()["items"]

    assert [(each["subject"], each["reason"]) for each in audited] == [(str(delivery), "21610")]


def test_a_delivery_nobody_knows_is_counted(client: AdminClient, delivery: UUID) -> None:
    path = source(client, "twilio", AUTH_TOKEN, publicUrl=PUBLIC)

    for named in (uuid4(), "x"):
        answer = twilio(client, path, named, "delivered")
        assert answer.status_code == 200
        assert answer.get_json() == {"receipts": 1, "changed": 0, "unknown": 1}


def test_a_message_no_call_was_made_for_has_no_receipt(
    client: AdminClient, store: SessionFactory, version: JourneyVersion
) -> None:
    with unit_of_work(store) as session:
        capped = intend(session, version, "bob")
        over = EndedDelivery(capped, DeliveryState.CAPPED, "capped", {}, 0)
        deliveries.end(session, PROD, [over], now=START)
    path = source(client, "twilio", AUTH_TOKEN, publicUrl=PUBLIC)

    assert twilio(client, path, capped, "delivered").get_json()["changed"] == 0
    assert shown(client, capped)["feedback"] is None


@pytest.mark.parametrize(("status", "left"), [("delivered", 0), ("failed", 1)])
def test_what_arrived_after_a_doubtful_call_is_not_sent_again(
    client: AdminClient, store: SessionFactory, version: JourneyVersion, status: str, left: int
) -> None:
    with unit_of_work(store) as session:
        doubtful = intend(session, version, "bob")
        end(session, doubtful, DeliveryState.UNKNOWN, "timeout")
        context = LetterContext({}, {}, 30_000, 3_600_000)
        letter = NewLetter(
            doubtful, uuid4(), version.journey_id, DeliveryState.UNKNOWN, "timeout", context
        )
        book = DeadLetters(Keyring.of([KEY]), timedelta(days=7))
        book.keep(session, PROD, [letter], now=START)
    path = source(client, "twilio", AUTH_TOKEN, publicUrl=PUBLIC)

    twilio(client, path, doubtful, status)

    with unit_of_work(store) as session:
        assert dead_letters.count(session, PROD, LetterFilter(), now=START) == left


@pytest.mark.parametrize("signature", ["", "AAAA", "é"])
def test_a_wrong_signature_is_refused_before_anything_is_read(
    client: AdminClient, delivery: UUID, signature: str
) -> None:
    path = source(client, "twilio", AUTH_TOKEN)

    answer = client.app.test_client().post(
        path, data=b"\xff\x00 not a form", headers={"X-Twilio-Signature": signature}
    )

    assert answer.status_code == 403
    assert shown(client, delivery)["feedback"] is None


def test_a_source_nobody_knows_or_that_is_gone_is_not_found(client: AdminClient) -> None:
    path = source(client, "twilio", AUTH_TOKEN)
    source_id = path.rpartition("/")[2]

    assert client.delete(f"/receipt-sources/{source_id}").status_code == 204
    assert twilio(client, path, uuid4(), "sent").status_code == 404
    assert twilio(client, f"/receipts/{uuid4()}", uuid4(), "sent").status_code == 404


def test_standard_webhooks_are_taken_and_old_ones_are_not(
    client: AdminClient, clock: FixedClock, delivery: UUID
) -> None:
    path = source(client, "generic", SECRET)
    event = {"type": "message.clicked", "data": {"deliveryId": str(delivery), "actionId": "Buy"}}

    taken = generic(client, clock, path, "m1", event)
    unreadable = client.app.test_client().post(path, data=b"{")
    clock.advance(1)

    found = shown(client, delivery)
    assert (taken.status_code, unreadable.status_code) == (200, 403)
    assert found["feedback"] == "read"
    [interaction] = found["interactions"]
    assert (interaction["kind"], interaction["actionID"]) == ("customAction", "Buy")


def test_sendgrids_events_are_taken_as_a_batch(
    client: AdminClient,
    clock: FixedClock,
    store: SessionFactory,
    version: JourneyVersion,
) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    path = source(client, "sendgrid", base64.b64encode(der).decode())
    names = ("bounced", "blocked", "dropped", "clicked")
    with unit_of_work(store) as session:
        sent = {name: intend(session, version, name) for name in names}
        for key in sent.values():
            end(session, key, DeliveryState.SENT)
    at = int((clock.now() - timedelta(minutes=1)).timestamp())

    def event(name: str, word: str, number: int, **more: Any) -> dict[str, Any]:
        own = {"deliveryId": str(sent[name]), "sg_event_id": f"e{number}", "timestamp": at}
        return {"event": word, **own, **more}

    events = [
        event("bounced", "bounce", 1, type="bounce", status="5.1.1"),
        event("blocked", "bounce", 2, type="blocked"),
        event("dropped", "dropped", 3, reason="Unsubscribed Address"),
        event("clicked", "delivered", 4),
        event("clicked", "click", 5, url="https://www.example.com/a"),
        event("clicked", "click", 5, url="https://www.example.com/a"),
        {"event": "delivered", "sg_event_id": "e6", "timestamp": at},
    ]
    body, moment = json.dumps(events).encode(), str(int(clock.now().timestamp()))
    sealed = private.sign(moment.encode() + body, ec.ECDSA(hashes.SHA256()))
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(sealed).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": moment,
    }

    taken = client.app.test_client().post(path, data=body, headers=headers)

    found = {name: shown(client, key) for name, key in sent.items()}
    feedback = {name: (one["feedback"], one["feedbackReason"]) for name, one in found.items()}
    audited = client.get("/audit/entries?action=receipt.optOut").get_json()["items"]
    assert taken.get_json() == {"receipts": 7, "changed": 4, "unknown": 1}
    assert feedback == {
        "bounced": ("bounce", "bounce"),
        "blocked": ("bounce", "blocked"),
        "dropped": ("denylist", "Unsubscribed Address"),
        "clicked": ("read", None),
    }
    kinds = [each["kind"] for each in found["clicked"]["interactions"]]
    assert sorted(kinds) == ["customAction", "received"]
    assert [each["subject"] for each in audited] == [str(sent["dropped"])]


def test_one_signals_stream_is_taken_with_its_bearer(client: AdminClient, delivery: UUID) -> None:
    path = source(client, "oneSignal", "a-long-bearer-secret")
    event = {"id": "e1", "kind": "message.push.received", "timestamp": 1782900000}
    body = {"event": event, "message": {"name": str(delivery)}}
    plain = client.app.test_client()

    refused = plain.post(path, json=body)
    taken = plain.post(path, json=body, headers={"Authorization": "Bearer a-long-bearer-secret"})

    assert (refused.status_code, taken.status_code) == (403, 200)
    assert shown(client, delivery)["feedback"] == "delivered"


def test_a_secret_goes_in_and_never_comes_out(client: AdminClient) -> None:
    path = source(client, "twilio", AUTH_TOKEN, publicUrl=PUBLIC)

    one = client.get(f"/receipt-sources/{path.rpartition('/')[2]}")
    listed = client.get("/receipt-sources").get_json()["items"]
    audited = client.get("/audit/entries").text

    assert listed == [one.get_json()]
    assert one.get_json()["publicUrl"] == PUBLIC
    assert AUTH_TOKEN not in one.text + audited


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"provider": "carrier-pigeon"}, 422),
        ({"provider": "generic"}, 422),
        ({"secret": "short"}, 422),
        ({"publicUrl": "ftp://x"}, 422),
        ({"colour": "red"}, 422),
        ({"name": "taken"}, 409),
    ],
)
def test_what_is_no_source_is_refused(
    client: AdminClient, change: dict[str, str], status: int
) -> None:
    body = {"name": "mine", "provider": "twilio", "secret": AUTH_TOKEN}
    client.post("/receipt-sources", json={**body, "name": "taken"})

    assert client.post("/receipt-sources", json=body | change).status_code == status
