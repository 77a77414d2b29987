"""Any JSON endpoint: what a Journey Optimizer custom action calls.

Two names: ``webhook`` reads answers as Journey Optimizer does; ``push`` also takes 410 for a dead
token, for endpoints that deliver to one token.

Source: Journey Optimizer, configure a custom action.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from service.core import json
from service.core.errors import InvalidInputError
from service.outbound.adapters.contract import (
    ActionSpec,
    MessageContext,
    refuse_unknown_setting,
    variable_names,
    variables,
)
from service.outbound.auth import ApiKeyAuth, BasicAuth, KeyLocation, NoAuth
from service.outbound.egress import AddressGuard, Resolver
from service.outbound.outcomes import Outcome, classify
from service.outbound.template_names import Names
from service.outbound.templating import TemplateError, check_tree, render_json, render_text
from service.outbound.token_choice import PLATFORMS
from service.outbound.transport import CallParts, HttpVersion, Reply

_METHODS = ("POST", "PUT")
_FIELD_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(r"[\t -~\x80-\U0010ffff]*")
_CONTENT_TYPE = ("Content-Type", "application/json")
_KEY_HEADER = "Idempotency-Key"
_OURS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "idempotency-key",
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
        guard.check_url(action.url, resolve)
        if action.method not in _METHODS:
            raise InvalidInputError("The method must be POST or PUT.", method=action.method)
        refuse_unknown_setting(self, action.settings)
        names = variable_names(self)
        for name, template in action.headers:
            _check_header(name, template, names)
        match action.auth:
            case NoAuth() | BasicAuth():
                pass
            case ApiKeyAuth(location=KeyLocation.HEADER):
                _check_header(action.auth.name, "", names)
                if not _FIELD_VALUE.fullmatch(action.auth.value.reveal()):
                    raise InvalidInputError("The API key holds control characters.")
            case ApiKeyAuth():
                pass
            case _:
                raise InvalidInputError(
                    f"The adapter {self.name} authenticates with an API key, basic, or not at all."
                )
        check_tree(action.payload, names)

    def render(self, action: ActionSpec, context: MessageContext, *, now: datetime) -> CallParts:  # noqa: ARG002 - the contract's; an endpoint of this kind is told no time
        """Return the request with its JSON body.

        Raises:
            TemplateError: A variable is missing, or makes a header's value span lines.
        """
        values = variables(context)
        headers = [
            (name, _header(name, render_text(text, values))) for name, text in action.headers
        ]
        if not any(name.lower() == "content-type" for name, _ in headers):
            headers.append(_CONTENT_TYPE)
        headers.append((_KEY_HEADER, context.idempotency_key))
        body = json.encode(render_json(action.payload, values))
        return CallParts(action.method, action.url, tuple(headers), body)

    def read(self, reply: Reply, *, now: datetime) -> Outcome:
        """Return what the endpoint's reply means."""
        return classify(self.name, reply, now=now)


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
