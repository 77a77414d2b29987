"""What token endpoints answer, read into a token and its times.

Source: RFC 6749, sections 5.1 and 5.2.
"""

import math
from typing import Any
from urllib.parse import urlencode

import msgspec

from service.core import json
from service.core.secret import Secret
from service.outbound.connection_spec import ConnectionSpec
from service.outbound.shared_tokens import Minted, TokenUnavailableError
from service.outbound.transport import CallParts, Headers
from service.outbound.transport_form import AskToken, FormError

DEFAULT_LIFE_S = 3540.0
"""An hour less a minute, for answers that tell no life."""

_LONGEST_LIFE_S = 366 * 86_400.0
_LONGEST_TOKEN = 16_384
_SPARE_S = 300.0
_FRESH_SHARE = 0.8
_FORM = ("Content-Type", "application/x-www-form-urlencoded")
_CODES = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "access_denied",
        "temporarily_unavailable",
        "server_error",
        "slow_down",
    }
)


def form(url: str, fields: dict[str, str], headers: Headers = ()) -> CallParts:
    """Return the request that posts a form."""
    accepts = ("Accept", "application/json")
    return CallParts("POST", url, (_FORM, accepts, *headers), urlencode(fields).encode())


def asked(ask: AskToken, parts: CallParts, connection: ConnectionSpec) -> bytes:
    """Send a request for a token and return the answer's body.

    Raises:
        TokenUnavailableError: There is none; the error code of RFC 6749 is told, nothing else.
    """
    try:
        return ask(parts, connection)
    except FormError as error:
        code = _error_code(error.body)
        detail = f"{error.detail[:-1]} with {code}." if code else error.detail
        raise TokenUnavailableError(detail, may_retry=error.may_retry) from error


def oauth_answer(body: bytes) -> Minted:
    """Return the token of an OAuth 2.0 answer; without ``expires_in`` it lives the default.

    Raises:
        TokenUnavailableError: There is no token in it that could be sent.
    """
    answer = decoded(body)
    if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
        raise TokenUnavailableError(
            "The token endpoint's answer holds no access_token.", may_retry=True
        )
    refresh = answer.get("refresh_token")
    successor = Secret(refresh) if isinstance(refresh, str) and refresh else None
    life_s = answer.get("expires_in")
    return minted(
        answer["access_token"], DEFAULT_LIFE_S if life_s is None else life_s, successor=successor
    )


def minted(token: Any, life_s: Any, *, successor: Secret | None = None) -> Minted:
    """Return a token with its times: renewed five minutes, or a fifth of its life, before its end.

    Raises:
        TokenUnavailableError: It cannot stand in a header, or its life is no number of seconds.
    """
    if not isinstance(token, str) or not token or not (token.isascii() and token.isprintable()):
        raise TokenUnavailableError(
            "The token endpoint's access_token cannot stand in a header.", may_retry=False
        )
    if len(token) > _LONGEST_TOKEN:
        raise TokenUnavailableError(
            "The token endpoint's access_token is too long for a header.", may_retry=False
        )
    try:
        seconds = float(life_s)
    except (TypeError, ValueError):
        seconds = math.nan
    if isinstance(life_s, bool) or not 0 < seconds < math.inf:
        raise TokenUnavailableError(
            "The token endpoint's access_token comes without a usable expires_in.", may_retry=True
        )
    seconds = min(seconds, _LONGEST_LIFE_S)
    refresh_after_s = max(_FRESH_SHARE * seconds, seconds - _SPARE_S)
    return Minted(Secret(token), seconds, refresh_after_s, successor)


def decoded(body: bytes) -> Any:
    """Return a JSON answer, ``None`` when it is none."""
    try:
        return json.decode(body)
    except msgspec.DecodeError:
        return None


def _error_code(body: bytes) -> str | None:
    """Return the code of an error answer if the standard has it; others may echo a secret."""
    answer = decoded(body) if body else None
    code = answer.get("error") if isinstance(answer, dict) else None
    return code if isinstance(code, str) and code in _CODES else None
