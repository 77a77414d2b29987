"""One JSON line per event: a constant name and fields, never a token, secret or body."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from flask import Flask, Response, g, request

from service.core.ids import new_key
from service.web.answers import place_of
from service.web.context import services

_LOG = structlog.get_logger()
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_HIDDEN = frozenset({"authorization", "token", "secret", "client_secret", "password", "body"})


def configure(level: str) -> None:
    """Make structlog write JSON lines to standard output; entry points call it once."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            place_exception,
            hide_secrets,
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()],
        ),
        cache_logger_on_first_use=True,
    )


def place_exception(
    _logger: Any,
    _method: str,
    event: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    """Name an exception's type and places, never its message, which may quote what was sent."""
    if event.pop("exc_info", None):
        error = sys.exc_info()[1]
        if isinstance(error, Exception):
            event.update(place_of(error))
    return event


def hide_secrets(
    _logger: Any,
    _method: str,
    event: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    """Replace fields that must not be logged, whoever passed them."""
    for name in _HIDDEN & event.keys():
        event[name] = "***"
    return event


def register(app: Flask) -> None:
    """Name every request and log every answer."""
    app.before_request(_begin)
    app.after_request(_end)


def request_name(given: str | None) -> str:
    """Return the caller's own request id when it is a plain one, else a new id."""
    return given if given and _REQUEST_ID.fullmatch(given) else str(new_key())


def _begin() -> None:
    g.request_id = request_name(request.headers.get("x-request-id"))
    g.began_at = services().clock.monotonic()


def _end(response: Response) -> Response:
    """Log the route and not the path, which may hold an identity."""
    response.headers["x-request-id"] = g.request_id
    scope = g.get("scope")
    caller = g.get("caller")
    _LOG.info(
        "request_answered",
        request_id=g.request_id,
        sandbox=scope.sandbox if scope else None,
        client_id=caller.client_id if caller else None,
        method=request.method,
        route=request.url_rule.rule if request.url_rule else None,
        status=response.status_code,
        elapsed_ms=round((services().clock.monotonic() - g.began_at) * 1000, 1),
    )
    return response
