"""Every error as problem details, mapped here and nowhere else.

400 could not be read, 422 was read and refused. Source: RFC 9457.
"""

import traceback
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, current_app, request
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
)

from service.core.errors import (
    ConflictError,
    EdgepostError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    RefusedDataError,
    StoreUnavailableError,
    UnauthorizedError,
)
from service.core.json import encode
from service.web.context import request_id

PROBLEM_TYPE = "application/problem+json"
_LOG = structlog.get_logger()
_FRAMES = 12


class UnreadableRequestError(EdgepostError):
    """The request could not be read: its syntax, encoding or headers are wrong."""


_STATUS: tuple[tuple[type[EdgepostError], HTTPStatus], ...] = (
    (UnreadableRequestError, HTTPStatus.BAD_REQUEST),
    (InvalidInputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (RefusedDataError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (ConflictError, HTTPStatus.CONFLICT),
    (ForbiddenError, HTTPStatus.FORBIDDEN),
    (UnauthorizedError, HTTPStatus.UNAUTHORIZED),
    (StoreUnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
)


def register(app: Flask) -> None:
    """Answer every error of the application in one shape."""
    app.register_error_handler(EdgepostError, edgepost_problem)
    app.register_error_handler(IntegrityError, _race_problem)
    app.register_error_handler(Exception, _unexpected_problem)


def problem(
    status: int,
    detail: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    """Return problem details; ``members`` are extension members and never replace the standard."""
    body = {
        **members,
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "requestId": request_id(),
    }
    known = {name: value for name, value in body.items() if value is not None}
    return Response(encode(known), status, dict(headers or {}), content_type=PROBLEM_TYPE)


def edgepost_problem(error: EdgepostError) -> Response:
    """Map one of our errors; one that is not meant for callers becomes a 500."""
    status = next((each for kind, each in _STATUS if isinstance(error, kind)), None)
    if status is None:
        return _unexpected_problem(error)
    headers: dict[str, str] = {}
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = 'Bearer realm="edgepost", error="invalid_token"'
    if isinstance(error, StoreUnavailableError):
        headers["Retry-After"] = str(error.retry_after_s)
    return problem(status, error.detail, headers=headers, **error.fields)


def http_problem(error: HTTPException, /, **members: Any) -> Response:
    """Map one of werkzeug's errors, with the headers it sets: ``Allow``, ``Retry-After``."""
    if error.response is not None:
        return current_app.make_response(error.response)
    headers = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    given = getattr(error, "data", None) or {}
    listed = list(_flat(given.get("messages", {})))
    detail = "The request does not have the documented shape." if listed else _said(error)
    return problem(error.code or 500, detail, headers=headers, errors=listed or None, **members)


def _said(error: HTTPException) -> str | None:
    """Return what an error says, in our own words where werkzeug would speak to a browser."""
    if error.description != type(error).description:
        return error.description
    match error:
        case NotFound():
            return "There is nothing at this path: /docs lists the paths; ids in them are UUIDs."
        case MethodNotAllowed(valid_methods=methods):
            offered = ", ".join(sorted({*(methods or ())} - {"HEAD", "OPTIONS"}))
            return f"{request.method} is not offered at this path: use {offered}."
        case RequestEntityTooLarge():
            most = current_app.config["MAX_CONTENT_LENGTH"]
            return f"The body is larger than {most} bytes."
    return error.description


def _race_problem(_error: IntegrityError) -> Response:
    return problem(HTTPStatus.CONFLICT, "Another request changed the same thing; try again.")


def _unexpected_problem(error: Exception) -> Response:
    """Answer a bug; the log names the place but no message, which could quote a value."""
    places = [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    ]
    _LOG.error(
        "request_failed",
        request_id=request_id(),
        error_type=type(error).__qualname__,
        places=places,
    )
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The service failed to answer this request; its log names the request id.",
    )


def _flat(messages: Any, path: tuple[str, ...] = ()) -> Iterator[dict[str, str]]:
    """Yield ``{in, path, detail}`` for each message of marshmallow's nested ones."""
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            yield from _flat(inner, (*path, str(name)))
    elif isinstance(messages, list):
        for inner in messages:
            yield from _flat(inner, path)
    else:
        location, *rest = path or ("request",)
        names = [name for name in rest if name != "_schema"]
        yield {"in": location, "path": ".".join(names), "detail": str(messages)}
