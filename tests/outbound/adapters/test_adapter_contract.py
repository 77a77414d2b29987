from typing import Any
from urllib.parse import parse_qs

import pytest

from service.core import json
from service.core.errors import InvalidInputError
from service.core.secret import Secret
from service.outbound.adapters.contract import Adapter, variable_names, variables
from service.outbound.adapters.registry import ADAPTERS, get_adapter
from service.outbound.atlas import load_atlas
from service.outbound.atlas_rules import OutcomeKind, TokenEffect
from service.outbound.auth import NoAuth
from service.outbound.auth_account import ServiceAccountAuth
from service.outbound.egress import AddressGuard
from service.outbound.templating import TemplateError
from service.outbound.transport import Reply, ReplyKind, Trouble
from tests.support.messages import (
    NOW,
    TOKEN,
    action_for,
    aimed_at,
    message,
    message_by,
    service_account,
    texted,
)
from tests.support.subscriptions import ENDPOINT

every_adapter = pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS.keys())


@every_adapter
def test_an_adapter_is_found_by_its_name(adapter: Adapter) -> None:
    assert get_adapter(adapter.name) is adapter


def test_a_name_without_an_adapter_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no adapter pigeon"):
        get_adapter("pigeon")


@every_adapter
def test_the_atlas_knows_the_adapter(adapter: Adapter) -> None:
    assert adapter.name in load_atlas().vendors


@every_adapter
def test_a_sound_action_passes_the_check(adapter: Adapter) -> None:
    adapter.check(action_for(adapter.name), AddressGuard())


@every_adapter
def test_an_action_that_leads_inside_is_refused(adapter: Adapter) -> None:
    for host in ("127.0.0.1", "[64:ff9b::7f00:1]", "2130706433"):
        action = aimed_at(adapter.name, f"http://{host}/x")

        with pytest.raises(InvalidInputError, match="may not be called"):
            adapter.check(action, AddressGuard())


@every_adapter
def test_a_name_that_resolves_inside_is_refused(adapter: Adapter) -> None:
    with pytest.raises(InvalidInputError, match="may not be called"):
        adapter.check(action_for(adapter.name), AddressGuard(), lambda _: ("127.0.0.1",))


@every_adapter
def test_a_broken_template_is_refused(adapter: Adapter) -> None:
    action = action_for(adapter.name, payload=texted(adapter.name, "{{ profile.name"))

    with pytest.raises(InvalidInputError, match=r"payload\.text"):
        adapter.check(action, AddressGuard())


@every_adapter
def test_templates_may_name_what_messages_have_and_nothing_else(adapter: Adapter) -> None:
    names = variable_names(adapter)
    token = Secret(TOKEN) if adapter.needs_token else None

    values = variables(message(token=token))

    assert values.keys() == names.keys()
    for root, inner in names.items():
        assert inner is None or inner == values[root].keys()
        payload = texted(adapter.name, f"{{{{ {root} }}}}")
        adapter.check(action_for(adapter.name, payload=payload), AddressGuard())


@every_adapter
@pytest.mark.parametrize(
    "template",
    [
        "{{ profil.name }}",
        "{{ person.name }}",
        "{{ nickname | default: 'you' }}",
        "Hi {% if vip %}dear{% endif %}",
        "{{ profile[country] }}",
        "{{ delivery.key }}",
        "{{ journey.versionId }}",
    ],
)
def test_a_name_that_no_message_has_is_refused_with_those_that_there_are(
    adapter: Adapter, template: str
) -> None:
    action = action_for(adapter.name, payload=texted(adapter.name, template))

    with pytest.raises(InvalidInputError, match=r"payload\.text: .* has a variable") as caught:
        adapter.check(action, AddressGuard())

    known = set(caught.value.fields["known"])
    assert known in (
        set(variable_names(adapter)),
        {"delivery.id", "delivery.idempotencyKey", "delivery.expiresAt"},
        {"journey.versionID", "journey.instanceID", "journey.nodeID"},
    )


@every_adapter
def test_a_name_that_the_template_gives_itself_is_allowed(adapter: Adapter) -> None:
    own = "{% assign who = profile.name %}{{ who }}"
    text = own + "{% for tag in profile.tags %}{{ tag.x }}{{ forloop.index }}{% endfor %}"

    adapter.check(action_for(adapter.name, payload=texted(adapter.name, text)), AddressGuard())


@every_adapter
def test_a_token_is_named_only_where_a_message_has_one(adapter: Adapter) -> None:
    action = action_for(adapter.name, payload=texted(adapter.name, "{{ token }}"))
    if adapter.needs_token:
        adapter.check(action, AddressGuard())
        return

    with pytest.raises(InvalidInputError, match="variable token"):
        adapter.check(action, AddressGuard())


