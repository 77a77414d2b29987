"""Custom authentication: any call that answers with a token, described as Journey Optimizer does.

Source: Journey Optimizer, external data sources, "Custom authentication mode"
(``customAuthorization``).
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote, urlencode

from service.core import json
from service.core.errors import InvalidInputError
from service.core.secret import Secret
from service.outbound.auth_fields import Fields
from service.outbound.connection_spec import ConnectionSpec
from service.outbound.shared_tokens import Minted, TokenUnavailableError
from service.outbound.token_answers import DEFAULT_LIFE_S, asked, decoded, minted
from service.outbound.token_paths import WHOLE, found_at, read_path
from service.outbound.transport import CallParts, Headers
from service.outbound.transport_form import AskToken

_DEEPEST = 18
_ENCODE = re.compile(r"EncodeBase64\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t -~]*")


class Method(StrEnum):
    """How the token is asked for."""

    GET = "GET"
    POST = "POST"


class Placement(StrEnum):
    """Where the token travels; the page's own example writes ``Bearer``."""

    BEARER = "bearer"
    HEADER = "header"
    QUERY = "queryParam"

    @classmethod
    def _missing_(cls, value: object) -> "Placement | None":
        wanted = str(value).lower()
        return next((each for each in cls if each.value.lower() == wanted), None)


class BodyType(StrEnum):
    """How the parameters of the body are written."""

    FORM = "form"
    JSON = "json"


class TimeUnit(StrEnum):
    """What a duration counts."""

    MILLISECONDS = "milliseconds"
    SECONDS = "seconds"
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
    MONTHS = "months"
    YEARS = "years"


_SECONDS = {
    TimeUnit.MILLISECONDS: 0.001,
    TimeUnit.SECONDS: 1.0,
    TimeUnit.MINUTES: 60.0,
    TimeUnit.HOURS: 3600.0,
    TimeUnit.DAYS: 86_400.0,
    TimeUnit.MONTHS: 2_592_000.0,
    TimeUnit.YEARS: 31_536_000.0,
}


@dataclass(frozen=True, slots=True)
class CustomAuth:
    """A token from an endpoint that speaks no OAuth, or a kind of its own.

    Attributes:
        headers: Of the request for the token.
        body: Of the request for the token, as it is sent.
        token_at: ``response``, or the path of the token in a JSON answer.
        expiry_at: The path of its life in the answer, in ``life_unit``.
        life_s: Its life when the answer does not tell.
        target: The header or query parameter that it travels in.
    """

    endpoint: str
    method: Method
    headers: Headers = field(repr=False)
    body: Secret | None
    token_at: str
    expiry_at: str | None
    life_unit: TimeUnit
    life_s: float
    placement: Placement
    target: str

    def applied(self, parts: CallParts, token: Secret) -> CallParts:
        """Return a message's request with the token in it."""
        value = token.reveal()
        match self.placement:
            case Placement.BEARER:
                return parts.with_headers(((self.target, f"Bearer {value}"),))
            case Placement.HEADER:
                return parts.with_headers(((self.target, value),))
            case Placement.QUERY:
                mark = "&" if "?" in parts.url else "?"
                query = f"{quote(self.target, safe='')}={quote(value, safe='')}"
                return CallParts(
                    parts.method, f"{parts.url}{mark}{query}", parts.headers, parts.body
                )


def secret_paths(document: Mapping[str, Any]) -> list[tuple[str | int, ...]]:
    """Return where secrets stand in a document: each header and each text of the body."""
    headers = document.get("headers")
    found: list[tuple[str | int, ...]] = []
    if isinstance(headers, Mapping):
        found += [("headers", name) for name in headers]
    body = document.get("body")
    if isinstance(body, Mapping):
        found += _texts(body.get("bodyParams"), ("body", "bodyParams"))
    return found


def read(fields: Fields) -> CustomAuth:
    """Return the authentication that an author wrote, with its secrets in clear.

    Raises:
        InvalidInputError: A field is missing, unknown or wrong.
    """
    fields.only(
        *("type", "endpoint", "method", "headers", "body", "tokenInResponse", "cacheDuration"),
        *("authorizationType", "tokenTarget"),
    )
    method = fields.choice("method", Method)
    headers = tuple(_header(fields, name, value) for name, value in fields.texts("headers"))
    content_type, body = _body(fields, method)
    if content_type and not any(name.lower() == "content-type" for name, _ in headers):
        headers = (*headers, ("Content-Type", content_type))
    expiry_at, unit, life_s = _cache(fields)
    placement = fields.choice("authorizationType", Placement)
    target = fields.optional("tokenTarget")
    if placement is Placement.BEARER:
        if target is not None:
            raise fields.wrong("tokenTarget", "belongs to header and queryParam")
        target = "Authorization"
    elif target is None:
        raise fields.wrong("tokenTarget", "is missing")
    if placement is Placement.HEADER and not _NAME.fullmatch(target):
        raise fields.wrong("tokenTarget", "is not a header's name")
    return CustomAuth(
        endpoint=fields.text("endpoint"),
        method=method,
        headers=headers,
        body=body,
        token_at=read_path(fields, "tokenInResponse"),
        expiry_at=expiry_at,
        life_unit=unit,
        life_s=life_s,
        placement=placement,
        target=target,
    )


