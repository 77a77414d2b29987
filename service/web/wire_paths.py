"""The paths that stand in front of Flask, for the OpenAPI document.

The Edge endpoint, streaming ingestion and the files of the SDKs are bare WSGI applications: no
decorator describes them.
"""

from typing import Any

from service.web import sdk_paths, wire_examples, wire_schemas
from service.web.edge.target import MEDIA_EVENTS

TAG = "wire"
_PROBLEM = {"$ref": "#/components/responses/DEFAULT_ERROR"}
_OBJECT = {"application/json": {"schema": {"type": "object"}}}


def _parameter(name: str, where: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": where,
        "required": where == "path" or name == "configId",
        "description": description,
        "schema": {"type": "string"},
    }


def _body(schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema, "examples": examples}}
    return {"required": True, "content": content}


def _edge(
    summary: str, description: str, body: dict[str, Any], answers: dict[str, Any]
) -> dict[str, Any]:
    return {
        "tags": [TAG],
        "summary": summary,
        "description": description,
        "security": [],
        "parameters": [
            _parameter("basePath", "path", "`ee`, `ee-pre-prd` or one of your own."),
            _parameter("configId", "query", "The datastream."),
            _parameter(
                "requestId",
                "query",
                "A UUID; `x-request-id` will do instead. An event without `_id` is kept once by "
                "this and its place among `events`, so a retry sends the same again.",
            ),
        ],
        "requestBody": body,
        "responses": {**answers, "default": _PROBLEM},
    }


def _media(
    summary: str, description: str, body: dict[str, Any], answers: dict[str, Any]
) -> dict[str, Any]:
    operation = _edge(summary, description, body, answers)
    about = "An event of the Media Edge API; others are 404."
    named = _parameter("mediaEvent", "path", about)
    named["schema"]["enum"] = list(MEDIA_EVENTS)
    return {**operation, "parameters": [named, *operation["parameters"]]}


def _server(
    summary: str, description: str, body: dict[str, Any], answers: dict[str, Any]
) -> dict[str, Any]:
    operation = _edge(summary, description, body, answers)
    (base_path, datastream, request_id) = operation["parameters"]
    named = {**datastream, "name": "datastreamId"}
    silent = _parameter("silent", "query", "`true`: answer 204 without a body.")
    parameters = [base_path, named, request_id, *([silent] if "202" in answers else [])]
    return {**operation, "security": [{"accessToken": []}], "parameters": parameters}


def _collection(
    summary: str, description: str, body: dict[str, Any], status: str, answer: str
) -> dict[str, Any]:
    return {
        "tags": [TAG],
        "summary": summary,
        "description": description,
        "security": [{}, {"accessToken": []}],
        "parameters": [_parameter("inletId", "path", "The inlet.")],
        "requestBody": body,
        "responses": {status: {"description": answer, "content": _OBJECT}, "default": _PROBLEM},
    }


PATHS: dict[str, dict[str, Any]] = {
    "/{basePath}/v1/interact": {
        "post": _edge(
            "Keep events, push tokens and identities of a device, and answer with handles",
            "What the Mobile SDKs and the Web SDK call. A location hint may stand before `v1`. The "
            "answer leaves after the commit; it is framed when the body asks for streaming.",
            _body(wire_schemas.edge_request(needs_events=False), wire_examples.INTERACT),
            {"200": {"description": "`requestId` and `handle`.", "content": _OBJECT}},
        ),
    },
    "/{basePath}/v1/collect": {
        "post": _edge(
            "Keep events without an answer",
            "What the Web SDK's beacon calls.",
            _body(wire_schemas.edge_request(needs_events=True), wire_examples.COLLECT),
            {"204": {"description": "Kept."}},
        ),
    },
    "/{basePath}/v1/privacy/set-consent": {
        "post": _edge(
            "Say what may be collected and used",
            "What the Consent extension and the Web SDK's `setConsent` call. A page is answered "
            "with its consent cookie, a phone with its preferences.",
            _body(wire_schemas.CONSENT, wire_examples.CONSENT),
            {"200": {"description": "`requestId` and `handle`.", "content": _OBJECT}},
        ),
    },
    "/{basePath}/v1/identity/acquire": {
        "post": _edge(
            "Ask for a device's ECID",
            "What the Web SDK's `getIdentity` calls before any event.",
            _body(wire_schemas.edge_request(needs_events=False), wire_examples.ACQUIRE),
            {"200": {"description": "`identity:result` and `state:store`.", "content": _OBJECT}},
        ),
    },
    "/{basePath}/va/v1/{mediaEvent}": {
        "post": _media(
            "Keep an event of a media session",
            "What the SDKs' media extensions call. The start of a session, wherever it is sent, is "
            "answered with its id.",
            _body(wire_schemas.edge_request(needs_events=True), wire_examples.MEDIA),
            {"200": {"description": "`requestId` and `handle`.", "content": _OBJECT}},
        ),
    },
    "/{basePath}/v2/interact": {
        "post": _server(
            "Keep one event that a server sends for a device, and answer with handles",
            "Needs an access token with the scope `collect`.",
            _body(wire_schemas.single_event_request(), wire_examples.SERVER_INTERACT),
            {"200": {"description": "`requestId` and `handle`.", "content": _OBJECT}},
        ),
    },
    "/{basePath}/v2/collect": {
        "post": _server(
            "Keep events that a server sends for devices",
            "Needs an access token with the scope `collect`.",
            _body(wire_schemas.edge_request(needs_events=True), wire_examples.COLLECT),
            {
                "202": {"description": "Kept; `requestId`.", "content": _OBJECT},
                "204": {"description": "Kept, with `silent=true`."},
            },
        ),
    },
    "/collection/{inletId}": {
        "post": _collection(
            "Stream one profile record or event",
            "`syncValidation=true` validates before it answers.",
            _body(wire_schemas.MESSAGE, wire_examples.STREAMED),
            "200",
            "`inletId`, `xactionId` and `receivedTimeMs`.",
        ),
    },
    "/collection/batch/{inletId}": {
        "post": _collection(
            "Stream several messages, each with its own outcome",
            "Messages are independent: send only the failed ones again.",
            _body(wire_schemas.MESSAGES, wire_examples.STREAMED_BATCH),
            "207",
            "`responses` in the order of `messages`.",
        ),
    },
    **sdk_paths.PATHS,
}
