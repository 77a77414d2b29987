"""Vendors as data: one adapter, and a file for each vendor that says what its requests look like.

To add a vendor, write ``vendors/<name>.json`` and its error table ``../error_atlas/<name>.json``;
the adapter, its settings, its checks and the contract suite follow by themselves. The least file:

    {"page": "https://docs.example.com/send",
     "url": "https://api.example.com/v1/{project}/messages",
     "channels": ["sms"],
     "auth": [{"type": "apiKey", "name": "Authorization", "prefix": "Bearer "}],
     "settings": {"project": {"description": "The project's id.", "required": true}},
     "address": {"template": "{{ profile.mobilePhone.number }}", "description": "The number."},
     "body": {"to": "$address", "reference": "$delivery.id"}}

An action's payload is the body, its strings templates; the vendor's own fields are laid over it, so
that nobody can send to another address than the one the gates judged. In them ``$address`` is the
address (or the push token, where ``platforms`` are named in place of an address), ``$settings.x`` a
setting, ``$payload.x`` a field that moves from the payload to here, ``$delivery.id`` and
``$delivery.uuid3`` (the same as a name-based UUID) what names the delivery, ``$ttl`` the seconds
that the message has left within ``ttl``, ``$expiresAt`` when they end. What is not there is left
out with its key.

Source: each file names its vendor's page.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_OID, uuid3

from service.core import json
from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.outbound.adapters import vendor_auth, vendor_body, vendor_settings
from service.outbound.adapters.contract import (
    ActionSpec,
    MessageContext,
    refuse_unknown_setting,
    variable_names,
    variables,
)
from service.outbound.adapters.vendor_body import ABSENT
from service.outbound.adapters.vendor_document import (
    ADDRESS_SETTING,
    CHANNEL_SETTING,
    TTL_SETTING,
    Plain,
    VendorDocument,
)
from service.outbound.channels import Channel
from service.outbound.egress import AddressGuard, Resolver
from service.outbound.outcomes import Outcome, classify
from service.outbound.recipient_address import render_address
from service.outbound.templating import TemplateError, check_tree, render_json
from service.outbound.transport import CallParts, Headers, HttpVersion, Reply

_PLACE = re.compile(r"\{(\w+)\}")
_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
_TEMPLATES = frozenset({ADDRESS_SETTING})


@dataclass(frozen=True, slots=True)
class _Message:
    """What references in a vendor's file are filled with, for one message."""

    address: str
    settings: Mapping[str, Plain]
    payload: JsonObject
    delivery: Mapping[str, str]
    ttl_s: int
    expires_at: str


