"""Any JSON endpoint: what a Journey Optimizer custom action calls.

POST, PUT and PATCH have a body: the payload, or without one the declared parameters. GET and DELETE
have none. The path and the query may be dynamic, scheme, host and port are not.

Two names: ``webhook`` reads answers as Journey Optimizer does; ``push`` also takes 410 for a dead
token, for endpoints that deliver to one token.

Source: Journey Optimizer, configure a custom action.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.core import json
from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.outbound import url_template
from service.outbound.adapters.contract import (
    ActionSpec,
    MessageContext,
    refuse_unknown_setting,
    variable_names,
    variables,
)
from service.outbound.auth import ApiKeyAuth, BasicAuth, KeyLocation, NoAuth
from service.outbound.auth_custom import CustomAuth, Placement
from service.outbound.auth_oauth import OAuth2Auth
from service.outbound.egress import AddressGuard, Resolver
from service.outbound.outcomes import Outcome, classify
from service.outbound.template_names import Names
from service.outbound.templating import TemplateError, check_tree, render_json, render_text
from service.outbound.token_choice import PLATFORMS
from service.outbound.transport import CallParts, HttpVersion, Reply

WITH_BODY = ("POST", "PUT", "PATCH")
METHODS = (*WITH_BODY, "GET", "DELETE")
_FIELD_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(r"[\t -~\x80-\U0010ffff]*")
_CONTENT_TYPE = ("Content-Type", "application/json")
_KEY_HEADER = "Idempotency-Key"
_KEY_SETTING = "idempotencyHeader"
_DESCRIPTIONS: Mapping[str, JsonObject] = {
    _KEY_SETTING: {
        "type": ["string", "boolean"],
        "default": _KEY_HEADER,
        "description": (
            "The header that carries the delivery's key, the same for every attempt; `false` for "
            "an endpoint that refuses headers it does not know."
        ),
    }
}
_OURS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class WebhookAdapter:
    """A JSON endpoint, called with an ``Idempotency-Key`` that stays over attempts."""

    name: str
    needs_token: bool

    @property
    def http_version(self) -> HttpVersion:
        """HTTP/1.1, which every endpoint speaks."""
        return HttpVersion.HTTP_1_1

    @property
    def setting_descriptions(self) -> Mapping[str, JsonObject]:
        """How the delivery's key is sent."""
        return _DESCRIPTIONS

    @property
    def platforms(self) -> frozenset[str]:
        """Every platform: what becomes of a token is the endpoint's business."""
        return PLATFORMS if self.needs_token else frozenset()

    def check(
        self, action: ActionSpec, guard: AddressGuard, resolve: Resolver | None = None
    ) -> None:
        """Refuse an action that could not be sent for anyone.

        Raises:
            InvalidInputError: URL, method, a header, the payload or the authentication is wrong.
        """
        if not action.url:
            raise InvalidInputError(
                f"The adapter {self.name} needs a url: the http or https address that it calls.",
                at="url",
            )
        names = variable_names(self)
        url_template.check(action.url, action.query, names)
        guard.check_url(url_template.starred(action.url), resolve)
        if action.method not in METHODS:
            raise InvalidInputError(
                f"The method must be one of {', '.join(METHODS)}.", method=action.method
            )
        if action.method not in WITH_BODY and action.payload != {}:
            raise InvalidInputError(
                f"A {action.method} has no body: leave out the payload, and write what varies into "
                "the URL's path or query.",
                at="payload",
            )
        refuse_unknown_setting(self, action.settings, frozenset(_DESCRIPTIONS))
        _check_headers(action, names)
        match action.auth:
            case NoAuth() | BasicAuth() | OAuth2Auth():
                pass
            case CustomAuth(placement=Placement.HEADER, target=target):
                _check_header(target, "", names)
            case CustomAuth():
                pass
            case ApiKeyAuth(location=KeyLocation.HEADER):
                _check_header(action.auth.name, "", names)
                if not _FIELD_VALUE.fullmatch(action.auth.value.reveal()):
                    raise InvalidInputError("The API key holds control characters.")
            case ApiKeyAuth():
                pass
            case _:
                raise InvalidInputError(
                    f"The adapter {self.name} authenticates with an API key, basic, OAuth 2, "
                    "a custom authorization, or not at all."
                )
        check_tree(action.payload, names)

    def render(self, action: ActionSpec, context: MessageContext, *, now: datetime) -> CallParts:  # noqa: ARG002 - the contract's; an endpoint of this kind is told no time
        """Return the request with its JSON body, if its method has one.

        Raises:
            TemplateError: A variable is missing, makes a header's value span lines, or does not fit
                into the URL.
        """
        values = variables(context)
        url = url_template.render(action.url, action.query, values)
        headers = [
            (name, _header(name, render_text(text, values))) for name, text in action.headers
        ]
        key_header = _key_header(action)
        if key_header is not None:
            headers.append((key_header, context.idempotency_key))
        if action.method not in WITH_BODY:
            return CallParts(action.method, url, tuple(headers), b"")
        if not any(name.lower() == "content-type" for name, _ in headers):
            headers.append(_CONTENT_TYPE)
        return CallParts(action.method, url, tuple(headers), json.encode(_body(action, values)))

    def read(self, reply: Reply, *, now: datetime) -> Outcome:
        """Return what the endpoint's reply means."""
        return classify(self.name, reply, now=now)


def _body(action: ActionSpec, values: Mapping[str, Any]) -> Any:
    if action.parameters and action.payload == {}:
        return values["parameters"]
    return render_json(action.payload, values)


def _key_header(action: ActionSpec) -> str | None:
    """Return the header that carries the delivery's key, ``None`` for none."""
    wanted = action.settings.get(_KEY_SETTING, True)
    if wanted is True:
        return _KEY_HEADER
    return str(wanted) if wanted else None


def _check_headers(action: ActionSpec, names: Names) -> None:
    """Refuse headers that cannot be sent, are the service's, or are there twice."""
    wanted = action.settings.get(_KEY_SETTING, True)
    if not isinstance(wanted, str | bool) or wanted == "":
        raise InvalidInputError(
            f"{_KEY_SETTING} is the name of a header, or false for none.",
            at=f"settings.{_KEY_SETTING}",
        )
    taken = set()
    key_header = _key_header(action)
    if key_header is not None:
        _check_header(key_header, "", names)
        taken.add(key_header.lower())
    for name, template in action.headers:
        if name.lower() in taken:
            raise InvalidInputError(f"The header {name} is set by the service.", header=name)
        _check_header(name, template, names)
    own = Counter(name.lower() for name, _ in action.headers)
    for name, count in own.items():
        if count > 1:
            raise InvalidInputError(f"The header {name} is there twice.", header=name)


def _check_header(name: str, template: str, names: Names) -> None:
    if not _FIELD_NAME.fullmatch(name) or name[0] in ".$":
        raise InvalidInputError(f"{name!r} is not a header's name.", header=name)
    if name.lower() in _OURS:
        raise InvalidInputError(f"The header {name} is set by the service.", header=name)
    if name.lower() == "content-type" and "json" not in template.lower():
        raise InvalidInputError("Content-Type must stay JSON.", header=name)
    if not _FIELD_VALUE.fullmatch(template):
        raise InvalidInputError(f"The header {name} holds control characters.", header=name)
    check_tree(template, names, at=f"headers.{name}")


def _header(name: str, value: str) -> str:
    if not _FIELD_VALUE.fullmatch(value):
        raise TemplateError(f"The header {name} would hold control characters.", variable=name)
    return value.strip()
