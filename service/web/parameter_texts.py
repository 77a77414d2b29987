"""What the parameters of the admin API are, for the OpenAPI document; each name means one thing.

Parameters that describe themselves are left as they are.
"""

import re
from typing import Any

from apispec import BasePlugin

_TEXTS = {
    "action": "What was done or refused, such as `pushToken.refuse`.",
    "actionId": "Only deliveries of this action.",
    "code": "The namespace's code, such as `CRMID`.",
    "entityId": "The person's identity in `entityIdNS`.",
    "entityIdNS": "The code of the identity's namespace, such as `CRMID`.",
    "environment": "Which builds: `development`, `staging` or `production`.",
    "If-Modified-Since": "The `Last-Modified` of the copy at hand.",
    "If-None-Match": "The `ETag` of the copy at hand; it decides alone.",
    "instanceId": "Only deliveries of this run.",
    "journeyId": "Only what belongs to this journey.",
    "journeyVersionId": "Only what belongs to this version of a journey.",
    "method": "The HTTP method of the call.",
    "name": "The sandbox's name.",
    "namespace": "The code of the identity's namespace, such as `CRMID`.",
    "nodeId": "Only deliveries of this node.",
    "reason": "The code of the reason, such as `junkIdentity`.",
    "schema.name": "`_xdm.context.profile`.",
    "service": "The kind of calls: `action`.",
    "state": "Only deliveries in this state.",
    "subject": "To whom or what it was done, as the audit spells it.",
    "uid": "The configuration's id.",
    "value": "The identity; a slash in it stands as it is.",
    "version": "Which version; left out, the newest.",
}
_ID = re.compile(r"(?P<noun>[a-z]+)_id")


class ParameterTexts(BasePlugin):
    """Describes parameters by their names, and leaves no markup in summaries, which show none."""

    def path_helper(
        self,
        path: str | None = None,
        operations: dict[str, Any] | None = None,
        parameters: list[dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        """Describe the parameters that stand in a path."""
        del path, operations, kwargs
        _describe(parameters)

    def operation_helper(
        self, path: str | None = None, operations: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Describe the parameters of each operation of a path."""
        del path, kwargs
        for operation in (operations or {}).values():
            _describe(operation.get("parameters"))
            if "summary" in operation:
                operation["summary"] = operation["summary"].replace("`", "")


def text_of(name: str) -> str | None:
    """Return what a parameter is by its name, ``None`` when nobody wrote it down."""
    noun = _ID.fullmatch(name)
    return _TEXTS.get(name) or (f"The {noun['noun']}'s id." if noun else None)


def _describe(parameters: list[dict[str, Any]] | None) -> None:
    for each in parameters or ():
        if isinstance(each, dict) and "name" in each and not each.get("description"):
            text = text_of(each["name"])
            if text is not None:
                each["description"] = text