class VendorAdapter:
    """One vendor, as its file describes it."""

    def __init__(self, name: str, document: VendorDocument) -> None:
        self._name = name
        self._document = document
        self._known = document.known_settings
        self._first = document.channels[0]
        moved = re.findall(r'"\$payload\.([^".]+)"', json.encode_text(document.body))
        self._moved = frozenset[str](moved)
        rule = document.address
        self._pattern = re.compile(rule.pattern) if rule and rule.pattern else None

    @property
    def name(self) -> str:
        """The vendor's name: that of its file and of its table in the error atlas."""
        return self._name

    @property
    def needs_token(self) -> bool:
        """Whether it is sent to push tokens; else to an address of the person."""
        return bool(self._document.platforms)

    @property
    def http_version(self) -> HttpVersion:
        """HTTP/1.1, which every endpoint speaks."""
        return HttpVersion.HTTP_1_1

    @property
    def platforms(self) -> frozenset[str]:
        """The platforms of the push tokens that it takes."""
        return frozenset(self._document.platforms)

    def channel(self, settings: Mapping[str, Any]) -> Channel:
        """Return the channel whose consent is asked; the vendor's first, unless one was chosen."""
        chosen = settings.get(CHANNEL_SETTING)
        return next((each for each in self._document.channels if each == chosen), self._first)

    @property
    def setting_descriptions(self) -> Mapping[str, JsonObject]:
        """Its settings by name, each with its JSON Schema."""
        return vendor_settings.schema(self._known)

    def check(
        self, action: ActionSpec, guard: AddressGuard, resolve: Resolver | None = None
    ) -> None:
        """Refuse an action that could not be sent for anyone; ``url`` and ``method`` are not used.

        Raises:
            InvalidInputError: Settings, payload, headers or authentication are wrong.
        """
        document, known = self._document, self._known
        refuse_unknown_setting(
            self, {key: 0 for key in action.settings if key not in known}, frozenset(known)
        )
        names = variable_names(self)
        if not isinstance(action.payload, Mapping) or not action.payload:
            raise InvalidInputError(
                f"The payload must be an object: fields of {self.name}'s request.", at="payload"
            )
        check_tree(action.payload, names)
        vendor_auth.check(self.name, action, document.auth)
        vendor_settings.check(self.name, action.settings, known, document.one_of, _TEMPLATES)
        check_tree(action.settings.get(ADDRESS_SETTING), names, at=f"settings.{ADDRESS_SETTING}")
        if action.headers or action.query:
            raise InvalidInputError(
                f"The adapter {self.name} sets headers and query by itself: take yours out.",
                at="headers" if action.headers else "query",
            )
        for group in document.needs:
            if not any(name in action.payload for name in group):
                raise InvalidInputError(
                    f"The payload needs {' or '.join(group)}.", at="payload", missing=group[0]
                )
        self._check_clashes(action)
        guard.check_url(self.target(action).url, resolve)

    def target(self, action: ActionSpec) -> CallParts:
        """Return where an action calls, known before there is a message; without a body."""
        settings = vendor_settings.read(action.settings, self._known)
        return CallParts(self._document.method, self._url(settings), (), b"")

    def render(self, action: ActionSpec, context: MessageContext, *, now: datetime) -> CallParts:
        """Return the request without its authentication.

        The vendor may hold the message until it expires, or for ``ttlS`` if that is shorter.

        Raises:
            NoAddressError: The person has no address that the vendor could be given.
            TemplateError: There is no token, a variable is missing, or the message is too big.
        """
        values = variables(context)
        settings = vendor_settings.read(action.settings, self._known)
        message = _Message(
            address=self._address(settings, context, values),
            settings=settings,
            payload=vendor_body.without_nulls(render_json(action.payload, values)),
            delivery={
                "id": str(context.delivery_id),
                "uuid3": str(uuid3(NAMESPACE_OID, str(context.delivery_id))),
            },
            **self._life(settings, context.expires_at, now),
        )
        body = self._body(message)
        vendor_body.check_limits(self._document.limits, body, self.name)
        encoded = vendor_body.form(body) if self._is_form else json.encode(body)
        return CallParts(
            self._document.method, self._url(settings), self._headers(message), encoded
        )

    def read(self, reply: Reply, *, now: datetime) -> Outcome:
        """Return what the vendor's reply means."""
        return classify(self.name, reply, now=now)

    @property
    def _is_form(self) -> bool:
        return self._document.encoding == "form"

    def _url(self, settings: Mapping[str, Plain]) -> str:
        def value(place: re.Match[str]) -> str:
            found = str(settings.get(place[1], ""))
            return found.rstrip("/") if place[1] == "endpoint" else quote(found, safe="")

        return _PLACE.sub(value, self._document.url)

    def _headers(self, message: _Message) -> Headers:
        own = self._filled(self._document.headers, message)
        return (*own.items(), ("Content-Type", _TYPES[self._document.encoding]))

    def _address(
        self, settings: Mapping[str, Plain], context: MessageContext, values: JsonObject
    ) -> str:
        rule = self._document.address
        if rule is None:
            if context.token is None:
                raise TemplateError(
                    f"A message to {self.name} needs a push token.", variable="token"
                )
            return context.token.reveal()
        template = str(settings.get(ADDRESS_SETTING, rule.template))
        return render_address(template, values, pattern=self._pattern, ignored=rule.ignored)

    def _life(
        self, settings: Mapping[str, Plain], expires_at: datetime, now: datetime
    ) -> dict[str, Any]:
        ttl = self._document.ttl
        left_s = int((expires_at - now).total_seconds())
        if ttl is not None:
            asked_s = int(settings.get(TTL_SETTING, ttl.max_s))
            left_s = max(ttl.min_s, min(left_s, asked_s, ttl.max_s))
        until = (now + timedelta(seconds=left_s)).replace(microsecond=0)
        return {"ttl_s": left_s, "expires_at": until.isoformat()}

    def _body(self, message: _Message) -> JsonObject:
        own = self._own(message)
        payload = {key: each for key, each in message.payload.items() if key not in self._moved}
        payload = vendor_body.with_parts(payload, self._filled(self._document.parts, message))
        below = self._filled(self._document.defaults, message)
        return vendor_body.laid_over(vendor_body.laid_over(below, payload), own)

    def _own(self, message: _Message) -> JsonObject:
        tree: JsonObject = self._document.body
        variants = self._document.variants
        if variants is not None:
            chosen = variants.bodies[str(message.settings[variants.setting])]
            tree = vendor_body.laid_over(tree, chosen)
        return self._filled(tree, message)

    def _filled(self, tree: Mapping[str, Any], message: _Message) -> JsonObject:
        filled: JsonObject = vendor_body.filled(tree, lambda name: self._find(name, message))
        return filled

    def _check_clashes(self, action: ActionSpec) -> None:
        settings = vendor_settings.read(action.settings, self._known)
        ids = {"id": "-", "uuid3": "-"}
        own = self._own(_Message("-", settings, dict(action.payload), ids, 1, "-"))
        written = {key: each for key, each in action.payload.items() if key not in self._moved}
        for path in sorted(vendor_body.clashes(own, written)):
            raise InvalidInputError(
                f"payload.{path} is set by the adapter {self.name}: take it out.",
                at=f"payload.{path}",
            )

    def _find(self, name: str, message: _Message) -> Any:
        """Return what a reference stands for; ``ABSENT`` when there is nothing."""
        root, _, rest = name.partition(".")
        match root:
            case "$address":
                return message.address
            case "$ttl":
                return message.ttl_s
            case "$expiresAt":
                return message.expires_at
            case "$delivery":
                return message.delivery[rest]
            case "$payload":
                return message.payload.get(rest, ABSENT)
            case _:
                return self._setting(rest, message)

    def _setting(self, name: str, message: _Message) -> Any:
        value = message.settings.get(name, ABSENT)
        echo = self._known[name].echo
        if value is ABSENT or echo is None:
            return value
        return _with_query(str(value), echo, message.delivery["id"])


def _with_query(url: str, name: str, value: str) -> str:
    """Return a URL with a field added to its query, before a fragment."""
    address, mark, fragment = url.partition("#")
    return f"{address}{'&' if '?' in address else '?'}{name}={value}{mark}{fragment}"
