"""Vendors as data: what a file can say, what an action may not, and each vendor's own rules."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from service.core import json
from service.core.errors import InvalidInputError
from service.core.secret import Secret
from service.outbound.adapters import vendor as vendor_module
from service.outbound.adapters.contract import ActionSpec
from service.outbound.adapters.registry import channel_of, get_adapter
from service.outbound.adapters.vendor import VendorAdapter
from service.outbound.adapters.vendor_document import VendorDocumentError, read_document
from service.outbound.auth import ApiKeyAuth, AuthSpec, BasicAuth, KeyLocation
from service.outbound.channels import Channel
from service.outbound.egress import AddressGuard
from service.outbound.recipient_address import NoAddressError
from service.outbound.templating import TemplateError
from tests.support.messages import NOW, TOKEN, action_for, message

TEN_LINES: dict[str, Any] = json.decode(
    (vendor_module.__doc__ or "").partition("The least file:")[2].partition("\n\nAn action's")[0]
)
PHONE = {"name": "Ann", "mobilePhone": {"number": "+15005550006"}}
MADE_UP = ActionSpec(
    name="greet",
    adapter="madeUp",
    method="POST",
    url="",
    headers=(),
    payload={"text": "Hi {{ profile.name }}"},
    auth=ApiKeyAuth("authorization", Secret("Bearer k")),
    timeout_ms=5000,
    settings={"project": "shop 1/x"},
)


def vendor(**changed: Any) -> VendorAdapter:
    return VendorAdapter("madeUp", read_document("madeUp", json.encode({**TEN_LINES, **changed})))


def sent(adapter: VendorAdapter, action: ActionSpec = MADE_UP, **context: Any) -> Any:
    parts = adapter.render(action, message(**{"profile": PHONE, **context}), now=NOW)
    return json.decode(parts.body)


def refused(adapter: VendorAdapter, action: ActionSpec) -> str:
    with pytest.raises(InvalidInputError) as caught:
        adapter.check(action, AddressGuard())
    return caught.value.detail


def saved(name: str, **changed: Any) -> str:
    """Return why an action of a real vendor is refused; its sample's settings stay."""
    action = action_for(name)
    if "settings" in changed:
        changed["settings"] = {**action.settings, **changed["settings"]}
    adapter = get_adapter(name)
    assert isinstance(adapter, VendorAdapter)
    return refused(adapter, replace(action, **changed))


def form_of(action: ActionSpec, **context: Any) -> dict[str, list[str]]:
    parts = get_adapter("twilio").render(action, message(**context), now=NOW)
    return parse_qs(parts.body.decode(), strict_parsing=True)


def twilio(payload: Any = None, **settings: Any) -> ActionSpec:
    action = action_for("twilio")
    return replace(
        action, payload=payload or action.payload, settings={**action.settings, **settings}
    )


def test_the_ten_lines_of_the_description_make_a_vendor() -> None:
    adapter = vendor()
    adapter.check(MADE_UP, AddressGuard())

    parts = adapter.render(MADE_UP, message(profile=PHONE), now=NOW)

    assert (parts.method, parts.url) == ("POST", "https://api.example.com/v1/shop%201%2Fx/messages")
    assert parts.headers == (("Content-Type", "application/json"),)
    assert json.decode(parts.body) == {
        "text": "Hi Ann",
        "to": "+15005550006",
        "reference": "00000000-0000-0000-0000-000000000001",
    }


def test_where_it_calls_is_known_without_a_message() -> None:
    target = vendor().target(MADE_UP)

    assert (target.method, target.url, target.body) == (
        "POST",
        "https://api.example.com/v1/shop%201%2Fx/messages",
        b"",
    )


def test_a_vendor_of_push_tokens_needs_no_address() -> None:
    adapter = VendorAdapter(
        "madeUp",
        read_document(
            "madeUp",
            json.encode(
                {key: each for key, each in TEN_LINES.items() if key != "address"}
                | {"platforms": ["fcm"], "channels": ["push"]}
            ),
        ),
    )

    assert adapter.needs_token
    assert adapter.platforms == frozenset({"fcm"})
    assert sent(adapter)["to"] == TOKEN
    with pytest.raises(TemplateError, match="push token"):
        sent(adapter, token=None)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"urll": "x"}, "malformed"),
        ({"channels": ["pigeon"]}, "malformed"),
        ({"channels": []}, "no channel"),
        ({"auth": []}, "no authentication"),
        ({"url": "ftp://api.example.com/"}, "neither with https"),
        ({"url": "https://api.example.com/{region}"}, "region in its URL"),
        ({"settings": {"project": {"description": "x"}}}, "project in its URL"),
        ({"settings": {"project": {"description": "x", "pattern": "("}}}, "malformed"),
        ({"platforms": ["fcm"]}, "either platforms"),
        ({"address": None}, "either platforms"),
        ({"body": {"to": "$adress"}}, r"\$adress"),
        ({"body": {"to": ["$settings.x"]}}, r"\$settings\.x"),
        ({"body": {"$payload.": 1}}, r"\$payload\."),
        ({"body": {"ttl": "$ttl"}}, "says not what it may be"),
        ({"headers": {"X": "$settings.x"}}, r"\$settings\.x"),
        ({"one_of": [["x"]]}, "asks for the setting x"),
        ({"variants": {"setting": "project", "bodies": {"a": {}}}}, "variants"),
        (
            {"auth": [{"type": "apiKey", "name": "X", "setting": "appKey"}]},
            "asks for the setting appKey",
        ),
    ],
)
def test_a_file_that_contradicts_itself_is_refused_when_it_is_read(
    changed: dict[str, Any], problem: str
) -> None:
    with pytest.raises(VendorDocumentError, match=problem):
        vendor(**changed)


