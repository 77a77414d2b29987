"""The bodies of the paths that stand in front of Flask, as far as this service reads them.

What is not listed is kept as it comes: XDM is free-form.

Source: Edge ``RequestBuilder`` (Android, iOS), alloy; XDM ``identitymap`` and
``profile-push-notification-details``; Experience Platform, Streaming Ingestion API.
"""

from service.core.json import JsonObject
from service.identity.identity_map import MAX_VALUE_LENGTH, AuthenticatedState
from service.profiles.live_activities import PLATFORMS as LIVE_ACTIVITY_PLATFORMS
from service.profiles.push_tokens import MOBILE_PLATFORMS, WEB_PLATFORMS

_TEXT: JsonObject = {"type": "string"}


def _object(
    properties: JsonObject, *, about: str = "", required: tuple[str, ...] = ()
) -> JsonObject:
    schema: JsonObject = {"type": "object", "properties": properties}
    if about:
        schema["description"] = about
    return schema | ({"required": list(required)} if required else {})


def _list(items: JsonObject, about: str, most: int | None = None) -> JsonObject:
    bounds = {} if most is None else {"maxItems": most}
    return {"type": "array", "items": items, "description": about, **bounds}


IDENTITY_MAP: JsonObject = {
    "type": "object",
    "description": (
        "Identities by the code of their namespace. `authenticated` is a login: it links the "
        "device to the person and moves its push tokens. `loggedOut` ends it."
    ),
    "additionalProperties": _list(
        _object(
            {
                "id": {**_TEXT, "maxLength": MAX_VALUE_LENGTH},
                "authenticatedState": {
                    "type": "string",
                    "enum": [each.value for each in AuthenticatedState],
                    "default": AuthenticatedState.AMBIGUOUS.value,
                },
                "primary": {"type": ["boolean", "null"]},
            },
            required=("id",),
        ),
        "An ECID has exactly 38 digits; values such as `null` or `0` are left out and audited.",
    ),
}
_TIMESTAMP: JsonObject = {
    "type": "string",
    "format": "date-time",
    "description": (
        "With an offset from UTC. Left out, or in the future, the event counts as of the moment it "
        "arrives; what was sent stays in the stored event."
    ),
}
_XDM = _object(
    {
        "_id": {
            **_TEXT,
            "maxLength": 256,
            "description": "An event is kept once by it, however often it is sent.",
        },
        "eventType": {**_TEXT, "maxLength": 256},
        "timestamp": _TIMESTAMP,
        "identityMap": IDENTITY_MAP,
    },
    about="An XDM ExperienceEvent; anything else in it is kept.",
)
_DEVICE = _object(
    {"namespace": _object({"code": _TEXT}), "id": _TEXT},
    about="The device; left out, the event's ECID.",
)
_PUSH_TOKEN = _object(
    {
        "appID": {**_TEXT, "minLength": 1, "maxLength": 255},
        "token": {**_TEXT, "minLength": 1, "maxLength": 4096},
        "platform": {
            **_TEXT,
            "maxLength": 16,
            "examples": sorted(MOBILE_PLATFORMS | WEB_PLATFORMS),
            "description": "`web` on a web datastream, the others on a mobile one.",
        },
        "denylisted": {"type": "boolean"},
        "identity": _DEVICE,
    },
    required=("appID", "token", "platform"),
)
_START_TOKEN = _object(
    {
        "appID": {**_TEXT, "minLength": 1, "maxLength": 255},
        "token": {"type": ["string", "null"], "maxLength": 4096},
        "platform": {**_TEXT, "maxLength": 16, "examples": sorted(LIVE_ACTIVITY_PLATFORMS)},
        "attributeType": {
            **_TEXT,
            "minLength": 1,
            "maxLength": 255,
            "description": "The type of the activity's attributes, as the app names it.",
        },
        "identity": _DEVICE,
    },
    required=("appID", "platform", "attributeType"),
)
_EVENT = _object(
    {
        "xdm": _XDM,
        "data": _object(
            {
                "pushNotificationDetails": _list(
                    _PUSH_TOKEN, "Push tokens of the device, as the Messaging extension sends.", 20
                ),
                "liveActivityPushNotificationDetails": _list(
                    _START_TOKEN, "Tokens by which live activities are started.", 100
                ),
                "liveActivityID": {
                    **_TEXT,
                    "maxLength": 255,
                    "description": (
                        "In an event of type `liveActivity.updateToken`: the activity that `token` "
                        "updates."
                    ),
                },
                "token": {
                    "type": ["string", "null"],
                    "maxLength": 4096,
                    "description": "Beside `liveActivityID`, of the event's ECID.",
                },
                "loginProof": {
                    "type": ["string", "array"],
                    "items": _TEXT,
                    "description": (
                        "JWTs (one, or a list of at most 5) by which your backend vouches for the "
                        "logins of this event, while the datastream's `loginProof.mode` is not "
                        "`off`. Never stored then."
                    ),
                },
            },
            about=(
                "Free-form, and kept; read are push tokens, live activity tokens and proofs of "
                "login."
            ),
        ),
        "meta": _object(
            {"collect": _object({"datasetId": _TEXT})},
            about="Another dataset, if the datastream lists it; else the event goes to its own.",
        ),
    }
)


