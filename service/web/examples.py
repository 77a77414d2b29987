"""Examples of the admin API's main requests, each accepted as it stands.

Ids in them stand for those of what was created before.
"""

from service.core.json import JsonObject

SEGMENT_ID = "01912f4e-7b1c-7c3a-9d2e-1f0a5b6c7d8e"
ACTION_ID = "01912f4e-8c2d-7e4b-8f3a-2a1b6c7d8e9f"
JOURNEY_ID = "01912f4e-9d3e-7f5c-8a4b-3b2c7d8e9fa0"
DATASTREAM_ID = "01912f4e-6a0b-7d1c-8e2f-3c4d5e6f7a8b"
APP_ID = "com.example.shop"
_PUSHES_OPT_IN = 'consents.marketing.push.val = "y"'
_FULL_CART = (
    "CHAIN(xEvent, timestamp, [C0: "
    'WHAT(eventType = "commerce.productListAdds") WHEN(<= 24 hours before now)])'
)


def named(summary: str, value: JsonObject) -> JsonObject:
    """Return an example as OpenAPI lists it."""
    return {"summary": summary, "value": value}


TOKEN: JsonObject = {
    "grant_type": "client_credentials",
    "client_id": "<client_id>",
    "client_secret": "<client_secret>",
    "scope": "segments.read,segments.write",
}
SANDBOX: JsonObject = {"name": "dev", "title": "Development", "type": "development"}
NAMESPACE: JsonObject = {"code": "LoyaltyId", "name": "Loyalty card", "idType": "Cross_device"}
NAMESPACE_CHANGES: JsonObject = {"name": "Loyalty number", "priority": 3}
INLET: JsonObject = {"name": "CRM export"}
INLET_CHANGES: JsonObject = {"authenticationRequired": True}
DATASTREAMS = {
    "mobile": named("For the apps", {"name": "Shop app", "platform": "mobile", "appIds": [APP_ID]}),
    "web": named(
        "For the pages",
        {"name": "Shop site", "platform": "web", "origins": ["https://www.example.com"]},
    ),
}
DATASTREAM_CHANGES = {
    "loginProof": named(
        "Ask for proof of login",
        {
            "loginProof": {
                "mode": "required",
                "algorithms": ["HS256"],
                "secret": "<at least 32 random bytes, as your backend has them>",
            }
        },
    ),
    "limit": named("Answer so many requests a second", {"requestsPerSecond": 200}),
    "off": named("Serve nobody any more", {"enabled": False}),
}
MOBILE_PROPERTY_CHANGES: JsonObject = {
    "environments": {
        "staging": {"datastreamId": DATASTREAM_ID, "edgeDomain": "edge.stage.example.com"},
        "development": None,
    }
}
MOBILE_PROPERTY: JsonObject = {
    "name": "Shop app",
    "environments": {
        "development": {
            "datastreamId": DATASTREAM_ID,
            "edgeDomain": "edge.dev.example.com",
            "consentDefault": "p",
        },
        "production": {"datastreamId": DATASTREAM_ID, "edgeDomain": "edge.example.com"},
    },
}


def _segment(name: str, rule: str, method: str) -> JsonObject:
    return {
        "name": name,
        "expression": {"type": "PQL", "format": "pql/text", "value": rule},
        "schema": {"name": "_xdm.context.profile"},
        "evaluationInfo": {method: {"enabled": True}},
    }


