"""Answers of the two bare WSGI applications: status, headers, body, and 503 for our own trouble.

Mobile SDKs know 200, 204 and 207 as success only; they retry a 503 and drop what got a 500.

Source: Edge ``EdgeNetworkService`` (Android, iOS); RFC 9457.
"""

import secrets
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from wsgiref.types import StartResponse

from service.core.json import JsonObject, encode

PROBLEM = "application/problem+json"
JSON = "application/json"
UNEXPECTED_RETRY_S = 5
_JITTER_S = 4
_NO_BODY = 204
_REASONS = {
    200: "OK",
    202: "Accepted",
    204: "No Content",
    207: "Multi-Status",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    503: "Service Unavailable",
}
_STATUS_LINES = {status: f"{status} {reason}" for status, reason in _REASONS.items()}
_NO_CACHE = ("Cache-Control", "no-cache, no-store")

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, before the headers that every answer has."""

    status: int
    body: bytes = field(default=b"", repr=False)
    content_type: str = JSON
    headers: Headers = ()


def problem(document: JsonObject, headers: Headers = ()) -> Answer:
    """Return an error; its status is the document's own."""
    return Answer(int(document["status"]), encode(document), PROBLEM, headers)


def try_later(document: JsonObject, retry_after_s: int) -> Answer:
    """Return an error with an integer ``Retry-After``, spread so that phones come back apart."""
    seconds = retry_after_s + secrets.randbelow(_JITTER_S)
    return problem(document, (("Retry-After", str(seconds)),))


def send(
    answer: Answer, start_response: StartResponse, request_id: str, headers: Headers = ()
) -> Iterable[bytes]:
    """Send an answer with the request's id and the headers of its protocol.

    A list of one is what granian sends without a stream.
    """
    sent = [_NO_CACHE, ("x-request-id", request_id), *answer.headers, *headers]
    if answer.status != _NO_BODY:
        sent.append(("Content-Type", answer.content_type))
        sent.append(("Content-Length", str(len(answer.body))))
    start_response(_STATUS_LINES[answer.status], sent)
    return [answer.body]


def place_of(error: Exception) -> dict[str, str]:
    """Return the type and place of an error for a log; its message might hold a token."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return {"error": type(error).__name__, "at": at}
