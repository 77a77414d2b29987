"""The files that the Mobile SDKs download, for the OpenAPI document."""

from typing import Any

from service.web.examples import DATASTREAM_ID
from service.web.parameter_texts import text_of

_FILE_ID = "94f571f308d5/fec7505defe0/launch-1a2b3c4d5e6f"
CONFIGURATION_EXAMPLE: dict[str, Any] = {
    "global.privacy": "optedin",
    "experienceCloud.org": "EDGEPOST@AdobeOrg",
    "build.environment": "prod",
    "property.id": "01912f4e-9d3e-7a5b-8c6d-4e5f6a7b8c9d",
    "rules.url": f"https://edge.example.com/rules/{_FILE_ID}.zip",
    "edge.configId": DATASTREAM_ID,
    "edge.domain": "edge.example.com",
    "edge.environment": "prod",
    "consent.default": {"consents": {"collect": {"val": "y"}}},
    "messaging.eventDataset": "01912f4e-6a0b-7d1c-8e2f-3c4d5e6f7a8c",
    "messaging.useSandbox": False,
    "messaging.optimizePushSync": True,
    "lifecycle.sessionTimeout": 300,
}
_HEADERS = {
    "ETag": {"schema": {"type": "string"}, "description": "Follows from the bytes alone."},
    "Last-Modified": {"schema": {"type": "string"}, "description": "An HTTP date."},
    "Cache-Control": {"schema": {"type": "string"}},
}
_TEXT = {"text/plain": {"schema": {"type": "string"}}}


def _file(summary: str, description: str, content: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {
            "name": "appId",
            "in": "path",
            "required": True,
            "description": "An environment's app id; its slashes stand as they are.",
            "schema": {"type": "string"},
            "example": _FILE_ID,
        },
        *(
            {
                "name": name,
                "in": "header",
                "required": False,
                "description": text_of(name),
                "schema": {"type": "string"},
            }
            for name in ("If-None-Match", "If-Modified-Since")
        ),
    ]
    return {
        "tags": ["wire"],
        "summary": summary,
        "description": description,
        "security": [],
        "parameters": parameters,
        "responses": {
            "200": {"description": "The file.", "headers": _HEADERS, "content": content},
            "304": {"description": "The caller has this very file.", "headers": _HEADERS},
            "404": {"description": "No mobile property serves this app id.", "content": _TEXT},
            "default": {
                "description": "An error as text, since iOS takes any JSON for a configuration.",
                "content": _TEXT,
            },
        },
    }


PATHS: dict[str, dict[str, Any]] = {
    "/{appId}.json": {
        "get": _file(
            "Download the configuration of an app's builds",
            "What `MobileCore.configureWithAppID` downloads, and what an app may download itself "
            "and hand to `MobileCore.updateConfiguration`. `HEAD` is answered too.",
            {
                "application/json": {
                    "schema": {"type": "object"},
                    "example": CONFIGURATION_EXAMPLE,
                }
            },
        ),
    },
    "/rules/{appId}.zip": {
        "get": _file(
            "Download the rules of an app's builds",
            "What `rules.url` of the configuration names: a ZIP of `rules.json`, whose rules "
            "forward launch and close of the app to the Edge Network.",
            {"application/zip": {}},
        ),
    },
}