def edge_request(*, needs_events: bool) -> JsonObject:
    """Return the body of ``interact``, or of ``collect``, which cannot do without events."""
    return _object(
        {
            "meta": _object(
                {
                    "konductorConfig": _object(
                        {
                            "streaming": _object(
                                {
                                    "enabled": {"type": "boolean"},
                                    "recordSeparator": _TEXT,
                                    "lineFeed": _TEXT,
                                }
                            )
                        },
                        about="Mobile SDKs ask for framed answers here.",
                    ),
                    "state": {
                        "type": "object",
                        "description": "What the client keeps for the server, in place of cookies.",
                    },
                    "configOverrides": {
                        "type": "object",
                        "description": (
                            "`com_adobe_experience_platform.datasets.event.datasetId` names a "
                            "dataset that the datastream lists. Other overrides mean nothing here."
                        ),
                    },
                }
            ),
            "xdm": _object(
                {"identityMap": IDENTITY_MAP}, about="What counts for each of the events."
            ),
            "query": _object(
                {"identity": _object({"fetch": {"type": "array", "items": _TEXT}})},
                about='What is asked for: `{"identity": {"fetch": ["ECID"]}}`.',
            ),
            "events": _list(_EVENT, "What happened, in order.", 100),
        },
        required=("events",) if needs_events else (),
    )


def single_event_request() -> JsonObject:
    """Return the body of ``v2/interact``: one event instead of several."""
    schema = edge_request(needs_events=False)
    properties = {key: each for key, each in schema["properties"].items() if key != "events"}
    return schema | {"properties": {"event": _EVENT, **properties}}


CONSENT: JsonObject = _object(
    {
        "consent": _list(
            _object(
                {
                    "standard": {"type": "string", "enum": ["Adobe", "IAB TCF"]},
                    "version": {**_TEXT, "description": "`1.0` or `2.0`; of IAB TCF `2.0`."},
                    "value": {
                        "type": ["object", "string"],
                        "description": (
                            "Adobe 1.0: `general` is `in`, `out`, `pending` or `not_provided`. "
                            "Adobe 2.0: XDM Consents and Preferences. IAB TCF: the TC string, of "
                            "which purpose 1 decides."
                        ),
                    },
                    "gdprApplies": {"type": ["boolean", "null"]},
                    "gdprContainsPersonalData": {"type": ["boolean", "null"]},
                },
                required=("standard", "version", "value"),
            ),
            "What is consented to. Of collecting, the strictest counts.",
            20,
        ),
        "identityMap": IDENTITY_MAP,
        "query": _object(
            {
                "identity": _object({"fetch": {"type": "array", "items": _TEXT}}),
                "consent": _object({"operation": {"enum": ["update", "replace", None]}}),
            },
            about="Without an operation the preferences replace the earlier ones.",
        ),
        "meta": {"type": "object"},
    },
    required=("consent",),
)
_SCHEMA_REF = _object({"id": _TEXT, "contentType": _TEXT}, required=("id",))
MESSAGE = _object(
    {
        "header": _object(
            {
                "schemaRef": _SCHEMA_REF,
                "imsOrgId": {**_TEXT, "description": "The inlet's, when it is there."},
            },
            required=("schemaRef",),
        ),
        "body": _object(
            {
                "xdmMeta": _object(
                    {"schemaRef": _SCHEMA_REF},
                    about="The same schema as in the header.",
                    required=("schemaRef",),
                ),
                "xdmEntity": _object(
                    {
                        "identityMap": IDENTITY_MAP,
                        "_id": _TEXT,
                        "eventType": _TEXT,
                        "timestamp": _TIMESTAMP,
                    },
                    about=(
                        "An event when the schema is of the class ExperienceEvent or when it has "
                        "`_id` and `timestamp`, else what is known of a person. It names somebody."
                    ),
                    required=("identityMap",),
                ),
            },
            required=("xdmMeta", "xdmEntity"),
        ),
    },
    required=("header", "body"),
)
MESSAGES = _object(
    {"messages": _list(MESSAGE, "Each is kept or refused by itself.", 5000)},
    required=("messages",),
)
