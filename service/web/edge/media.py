"""Media sessions: their events are kept like all others, and a session's start gets an id.

Source: alloy ``StreamingMedia``; Roku ``mediaSession``; Media Edge API, "Start a session".
"""

from service.core.ids import derived_key
from service.core.json import JsonObject
from service.profiles.incoming import IncomingRequest
from service.web.edge.parsed import ParsedRequest

SESSION_START = "media.sessionStart"


def event_type(name: str) -> str:
    """Return the type of an event that came to ``va/v1/{name}`` without one."""
    return f"media.{name}"


def new_sessions(parsed: ParsedRequest, ignored: frozenset[int]) -> list[JsonObject]:
    """Return a handle for each session that the kept events of a request start."""
    return [
        {
            "type": "media-analytics:new-session",
            "eventIndex": parsed.places[index],
            "payload": [{"sessionId": _session_id(parsed.incoming, event.event_id)}],
        }
        for index, event in enumerate(parsed.incoming.events)
        if event.event_type == SESSION_START and index not in ignored
    ]


def _session_id(incoming: IncomingRequest, event_id: str) -> str:
    """Return a session's id; a retry of the same event gets the same again."""
    return derived_key("media", str(incoming.source.id), event_id).hex
