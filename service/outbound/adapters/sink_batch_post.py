"""Many rows in one POST: a JSON array or a line each, to an endpoint that only takes batches.

The answer may say of each row what became of it, by its place or by an id; ``results`` says where.
Without ``results`` the status of the answer holds for all rows.
"""

import re
from collections.abc import Mapping
from typing import Any

from service.core.errors import InvalidInputError
from service.outbound.adapters import sink
from service.outbound.adapters.contract import ActionSpec
from service.outbound.adapters.sink import Bounds, SinkAdapter
from service.outbound.auth import ApiKeyAuth, BasicAuth, NoAuth
from service.outbound.auth_custom import CustomAuth
from service.outbound.auth_oauth import OAuth2Auth
from service.outbound.template_names import Names
from service.outbound.transport import CallParts

FORMATS = ("json", "ndjson")
MATCHES = ("index", "id")
_PATHS = frozenset({"path", "id", "status", "error"})
_FIELD_NAME = re.compile(r"[!#%&'*+\-^_`|~0-9A-Za-z][!#$%&'*+\-.^_`|~0-9A-Za-z]*")
_FIELD_VALUE = re.compile(r"[\t -~]*")
_OURS = frozenset({"connection", "content-length", "content-type", "expect", "host", "te"})
_STATUSES = range(400, 500)
_PATH = {"type": "string", "description": "Names joined by dots."}


class BatchPostAdapter(SinkAdapter):
    """An endpoint that takes arrays of rows."""

    name = "batchPost"
    takes_headers = True
    bounds = Bounds((100, 2000), (1 << 20, 10 << 20), (256 << 10, 1 << 20), 500)
    own = {  # noqa: RUF012 - a constant of the class
        "format": {
            "enum": list(FORMATS),
            "default": FORMATS[0],
            "description": "An array of rows, or a row a line.",
        },
        "wrapper": {
            "type": "string",
            "description": "The field of an object that holds the array; left out, none.",
        },
        "splitOn": {
            "type": "array",
            "items": {"type": "integer", "minimum": 400, "maximum": 499},
            "default": [413],
            "description": (
                "Statuses that refuse the call and not each of its rows: they go again in "
                "calls of half the size, down to one row."
            ),
        },
        "results": {
            "type": "object",
            "description": "Where the answer says what became of each row.",
            "additionalProperties": False,
            "properties": {
                "path": {**_PATH, "description": "To the list; left out, the whole answer."},
                "by": {
                    "enum": list(MATCHES),
                    "default": MATCHES[0],
                    "description": "Whether the list has our order, or names rows by their id.",
                },
                "id": {**_PATH, "default": "id"},
                "status": {
                    **_PATH,
                    "default": "status",
                    "description": "To a row's HTTP status, or to whether it was taken.",
                },
                "error": {
                    **_PATH,
                    "default": "error",
                    "description": "What a row only has when it was refused.",
                },
            },
        },
    }

    def target(self, action: ActionSpec) -> CallParts:
        """Return the call: the action's URL and headers, which are the same for every row."""
        return CallParts("POST", action.url, (*action.headers, sink.JSON_TYPE), b"")

    def check_own(self, action: ActionSpec, names: Names) -> None:  # noqa: ARG002 - nothing of the call varies with a row
        """Refuse what cannot be called.

        Raises:
            InvalidInputError: URL, a header, a setting or the authentication is wrong.
        """
        if not action.url:
            raise InvalidInputError(
                f"The adapter {self.name} needs a url: the http or https address that it calls.",
                at="url",
            )
        if "{{" in action.url or "{%" in action.url:
            raise InvalidInputError(
                "Many rows share one URL, which must not vary: put what varies into the payload.",
                at="url",
            )
        if action.method != "POST":
            raise InvalidInputError("The method must be POST.", method=action.method)
        _check_headers(action)
        if sink.check_choice(action.settings, "format", FORMATS) != FORMATS[0] and (
            "wrapper" in action.settings
        ):
            raise InvalidInputError("Lines have no wrapper.", at="settings.wrapper")
        if "wrapper" in action.settings:
            sink.text_of(action.settings, "wrapper")
        splits = action.settings.get("splitOn", [413])
        if not isinstance(splits, list) or any(each not in _STATUSES for each in splits):
            raise InvalidInputError("splitOn is a list of statuses from 400 to 499.", at="splitOn")
        _check_results(action.settings.get("results"), sink.id_field(action.settings))
        if not isinstance(action.auth, NoAuth | BasicAuth | ApiKeyAuth | OAuth2Auth | CustomAuth):
            raise InvalidInputError(
                f"The adapter {self.name} authenticates with an API key, basic, OAuth 2, a custom "
                "authorization, or not at all."
            )


def _check_headers(action: ActionSpec) -> None:
    for name, value in action.headers:
        if not _FIELD_NAME.fullmatch(name) or name.lower() in _OURS:
            raise InvalidInputError(f"The header {name!r} cannot be set.", header=name)
        if not _FIELD_VALUE.fullmatch(value) or "{{" in value or "{%" in value:
            raise InvalidInputError(
                f"Many rows share the header {name}: it cannot hold a template, nor anything but "
                "printable ASCII.",
                header=name,
            )


def _check_results(results: Any, id_field: str | None) -> None:
    if results is None:
        return
    at = "settings.results"
    if not isinstance(results, Mapping) or not results.keys() <= {*_PATHS, "by"}:
        raise InvalidInputError(f"results has {', '.join(sorted(_PATHS))} and by.", at=at)
    for name in sorted(_PATHS & results.keys()):
        sink.text_of(results, name)
    if sink.check_choice(results, "by", MATCHES) == "id" and id_field is None:
        raise InvalidInputError("Rows without an idField cannot be named by their id.", at=at)