def test_a_field_of_the_payload_can_move_into_the_vendors_own() -> None:
    adapter = vendor(body={"to": [{"phone": "$address", "vars": "$payload.vars"}]})
    with_vars = replace(MADE_UP, payload={"text": "x", "vars": {"n": "{{ profile.name }}"}})

    assert sent(adapter, with_vars) == {
        "text": "x",
        "to": [{"phone": "+15005550006", "vars": {"n": "Ann"}}],
    }
    assert sent(adapter)["to"] == [{"phone": "+15005550006"}]


def test_a_field_that_the_vendor_sets_is_not_the_authors() -> None:
    adapter = vendor(body={"to": "$address", "meta": {"id": "$delivery.id"}})

    assert "payload.to is set by" in refused(adapter, replace(MADE_UP, payload={"to": "+1"}))
    assert "payload.meta.id is set" in refused(
        adapter, replace(MADE_UP, payload={"meta": {"id": "x"}})
    )
    both = replace(MADE_UP, payload={"meta": {"mine": 1}})
    adapter.check(both, AddressGuard())
    assert sent(adapter, both)["meta"] == {
        "mine": 1,
        "id": "00000000-0000-0000-0000-000000000001",
    }


def test_an_object_of_a_template_cannot_change_the_recipient() -> None:
    adapter = vendor(body={"to": {"phone": "$address"}})
    sly = replace(MADE_UP, payload={"to": "{{ parameters.to }}", "x": 1})

    assert "payload.to" in refused(adapter, sly)
    rendered = sent(adapter, sly, parameters={"to": {"phone": "+1999"}})
    assert rendered["to"] == {"phone": "+15005550006"}


def test_what_is_null_for_a_person_is_left_out() -> None:
    payload = {"a": "{{ profile.nothing }}", "b": {"c": None, "d": 1}}

    rendered = sent(vendor(), replace(MADE_UP, payload=payload), profile={**PHONE, "nothing": None})

    assert (rendered["b"], "a" in rendered) == ({"d": 1}, False)


@pytest.mark.parametrize(
    ("auth", "fits"),
    [
        (ApiKeyAuth("Authorization", Secret("Bearer k")), True),
        (ApiKeyAuth("Authorization", Secret("Bearer ")), False),
        (ApiKeyAuth("Authorization", Secret("k")), False),
        (ApiKeyAuth("Authorization", Secret("Bearer k\r\nX: 1")), False),
        (ApiKeyAuth("X-Key", Secret("Bearer k")), False),
        (ApiKeyAuth("Authorization", Secret("Bearer k"), KeyLocation.QUERY), False),
        (BasicAuth("a", Secret("b")), False),
    ],
)
def test_the_proof_is_of_the_vendors_kind(auth: AuthSpec, fits: bool) -> None:  # noqa: FBT001 - a table's column
    action = replace(MADE_UP, auth=auth)
    if fits:
        vendor().check(action, AddressGuard())
        return

    assert "`Bearer …`" in refused(vendor(), action)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"payload": {}}, "must be an object"),
        ({"payload": "text"}, "must be an object"),
        ({"headers": (("X", "1"),)}, "headers"),
        ({"query": (("x", "1"),)}, "query"),
        ({"settings": {}}, "needs it"),
        ({"settings": {"project": None}}, "needs it"),
        ({"settings": {"project": 7}}, "of the type string"),
        ({"settings": {"project": " "}}, "not empty"),
        ({"settings": {"project": "a\r\nb"}}, "one line"),
        ({"settings": {"project": "{{ profile.name }}"}}, "cannot hold a template"),
        ({"settings": {"project": "x", "address": "{{ profil.name }}"}}, r"variable profil"),
    ],
)
def test_an_action_that_could_not_be_sent_is_refused(changed: dict[str, Any], problem: str) -> None:
    assert problem in refused(vendor(), replace(MADE_UP, **changed))


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ({}, "noAddress"),
        ({"mobilePhone": {}}, "noAddress"),
        ({"mobilePhone": {"number": ""}}, "noAddress"),
        ({"mobilePhone": {"number": " ( ) "}}, "noAddress"),
        ({"mobilePhone": {"number": None}}, "noAddress"),
        ({"mobilePhone": {"number": "0500 5550006"}}, "addressMalformed"),
        ({"mobilePhone": {"number": "+15005550006\n+19"}}, "addressMalformed"),
        ({"mobilePhone": {"number": "+1" + 600 * "0"}}, "addressMalformed"),
        ({"mobilePhone": {"number": "+15005550006,+15005550007"}}, "addressMalformed"),
    ],
)
def test_who_has_no_usable_number_gets_no_message(profile: dict[str, Any], reason: str) -> None:
    action = twilio(address=None)

    with pytest.raises(NoAddressError) as caught:
        get_adapter("twilio").render(action, message(profile={"name": "A", **profile}), now=NOW)

    assert caught.value.reason == reason
    assert caught.value.fields == {"address": "{{ profile.mobilePhone.number }}"}


