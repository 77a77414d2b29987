"""What an app hears of an answer: one event for each handle, each error and each warning.

Source: Edge ``NetworkResponseHandler`` (Android, iOS).
"""

import json
from dataclasses import dataclass
from typing import Any

from mobile_stub.device import Hit, Kind

GENERIC = "com.adobe.eventSource.responseContent"
ERROR = "com.adobe.eventSource.errorResponseContent"
_UNTITLED = "Unexpected Error"
_NO_ANSWER = "Request to Edge Network failed with an unknown exception"


@dataclass(frozen=True, slots=True)
class Response:
    """One event to the app.

    Attributes:
        source: The handle's type, or where errors and untyped handles come from.
        hit_id: The event it answers; ``None`` when its index names none.
    """

    source: str
    payload: Any
    hit_id: str | None


def handles_of(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the handles of one fragment."""
    return _objects(envelope.get("handle"))


def answers_to(hit: Hit, item: dict[str, Any]) -> str | None:
    """Return the id of the event that a handle or a report is about; the first, unless it says."""
    return hit.id if item.get("eventIndex", 0) == 0 else None


def dispatched(hit: Hit, envelope: dict[str, Any]) -> tuple[Response, ...]:
    """Return what one fragment tells the app: handles first, then errors, then warnings.

    Lists of another shape are passed over: iOS has refused them before, Android ignores them.
    """
    handles = tuple(
        Response(item.get("type") or GENERIC, item.get("payload", []), answers_to(hit, item))
        for item in handles_of(envelope)
    )
    problems = _objects(envelope.get("errors")) + _objects(envelope.get("warnings"))
    return handles + tuple(_problem(hit, item) for item in problems)


def refused(kind: Kind, hit: Hit, body: bytes) -> tuple[Response, ...]:
    """Return what the app hears when a hit is dropped; a body that is no JSON becomes an error."""
    text = body.decode(errors="replace")
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        if kind is Kind.IOS:
            error = {"title": _UNTITLED, "detail": text}
        else:
            error = {"title": text or _NO_ANSWER, "type": "global"}
        return (_problem(hit, error),)
    if isinstance(document.get("errors"), list):
        return dispatched(hit, document)
    return (_problem(hit, document),)


def _problem(hit: Hit, problem: dict[str, Any]) -> Response:
    """Return an error as the app gets it, without the index that it was paired by."""
    report = problem.get("report")
    named = report if isinstance(report, dict) else {}
    kept = {key: value for key, value in named.items() if key != "eventIndex"}
    rest = {key: value for key, value in problem.items() if key != "report"}
    return Response(ERROR, rest | ({"report": kept} if kept else {}), answers_to(hit, named))


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