@every_adapter
def test_an_authentication_of_another_kind_is_refused(adapter: Adapter) -> None:
    wrong = NoAuth() if adapter.name == "fcm" else ServiceAccountAuth(service_account())

    with pytest.raises(InvalidInputError, match="authenticates"):
        adapter.check(action_for(adapter.name, auth=wrong), AddressGuard())


@every_adapter
def test_an_unknown_setting_is_refused(adapter: Adapter) -> None:
    with pytest.raises(InvalidInputError, match="no setting colour: it has") as caught:
        adapter.check(action_for(adapter.name, settings={"colour": "red"}), AddressGuard())

    assert ("appId, " in caught.value.detail) == adapter.needs_token


@every_adapter
def test_an_adapter_sends_to_tokens_exactly_when_it_needs_one(adapter: Adapter) -> None:
    assert bool(adapter.platforms) == adapter.needs_token


@every_adapter
def test_equal_input_renders_equal_requests_with_bodies_of_their_type(adapter: Adapter) -> None:
    action, context = action_for(adapter.name), message_by(adapter.name)

    once, twice = (adapter.render(action, context, now=NOW) for _ in range(2))

    if adapter.name == "webPush":  # encrypted with another key each time
        assert (once.url, once.headers) == (twice.url, twice.headers)
        assert once.body != twice.body
        return
    assert once == twice
    assert once.method in ("POST", "PUT")
    assert once.url.startswith("https://")
    [content_type] = [value for name, value in once.headers if name == "Content-Type"]
    if content_type == "application/x-www-form-urlencoded":
        assert parse_qs(once.body.decode(), strict_parsing=True)
        return
    assert "application/json" in content_type
    assert isinstance(json.decode(once.body), dict)


@every_adapter
def test_credentials_are_not_the_adapters_business(adapter: Adapter) -> None:
    parts = adapter.render(action_for(adapter.name), message_by(adapter.name), now=NOW)

    assert "authorization" not in {name.lower() for name, _ in parts.headers}
    assert "s3cret-key" not in f"{parts.headers}{parts.url}{parts.body!r}"


@every_adapter
def test_a_message_names_the_token_exactly_where_the_adapter_needs_one(adapter: Adapter) -> None:
    parts = adapter.render(action_for(adapter.name), message_by(adapter.name), now=NOW)

    if adapter.name == "webPush":  # the token is a whole subscription, and names the URL
        assert parts.url == ENDPOINT
        return
    names_it_in_the_url = adapter.name == "apns"  # Apple's own way: /3/device/{token}
    assert (TOKEN in parts.body.decode()) == (adapter.needs_token and not names_it_in_the_url)
    assert (TOKEN in parts.url) == names_it_in_the_url


@every_adapter
def test_a_missing_variable_stops_the_message(adapter: Adapter) -> None:
    with pytest.raises(TemplateError, match=r"profile\.name"):
        adapter.render(action_for(adapter.name), message_by(adapter.name, profile={}), now=NOW)


@every_adapter
def test_a_message_without_a_token_is_not_made_where_one_is_needed(adapter: Adapter) -> None:
    context = message(token=None)
    if not adapter.needs_token:
        adapter.render(action_for(adapter.name), context, now=NOW)
        return

    with pytest.raises(TemplateError, match="token"):
        adapter.render(action_for(adapter.name), context, now=NOW)


@every_adapter
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply("k", ReplyKind.ANSWERED, 200, (), b"{}"), OutcomeKind.SENT),
        (Reply("k", ReplyKind.ANSWERED, 503), OutcomeKind.RETRY),
        (Reply("k", ReplyKind.ANSWERED, 302), OutcomeKind.FAILED),
        (Reply("k", ReplyKind.NOT_SENT, trouble=Trouble.CONNECT), OutcomeKind.RETRY),
        (Reply("k", ReplyKind.NOT_SENT, trouble=Trouble.ADDRESS_REFUSED), OutcomeKind.FAILED),
        (Reply("k", ReplyKind.UNKNOWN, trouble=Trouble.TIMEOUT), OutcomeKind.UNKNOWN),
    ],
    ids=["200", "503", "302", "connect", "refused", "timeout"],
)
def test_the_plain_replies_mean_the_same_everywhere(
    adapter: Adapter, reply: Reply, kind: OutcomeKind
) -> None:
    outcome = adapter.read(reply, now=NOW)

    assert (outcome.kind, outcome.token_effect) == (kind, TokenEffect.NONE)


def test_nothing_personal_shows_in_a_repr() -> None:
    shown: list[Any] = [message(), action_for("webhook", headers=(("X", "s3cret-header"),))]

    assert not any(hidden in repr(shown) for hidden in (TOKEN, "Ann", "s3cret", "-10%"))
