"""Azure Event Grid: a row is a CloudEvent of a custom topic, its id the delivery's.

A call is taken whole or not at all. Needs azure-eventgrid, which comes with the extra
``eventgrid``.

Source: Microsoft, Publish events to Azure Event Grid custom topics; CloudEvents 1.0.2.
"""

from datetime import datetime

from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.outbound.adapters import sink
from service.outbound.adapters.contract import ActionSpec
from service.outbound.adapters.sink import Bounds, SinkAdapter
from service.outbound.auth import ApiKeyAuth, KeyLocation
from service.outbound.template_names import Names
from service.outbound.templating import render_text
from service.outbound.transport import CallParts

KEY_HEADER = "aeg-sas-key"
_DEFAULTS = {"source": "/edgepost", "eventType": "edgepost.message"}


class EventGridAdapter(SinkAdapter):
    """A custom topic whose input schema is CloudEvents 1.0."""

    name = "eventGrid"
    bounds = Bounds((500, 2000), (1_000_000, 1 << 20), (1_000_000, 1 << 20), 200)
    templates = frozenset({"subject"})
    own = {  # noqa: RUF012 - a constant of the class
        "endpoint": {
            "type": "string",
            "description": "The topic's: `https://….eventgrid.azure.net/api/events`.",
        },
        "source": {"type": "string", "default": _DEFAULTS["source"]},
        "eventType": {"type": "string", "default": _DEFAULTS["eventType"]},
        "subject": {"type": "string", "description": "A template; left out, none."},
    }

    def target(self, action: ActionSpec) -> CallParts:
        """Return the call that rows go with."""
        return CallParts("POST", str(action.settings.get("endpoint", "")), (sink.JSON_TYPE,), b"")

    def document(
        self, action: ActionSpec, row: JsonObject, values: JsonObject, created_at: datetime
    ) -> JsonObject:
        """Return the row as a CloudEvent."""
        event: JsonObject = {
            "specversion": "1.0",
            "id": values["delivery"]["id"],
            "source": action.settings.get("source", _DEFAULTS["source"]),
            "type": action.settings.get("eventType", _DEFAULTS["eventType"]),
            "time": created_at.isoformat(),
            "datacontenttype": "application/json",
            "data": row,
        }
        if "subject" in action.settings:
            event["subject"] = render_text(action.settings["subject"], values)
        return event

    def check_own(self, action: ActionSpec, names: Names) -> None:  # noqa: ARG002 - templates are checked by name
        """Refuse what cannot be called.

        Raises:
            InvalidInputError: A setting or the authentication is wrong, or azure-eventgrid is
                missing.
        """
        match action.auth:
            case ApiKeyAuth(name=name, location=KeyLocation.HEADER) if name == KEY_HEADER:
                pass
            case _:
                raise InvalidInputError(
                    f"The adapter {self.name} authenticates with an apiKey whose name is "
                    f"{KEY_HEADER}: one of the topic's two keys.",
                    at="auth",
                )
        for name in ("endpoint", "source", "eventType"):
            sink.text_of(action.settings, name, _DEFAULTS.get(name))
        sink.need_library(self.name, "azure.eventgrid", "eventgrid")