@pytest.mark.parametrize(
    ("written", "number"),
    [("+1 (500) 555-0006", "+15005550006"), ("+49.30/1234567", "+49301234567")],
)
def test_a_number_is_sent_as_twilio_wants_it(written: str, number: str) -> None:
    profile = {"name": "Ann", "mobilePhone": {"number": written}}

    assert form_of(twilio(address=None), profile=profile)["To"] == [number]


@pytest.mark.parametrize(
    ("settings", "life", "validity"),
    [
        ({}, timedelta(hours=1), "3600"),
        ({}, timedelta(days=2), "36000"),
        ({}, timedelta(milliseconds=10), "1"),
        ({"ttlS": 60}, timedelta(hours=1), "60"),
        ({"ttlS": 60}, timedelta(seconds=30.9), "30"),
    ],
)
def test_twilio_holds_a_message_no_longer_than_it_means_something(
    settings: dict[str, Any], life: timedelta, validity: str
) -> None:
    assert form_of(twilio(**settings), expires_at=NOW + life)["ValidityPeriod"] == [validity]


@pytest.mark.parametrize(
    ("written", "called"),
    [
        ("https://h.example/r", "https://h.example/r?deliveryId={id}"),
        ("https://h.example/r?a=1", "https://h.example/r?a=1&deliveryId={id}"),
        ("https://h.example/r#rc=2", "https://h.example/r?deliveryId={id}#rc=2"),
    ],
)
def test_twilio_reports_with_our_name_for_the_message(written: str, called: str) -> None:
    sent_form = form_of(twilio(statusCallback=written))

    assert sent_form["StatusCallback"] == [called.format(id="00000000-0000-0000-0000-000000000001")]


def test_an_sms_of_1600_characters_is_taken_and_one_more_is_not() -> None:
    assert form_of(twilio({"Body": "é" * 1600}))["Body"] == ["é" * 1600]
    with pytest.raises(TemplateError, match="Body is 1601 characters; twilio takes 1600"):
        form_of(twilio({"Body": "é" * 1601}))


@pytest.mark.parametrize(
    ("name", "changed", "problem"),
    [
        ("twilio", {"settings": {"accountSid": "AC1"}}, "accountSid"),
        ("twilio", {"settings": {"from": None}}, "from or messagingServiceSid"),
        ("twilio", {"settings": {"from": "+15005550006 or so, and more"}}, "from"),
        ("twilio", {"settings": {"statusCallback": "h.example"}}, "statusCallback"),
        ("twilio", {"settings": {"ttlS": 36_001}}, "from 1 to 36000"),
        ("twilio", {"settings": {"ttlS": True}}, "of the type integer"),
        ("twilio", {"settings": {"channel": "fax"}}, "sms, whatsApp"),
        ("twilio", {"payload": {"body": "x"}}, "Body or MediaUrl or ContentSid"),
        ("twilio", {"payload": {"Body": "x", "To": "+15005550006"}}, "payload.To is set by"),
        ("twilio", {"auth": ApiKeyAuth("Authorization", Secret("Basic x"))}, "basic"),
        ("sendgrid", {"payload": {"content": [], "personalizations": []}}, "needs from"),
        ("sendgrid", {"auth": ApiKeyAuth("Authorization", Secret("SG.x"))}, "`Bearer …`"),
        ("oneSignal", {"settings": {"oneSignalAppId": "shop"}}, "oneSignalAppId"),
        ("oneSignal", {"payload": {"headings": {"en": "x"}}}, "contents or template_id"),
        ("airship", {"settings": {"selector": "tag"}}, "selector"),
        ("airship", {"auth": ApiKeyAuth("Authorization", Secret("Bearer x"))}, "setting appKey"),
        ("airship", {"payload": {"notification": {}, "audience": "all"}}, "payload.audience is"),
        ("braze", {"settings": {"endpoint": None}}, "cluster"),
        ("braze", {"payload": {"messages": {}, "external_user_ids": []}}, "external_user_ids is"),
    ],
)
def test_what_a_vendor_would_not_take_is_refused_when_it_is_saved(
    name: str, changed: dict[str, Any], problem: str
) -> None:
    assert problem in saved(name, **changed)


