"""The paths that stand in front of Flask, for the OpenAPI document.

The Edge endpoint and streaming ingestion are bare WSGI applications: no decorator describes them.
"""

from typing import Any

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


def _edge(summary: str, description: str, answers: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": [TAG],
        "summary": summary,
        "description": description,
        "security": [],
        "parameters": [
            _parameter("basePath", "path", "`ee`, `ee-pre-prd` or one of your own."),
            _parameter("configId", "query", "The datastream."),
            _parameter("requestId", "query", "A UUID; `x-request-id` will do instead."),
        ],
        "requestBody": {"required": True, "content": _OBJECT},
        "responses": {**answers, "default": _PROBLEM},
    }


def _collection(summary: str, description: str, status: str, answer: str) -> dict[str, Any]:
    return {
        "tags": [TAG],
        "summary": summary,
        "description": description,
        "security": [{}, {"accessToken": []}],
        "parameters": [_parameter("inletId", "path", "The inlet.")],
        "requestBody": {"required": True, "content": _OBJECT},
        "responses": {status: {"description": answer, "content": _OBJECT}, "default": _PROBLEM},
    }


PATHS: dict[str, dict[str, Any]] = {
    "/{basePath}/v1/interact": {
        "post": _edge(
            "Keep events, push tokens and identities of a device, and answer with handles",
            "What the Mobile SDKs and the Web SDK call. A location hint may stand before `v1`. The "
            "answer leaves after the commit; it is framed when the body asks for streaming.",
            {"200": {"description": "`requestId` and `handle`.", "content": _OBJECT}},
        ),
    },
    "/{basePath}/v1/collect": {
        "post": _edge(
            "Keep events without an answer",
            "What the Web SDK's beacon calls.",
            {"204": {"description": "Kept."}},
        ),
    },
    "/collection/{inletId}": {
        "post": _collection(
            "Stream one profile record or event",
            "`syncValidation=true` validates before it answers.",
            "200",
            "`inletId`, `xactionId` and `receivedTimeMs`.",
        ),
    },
    "/collection/batch/{inletId}": {
        "post": _collection(
            "Stream several messages, each with its own outcome",
            "Messages are independent: send only the failed ones again.",
            "207",
            "`responses` in the order of `messages`.",
        ),
    },
}
