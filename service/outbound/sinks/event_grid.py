"""Publishing to a custom topic of Event Grid: the SDK writes and signs, our transport carries.

A call is taken whole or not at all: what is too large or holds an event that is not taken goes
again in halves.

Source: Microsoft, azure-eventgrid, ``raw_request_hook``; service/decisions/0029-sinks.md.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError
from azure.core.messaging import CloudEvent
from azure.core.pipeline import PipelineRequest
from azure.eventgrid import EventGridPublisherClient

from service.core import json
from service.outbound.adapters.contract import ActionSpec
from service.outbound.auth import ApiKeyAuth
from service.outbound.sinks.contract import Carrier, SinkRow, alike, split
from service.outbound.transport import CallParts, Reply, ReplyKind, Trouble

_OURS = frozenset({"content-length", "host"})
_SPLIT_ON = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})


class _MadeError(Exception):
    """The SDK's request is made; it is not the SDK that sends it."""

    def __init__(self, parts: CallParts) -> None:
        super().__init__("made")
        self.parts = parts


class EventGridSink:
    """One topic."""

    def __init__(self, action: ActionSpec) -> None:
        assert isinstance(action.auth, ApiKeyAuth)  # noqa: S101 - the adapter's check saw to it
        credential = AzureKeyCredential(action.auth.value.reveal())
        self._client = EventGridPublisherClient(str(action.settings["endpoint"]), credential)

    def put(self, rows: Sequence[SinkRow], carrier: Carrier) -> Sequence[Reply]:
        """Publish the rows and return what became of all of them."""
        parts = self._made([CloudEvent.from_dict(json.decode(row.document)) for row in rows])
        if parts is None:
            return alike(rows, Reply(None, ReplyKind.NOT_SENT, trouble=Trouble.MALFORMED))
        reply = carrier.call(parts)
        is_answered = reply.kind is ReplyKind.ANSWERED
        return (split if is_answered and reply.status in _SPLIT_ON else alike)(rows, reply)

    def _made(self, events: list[CloudEvent[Any]]) -> CallParts | None:
        """Return the SDK's request; ``None`` if it makes none of these events."""
        try:
            self._client.send(events, raw_request_hook=_take)
        except _MadeError as made:
            return made.parts
        except (AzureError, TypeError, ValueError):
            return None
        return None


def _take(request: PipelineRequest[Any]) -> None:
    made = request.http_request
    body: Any = made.content if hasattr(made, "content") else made.body
    headers = tuple(
        (str(name), str(value)) for name, value in made.headers.items() if name.lower() not in _OURS
    )
    content = body.encode() if isinstance(body, str) else bytes(body)
    raise _MadeError(CallParts(made.method, made.url, headers, content))
