"""A browser's subscription is taken when it can be pushed to, and shown without its secrets."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.profiles.web_push import read_subscription
from tests.support.subscriptions import ENDPOINT, spelled, subscription


def test_a_subscription_is_read_as_it_was_sent() -> None:
    found = read_subscription(subscription())

    assert found is not None
    assert found.endpoint == ENDPOINT
    assert (found.keys.auth, found.keys.p256dh) == (spelled(16), spelled(65))


@given(auth=st.binary(min_size=16, max_size=16), p256dh=st.binary(min_size=65, max_size=65))
@pytest.mark.parametrize("cut", ["", "="])
def test_keys_of_the_right_size_are_taken_padded_or_not(
    auth: bytes, p256dh: bytes, cut: str
) -> None:
    texts = [base64.urlsafe_b64encode(each).decode() for each in (auth, p256dh)]
    keys = [each.rstrip(cut) if cut else each for each in texts]

    assert read_subscription(subscription(auth=keys[0], p256dh=keys[1])) is not None


@given(st.integers(0, 80), st.integers(0, 80))
def test_keys_of_another_size_are_not_taken(auth: int, p256dh: int) -> None:
    texts = [base64.urlsafe_b64encode(bytes(size)).decode() for size in (auth, p256dh)]

    found = read_subscription(subscription(auth=texts[0], p256dh=texts[1]))

    assert (found is not None) == ((auth, p256dh) == (16, 65))


@pytest.mark.parametrize(
    "endpoint",
    [
        ENDPOINT,
        "https://updates.push.services.mozilla.com/wpush/v2/gAAAA",
        "https://push.example:8443/p",
        "https://127.0.0.1/p",
        "HTTPS://push.example/p",
    ],
)
def test_any_https_endpoint_is_kept_whatever_its_host(endpoint: str) -> None:
    found = read_subscription(subscription(endpoint))

    assert found is not None
    assert found.endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "http://push.example/p",
        "push.example/p",
        "//push.example/p",
        "https://",
        "https:///p",
        "https://:443/p",
        "https://user:word@push.example/p",
        "https://push.example:0/p",
        "https://push.example:65536/p",
        "https://push.example:https/p",
        "https://[::1/p",
        "https://push.example/a b",
        "https://push.example\n.evil.example/p",
        "https://püsh.example/p",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_https_endpoint_is_not_taken(endpoint: str) -> None:
    assert read_subscription(subscription(endpoint)) is None


@pytest.mark.parametrize(
    "token",
    [
        "",
        "null",
        "[]",
        "dL3f:APA91bH",
        "{",
        "{}",
        json.dumps({"endpoint": ENDPOINT}),
        json.dumps({"endpoint": ENDPOINT, "keys": None}),
        json.dumps({"endpoint": ENDPOINT, "keys": {"auth": spelled(16)}}),
        json.dumps({"endpoint": 7, "keys": {"auth": spelled(16), "p256dh": spelled(65)}}),
        subscription(auth="+" + spelled(16)[1:]),
        subscription(p256dh="/" + spelled(65)[1:]),
        subscription(auth=spelled(16) + "\n"),
        '{"a":' * 100_000,
    ],
)
def test_what_spells_no_subscription_is_not_taken(token: str) -> None:
    assert read_subscription(token) is None


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_read_without_trouble(token: str) -> None:
    assert read_subscription(token) is None


def test_keys_that_a_browser_may_add_later_do_not_matter() -> None:
    document = json.loads(subscription()) | {"expirationTime": None}

    assert read_subscription(json.dumps(document)) is not None


def test_a_subscription_shows_its_push_service_and_the_end_of_its_endpoint() -> None:
    found = read_subscription(subscription())

    assert found is not None
    assert found.masked() == "https://fcm.googleapis.com/…abc123"
    for secret in (ENDPOINT, spelled(16), spelled(65)):
        assert secret not in repr(found) + repr(found.keys)
