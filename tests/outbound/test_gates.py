"""The gates: in order, over values, with what they saw."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.core.json import JsonObject
from service.outbound.channels import Channel
from service.outbound.gates import Addressing, Gate, Passed, Refused, judge
from tests.support.clocks import START

PUSH = Addressing(needs_token=True, is_marketing=True, app_id="com.example.shop", platform="fcm")
LATER = START + timedelta(hours=1)


@dataclass(frozen=True)
class Owned:
    token_id: UUID
    app_id: str = "com.example.shop"
    platform: str = "fcm"
    registered_at: datetime = START
    denylisted_at: datetime | None = None


def owned(number: int, **changes: Any) -> Owned:
    return replace(Owned(UUID(int=number)), **changes)


def verdict(
    *tokens: Owned,
    addressing: Addressing = PUSH,
    attributes: JsonObject | None = None,
    now: datetime = START,
    is_known: bool = True,
) -> Passed | Refused:
    seen = (attributes or {}) if is_known else None
    return judge(addressing, expires_at=LATER, now=now, attributes=seen, tokens=tokens)


def consents(push: str | None = None, any_: str | None = None) -> JsonObject:
    said = {"push": push, "any": any_}
    return {"consents": {"marketing": {name: {"val": v} for name, v in said.items() if v}}}


def test_a_known_person_with_a_token_passes() -> None:
    assert verdict(owned(1)) == Passed(UUID(int=1))


def test_the_newest_token_of_the_app_and_platform_is_chosen() -> None:
    older, newer = owned(1), owned(2, registered_at=START + timedelta(seconds=1))
    newest = owned(3, registered_at=LATER, app_id="other")
    other = owned(4, registered_at=LATER, platform="apns")

    assert verdict(newest, older, newer, other) == Passed(UUID(int=2))


def test_without_an_app_any_token_will_do() -> None:
    anything = replace(PUSH, app_id=None, platform=None)

    assert verdict(owned(1, app_id="other"), addressing=anything) == Passed(UUID(int=1))


def test_a_denylisted_token_is_not_used() -> None:
    refused = verdict(owned(1, denylisted_at=START))

    assert isinstance(refused, Refused)
    assert (refused.gate, refused.reason) == (Gate.OWNER, "tokenDenylisted")
    assert refused.facts["denylisted"] == 1


def test_without_a_token_there_is_nobody_to_call() -> None:
    refused = verdict(owned(1, platform="apns"))

    assert isinstance(refused, Refused)
    assert (refused.gate, refused.reason) == (Gate.OWNER, "noToken")
    assert (refused.facts["tokens"], refused.facts["fitting"]) == (1, 0)


def test_an_endpoint_that_needs_no_token_is_called_for_a_person() -> None:
    assert verdict(addressing=replace(PUSH, needs_token=False)) == Passed(None)


def test_a_person_nobody_knows_is_not_called() -> None:
    refused = verdict(is_known=False, addressing=replace(PUSH, needs_token=False))

    assert isinstance(refused, Refused)
    assert (refused.gate, refused.reason) == (Gate.PERSON, "profileAbsent")


def test_at_the_moment_of_its_end_a_message_is_over() -> None:
    just_before = verdict(owned(1), now=LATER - timedelta(microseconds=1))
    at_the_end = verdict(owned(1), now=LATER)

    assert isinstance(just_before, Passed)
    assert isinstance(at_the_end, Refused)
    assert at_the_end.gate is Gate.EXPIRY


@pytest.mark.parametrize(
    ("attributes", "passes"),
    [
        ({}, True),
        (consents(push="y"), True),
        (consents(push="u"), True),
        (consents(push="dy"), True),
        (consents(push="n"), False),
        (consents(push="p"), False),
        (consents(push="dn"), False),
        (consents(push="N"), False),
        (consents(push="DN"), False),
        (consents(push="P"), False),
        (consents(any_="n"), False),
        (consents(push="y", any_="n"), True),
        (consents(push="n", any_="y"), False),
        ({"consents": "no"}, True),
        ({"consents": {"marketing": {"push": "n"}}}, True),
    ],
)
def test_the_most_specific_consent_decides(attributes: JsonObject, passes: bool) -> None:  # noqa: FBT001 - a table's column
    seen = verdict(owned(1), attributes=attributes)

    assert isinstance(seen, Passed) is passes


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.EMAIL, Channel.WHATS_APP])
def test_each_channel_has_a_consent_of_its_own(channel: Channel) -> None:
    text = Addressing(needs_token=False, is_marketing=True, channel=channel)
    refusing = {"consents": {"marketing": {channel.value: {"val": "n"}, "any": {"val": "y"}}}}

    refused = verdict(addressing=text, attributes=refusing)

    assert isinstance(refused, Refused)
    assert refused.facts == {"path": f"consents.marketing.{channel}.val", "value": "n"}
    assert verdict(addressing=text, attributes=consents(push="n")) == Passed(None)
    assert isinstance(verdict(addressing=text, attributes=consents(any_="n")), Refused)
    assert isinstance(verdict(owned(1), attributes=refusing), Passed)


def test_a_refused_consent_says_which_value_it_saw() -> None:
    refused = verdict(owned(1), attributes=consents(push="n"))

    assert isinstance(refused, Refused)
    assert refused.facts == {"path": "consents.marketing.push.val", "value": "n"}


def test_a_message_that_is_no_marketing_asks_for_no_consent() -> None:
    transactional = replace(PUSH, is_marketing=False)

    passed = verdict(owned(1), addressing=transactional, attributes=consents(push="n"))

    assert passed == Passed(UUID(int=1))