SEGMENTS = {
    "streaming": named(
        "Evaluated inside the request that brings the event",
        _segment("Full carts", f"{_PUSHES_OPT_IN} and {_FULL_CART}", "continuous"),
    ),
    "batch": named(
        "Evaluated on the schedule",
        _segment(
            "Reachable in Canada", f'homeAddress.country = "CA" and {_PUSHES_OPT_IN}', "batch"
        ),
    ),
}
SEGMENT_CHANGES: JsonObject = {
    "name": "Full carts since yesterday",
    "evaluationInfo": {"batch": {"enabled": True}},
}
SEGMENT_JOB: list[JsonObject] = [{"segmentId": SEGMENT_ID}]
ACTIONS = {
    "push": named(
        "One push token at a JSON API",
        {
            "name": "push_cart",
            "adapter": "push",
            "url": "https://push.example.com/v1/messages",
            "payload": {
                "to": "{{ token }}",
                "title": "Your cart is waiting",
                "body": "{{ profile.person.name.firstName | default: 'Hello' }}, until tonight.",
                "offer": "{{ parameters.offer }}",
                "_xdm": "{{ tracking }}",
            },
            "auth": {"type": "apiKey", "name": "X-API-Key", "value": "<the vendor's key>"},
            "settings": {"appId": APP_ID, "platform": "apns"},
        },
    ),
    "webhook": named(
        "A call for a person, as a custom action of Journey Optimizer makes it",
        {
            "name": "crm_task",
            "adapter": "webhook",
            "url": "https://crm.example.com/tasks",
            "headers": {"X-Journey": "{{ journey.versionID }}"},
            "payload": {"customer": "{{ parameters.customer }}", "delivery": "{{ delivery.id }}"},
            "auth": {"type": "basic", "username": "edgepost", "password": "<password>"},
            "maxRetries": 1,
        },
    ),
    "lookup": named(
        "A look-up whose answer the journey reads, with a dynamic path and typed parameters",
        {
            "name": "loyalty_points",
            "adapter": "webhook",
            "method": "GET",
            "url": "https://loyalty.example.com/members/{{ parameters.member }}/points",
            "query": {"currency": "{{ parameters.currency }}"},
            "parameters": [
                {"name": "member", "type": "string"},
                {"name": "currency", "type": "string", "kind": "constant", "value": "EUR"},
            ],
            "answers": {
                "response": {"points": {"path": "balance.points", "type": "integer"}},
                "errorResponse": {"why": {"path": "errors[0].message"}},
            },
        },
    ),
    "fcm": named(
        "Firebase Cloud Messaging; the service account stays in the environment",
        {
            "name": "fcm_cart",
            "adapter": "fcm",
            "payload": {
                "adb_title": "Your cart is waiting",
                "adb_body": "{{ profile.person.name.firstName }}, until tonight.",
                "adb_a_type": "DEEPLINK",
                "adb_uri": "shop://cart",
            },
            "auth": {"type": "serviceAccount", "credentials": "env:ACTION_SECRET_FCM"},
            "settings": {"appId": APP_ID, "platform": "fcm", "ttlS": 3600},
        },
    ),
}
TRIALS = {
    "person": named(
        "Made of somebody's profile",
        {
            "identity": {"namespace": "CRMID", "id": "jo-1"},
            "parameters": {"offer": "-10%"},
        },
    ),
    "token": named(
        "To a push token at hand",
        {
            "token": "<a push token>",
            "parameters": {"customer": "Jo", "offer": "-10%"},
            "event": {"eventType": "commerce.purchases"},
        },
    ),
}
ENDPOINT_CONFIG: JsonObject = {
    "url": "https://push.example.com/v1/*",
    "methods": ["POST"],
    "services": {
        "action": {
            "maxHttpConnections": 50,
            "rating": {"maxCallsCount": 500, "periodInMs": 1000},
        }
    },
}
THROTTLING_CONFIG: JsonObject = {
    "name": "Push vendor",
    "urlPattern": "https://push.example.com/v1/*",
    "methods": ["POST"],
    "maxThroughput": 400,
    "_edgepost": {"expireAfterMs": 3_600_000, "weights": {JOURNEY_ID: 3}},
}
_CALL: JsonObject = {
    "id": "push",
    "type": "custom_action",
    "name": "Remind",
    "actionId": ACTION_ID,
    "paramMappings": [
        {"paramPath": "customer", "expression": "_shop.customer"},
        {"paramPath": "offer", "expression": '"-10%"'},
    ],
    "transitions": [
        {"targetNodeId": "reached"},
        {"targetNodeId": "missed", "conditionType": "timeoutOrError"},
    ],
}
_ENDS: list[JsonObject] = [
    {"id": "reached", "type": "end", "name": "Reached"},
    {"id": "missed", "type": "end", "name": "Not reached"},
]
JOURNEYS = {
    "segment": named(
        "Entered by a segment: wait, split, call",
        {
            "name": "Cart reminder",
            "identityNamespace": "CRMID",
            "nodes": [
                {
                    "id": "start",
                    "type": "audience_qualification",
                    "name": "Cart is full",
                    "segmentId": SEGMENT_ID,
                    "status": "realized",
                    "transitions": [{"targetNodeId": "rest"}],
                },
                {
                    "id": "rest",
                    "type": "wait",
                    "delay": "PT30M",
                    "transitions": [{"targetNodeId": "which"}],
                },
                {
                    "id": "which",
                    "type": "condition",
                    "transitions": [
                        {"expression": _PUSHES_OPT_IN, "targetNodeId": "push"},
                        {"conditionType": "otherwise", "targetNodeId": "missed"},
                    ],
                },
                _CALL,
                *_ENDS,
            ],
            "reentrance": {"policy": "allow", "durationInSecs": 86400},
        },
    ),
    "reaction": named(
        "Waits until the message is opened, for two hours at most",
        {
            "name": "Cart reminder, followed up",
            "identityNamespace": "CRMID",
            "nodes": [
                {
                    "id": "start",
                    "type": "audience_qualification",
                    "segmentId": SEGMENT_ID,
                    "status": "realized",
                    "transitions": [{"targetNodeId": "push"}],
                },
                {**_CALL, "transitions": [{"targetNodeId": "opened"}, *_CALL["transitions"][1:]]},
                {
                    "id": "opened",
                    "type": "reaction",
                    "messageNodeId": "push",
                    "interaction": "opened",
                    "timeout": "PT2H",
                    "transitions": [
                        {"targetNodeId": "reached"},
                        {"targetNodeId": "missed", "conditionType": "timeout"},
                    ],
                },
                *_ENDS,
            ],
        },
    ),
    "event": named(
        "Entered by an event that carries an orchestration eventID",
        {
            "name": "Order confirmation",
            "identityNamespace": "CRMID",
            "nodes": [
                {
                    "id": "start",
                    "type": "unitary",
                    "eventID": "order-placed",
                    "transitions": [{"targetNodeId": "push"}],
                },
                _CALL,
                *_ENDS,
            ],
        },
    ),
}
DECISION: JsonObject = {"verdict": "dismiss"}
HALTS = {
    "action": named(
        "Stop sending through an action; what waits is kept",
        {"kind": "action", "subject": ACTION_ID, "reason": "wrong prices", "waiting": "hold"},
    ),
    "journey": named(
        "Stop a journey's messages and give up those that wait",
        {"kind": "journey", "subject": JOURNEY_ID, "waiting": "drop"},
    ),
    "destination": named(
        "Stop calling a host",
        {"kind": "destination", "subject": "api.push.example", "waiting": "hold"},
    ),
}
REPLAYS = {
    "count": named(
        "Count first",
        {"filter": {"actionId": ACTION_ID}, "maxPerMinute": 60, "dryRun": True},
    ),
    "capped": named(
        "Send again what was over the cap, ten a second",
        {"filter": {"state": "capped"}, "maxPerMinute": 600, "limit": 5000},
    ),
}
RECEIPT_SOURCES = {
    "twilio": named(
        "Twilio: the auth token, or the secret of a shared signing key",
        {
            "name": "SMS receipts",
            "provider": "twilio",
            "secret": "<your auth token>",
            "publicUrl": "https://hooks.example.com/sms",
        },
    ),
    "generic": named(
        "Anything that signs as Standard Webhooks says",
        {
            "name": "Push gateway",
            "provider": "generic",
            "secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        },
    ),
}
