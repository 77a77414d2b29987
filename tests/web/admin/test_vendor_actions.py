"""Actions of vendors that are data: saved whole, shown without secrets, refused with the reason."""

from typing import Any

import pytest

from tests.support.admin import AdminClient

ACCOUNT = "AC" + 32 * "0"
TWILIO: dict[str, Any] = {
    "name": "cart_sms",
    "adapter": "twilio",
    "payload": {"Body": "Hi {{ profile.person.name.firstName | default: 'you' }}"},
    "auth": {"type": "basic", "username": ACCOUNT, "password": "t0p-s3cret"},
    "settings": {"accountSid": ACCOUNT, "from": "+15005550001"},
}


def test_an_action_of_a_vendor_is_kept_and_its_secret_never_shown(client: AdminClient) -> None:
    made = client.post("/actions", json=TWILIO)

    shown = client.get(f"/actions/{made.get_json()['id']}")

    assert made.status_code == 201, made.text
    assert shown.get_json()["settings"] == TWILIO["settings"]
    assert "t0p-s3cret" not in made.text + shown.text


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"settings": {"from": "+15005550001"}}, "accountSid"),
        ({"settings": {**TWILIO["settings"], "appId": "com.example.shop"}}, "appId"),
        ({"settings": {**TWILIO["settings"], "endpoint": "http://169.254.169.254"}}, "169.254"),
        ({"settings": {**TWILIO["settings"], "address": "{{ profil.phone }}"}}, "profil"),
        ({"settings": {**TWILIO["settings"], "channel": "fax"}}, "sms, whatsApp"),
        ({"settings": {**TWILIO["settings"], "channel": ["sms"]}}, "settings.channel"),
        ({"settings": {**TWILIO["settings"], "ttlS": {"a": 1}}}, "settings.ttlS"),
        ({"settings": {**TWILIO["settings"], "endpoint": 7}}, "settings.endpoint"),
        ({"settings": {**TWILIO["settings"], "address": []}}, "settings.address"),
        ({"payload": {"text": "Hi"}}, "Body or MediaUrl or ContentSid"),
        ({"payload": {"Body": "Hi", "To": "+15005550009"}}, "payload.To"),
        ({"auth": {"type": "none"}}, "authenticates with basic"),
        ({"headers": {"X-Shop": "1"}}, "headers"),
    ],
)
def test_what_the_vendor_would_not_take_is_refused_with_the_reason(
    client: AdminClient, changed: dict[str, Any], problem: str
) -> None:
    refused = client.post("/actions", json={**TWILIO, **changed})

    assert refused.status_code in {400, 422}, refused.text
    assert problem in refused.text