def mint(spec: CustomAuth, ask: AskToken, connection: ConnectionSpec) -> Minted:
    """Get a token.

    Raises:
        TokenUnavailableError: There is none.
    """
    content = b"" if spec.body is None else spec.body.reveal().encode()
    parts = CallParts(spec.method.value, spec.endpoint, spec.headers, content)
    answer = asked(ask, parts, connection)
    if spec.token_at == WHOLE:
        return minted(answer.decode("utf-8", "replace").strip(), spec.life_s)
    document = decoded(answer)
    token = found_at(document, spec.token_at)
    if not isinstance(token, str):
        raise TokenUnavailableError(
            f"The token endpoint's answer holds no text at {spec.token_at}.", may_retry=True
        )
    if spec.expiry_at is None:
        return minted(token, spec.life_s)
    life = found_at(document, spec.expiry_at)
    try:
        life_s = float(life) * _SECONDS[spec.life_unit]
    except (TypeError, ValueError):
        raise TokenUnavailableError(
            f"The token endpoint's answer holds no number at {spec.expiry_at}.", may_retry=True
        ) from None
    return minted(token, life_s)


def _texts(value: Any, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    if len(path) > _DEEPEST:
        at = "auth.body.bodyParams"
        raise InvalidInputError(f"{at} is nested more than {_DEEPEST - 2} deep.", at=at)
    if isinstance(value, str):
        return [path]
    items: Any = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return [found for key, item in items for found in _texts(item, (*path, key))]


def _header(fields: Fields, name: str, value: str) -> tuple[str, str]:
    made = _encoded(value)
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(made):
        raise fields.wrong(f"headers.{name!r}", "cannot be sent as a header")
    return name, made


def _body(fields: Fields, method: Method) -> tuple[str, Secret | None]:
    body = fields.nested("body")
    if body is None:
        if method is Method.POST:
            raise fields.wrong("body", "is missing: a POST needs one")
        return "", None
    if method is Method.GET:
        raise fields.wrong("body", "belongs to POST")
    body.only("bodyType", "bodyParams")
    kind = body.choice("bodyType", BodyType)
    params = body.nested("bodyParams")
    if params is None:
        raise body.wrong("bodyParams", "is missing")
    made = _encoded_in(params.document)
    if kind is BodyType.JSON:
        return "application/json", Secret(json.encode_text(made))
    for name, value in made.items():
        if isinstance(value, dict | list):
            raise params.wrong(name, "is nested, and a form is flat: use the bodyType json")
    plain = {name: _plain(value) for name, value in made.items()}
    return "application/x-www-form-urlencoded", Secret(urlencode(plain))


def _cache(fields: Fields) -> tuple[str | None, TimeUnit, float]:
    """Return the path of a token's life, its unit, and the life where there is no path."""
    cache = fields.nested("cacheDuration")
    if cache is None:
        return None, TimeUnit.SECONDS, DEFAULT_LIFE_S
    cache.only("duration", "expiryInResponse", "timeUnit")
    duration = cache.document.get("duration")
    path = cache.document.get("expiryInResponse")
    if (duration is None) == (path is None):
        raise fields.wrong("cacheDuration", "has either duration or expiryInResponse")
    unit = cache.choice("timeUnit", TimeUnit)
    if path is not None:
        at = read_path(cache, "expiryInResponse")
        if at == WHOLE:
            raise cache.wrong("expiryInResponse", "begins with json://")
        return at, unit, DEFAULT_LIFE_S
    if isinstance(duration, bool) or not isinstance(duration, int | float) or duration <= 0:
        raise cache.wrong("duration", "is a number over 0")
    return None, unit, duration * _SECONDS[unit]


def _encoded(text: str) -> str:
    """Return a text with ``EncodeBase64(…)`` applied, the one function there is."""
    return _ENCODE.sub(lambda found: b64encode(found[1].encode()).decode(), text)


def _encoded_in(value: Any) -> Any:
    if isinstance(value, str):
        return _encoded(value)
    if isinstance(value, Mapping):
        return {key: _encoded_in(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_encoded_in(item) for item in value]
    return value


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.encode_text(value)