def test_a_mail_of_more_than_ten_categories_is_not_sent() -> None:
    action = action_for("sendgrid")
    payload = {**action.payload, "categories": [f"c{number}" for number in range(11)]}

    with pytest.raises(TemplateError, match="categories is 11 items; sendgrid takes 10"):
        get_adapter("sendgrid").render(replace(action, payload=payload), message(), now=NOW)


def test_onesignal_is_given_a_key_of_the_kind_it_takes_and_the_same_for_every_attempt() -> None:
    action = action_for("oneSignal")
    adapter = get_adapter("oneSignal")

    keys = {
        json.decode(adapter.render(action, message(), now=now).body)["idempotency_key"]
        for now in (NOW, NOW + timedelta(seconds=5))
    }

    [key] = keys
    assert key[14] == "3"


@pytest.mark.parametrize("part", ["apple_push", "android_push"])
def test_braze_is_told_of_the_end_in_the_parts_that_a_message_has(part: str) -> None:
    action = replace(action_for("braze"), payload={"messages": {part: {"alert": "x"}}})

    body = json.decode(get_adapter("braze").render(action, message(), now=NOW).body)

    ends: dict[str, dict[str, Any]] = {
        "apple_push": {"expiry": "2026-07-01T11:00:00+00:00"},
        "android_push": {"time_to_live": 3600},
    }
    assert body["messages"] == {part: {"alert": "x", **ends[part]}}


def test_braze_finds_people_by_alias_too() -> None:
    action = action_for("braze")
    by_alias = replace(
        action, settings={**action.settings, "target": "alias", "aliasLabel": "shop_id"}
    )

    body = json.decode(get_adapter("braze").render(by_alias, message(), now=NOW).body)

    assert body["user_aliases"] == [{"alias_name": "c-1", "alias_label": "shop_id"}]
    assert "external_user_ids" not in body


@pytest.mark.parametrize("name", ["oneSignal", "airship", "braze"])
def test_people_are_named_by_the_identity_of_their_journey_unless_an_action_says_otherwise(
    name: str,
) -> None:
    action = action_for(name)
    plain = replace(action, settings={**action.settings, "address": None})
    adapter = get_adapter(name)
    adapter.check(plain, AddressGuard())

    parts = adapter.render(plain, message(identity=("CRMID", "c-77")), now=NOW)

    assert b'"c-77"' in parts.body
    with pytest.raises(NoAddressError):
        adapter.render(plain, message(), now=NOW)


@pytest.mark.parametrize(
    ("name", "settings", "channel"),
    [
        ("twilio", {}, Channel.SMS),
        ("twilio", {"channel": "whatsApp"}, Channel.WHATS_APP),
        ("sendgrid", {}, Channel.EMAIL),
        ("oneSignal", {}, Channel.PUSH),
        ("oneSignal", {"channel": None}, Channel.PUSH),
        ("braze", {"channel": "email"}, Channel.EMAIL),
        ("fcm", {}, Channel.PUSH),
        ("webhook", {}, Channel.PUSH),
    ],
)
def test_an_action_knows_the_channel_whose_consent_it_needs(
    name: str, settings: dict[str, Any], channel: Channel
) -> None:
    assert channel_of(name, settings) is channel


def test_onesignal_sends_over_the_channel_that_consent_is_asked_for() -> None:
    action = action_for("oneSignal")
    by_mail = replace(action, settings={**action.settings, "channel": "email"})

    body = json.decode(get_adapter("oneSignal").render(by_mail, message(), now=NOW).body)

    assert body["target_channel"] == "email"


def test_the_settings_of_a_vendor_are_described() -> None:
    described = get_adapter("twilio").setting_descriptions

    assert described["ttlS"]["maximum"] == 36_000
    assert described["channel"]["enum"] == ["sms", "whatsApp"]
    assert "{{ profile.mobilePhone.number }}" in described["address"]["description"]
    assert all(each["description"] for each in described.values())
