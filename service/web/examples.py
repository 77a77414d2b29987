"""Examples of the admin API's main requests, each accepted as it stands.

Ids in them stand for those of what was created before.
"""

from service.core.json import JsonObject

SEGMENT_ID = "01912f4e-7b1c-7c3a-9d2e-1f0a5b6c7d8e"
ACTION_ID = "01912f4e-8c2d-7e4b-8f3a-2a1b6c7d8e9f"
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
INLET: JsonObject = {"name": "CRM export"}
DATASTREAMS = {
    "mobile": named("For the apps", {"name": "Shop app", "platform": "mobile", "appIds": [APP_ID]}),
    "web": named(
        "For the pages",
        {"name": "Shop site", "platform": "web", "origins": ["https://www.example.com"]},
    ),
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
    "fcm": named(
        "Firebase Cloud Messaging; the service account stays in the environment",
        {
            "name": "fcm_cart",
            "adapter": "fcm",
            "payload": {
                "adb_title": "Your cart is waiting",
                "adb_body": "{{ profile.person.name.firstName }}, until tonight.",
                "adb_uri": "shop://cart",
            },
            "auth": {"type": "serviceAccount", "credentials": "env:ACTION_SECRET_FCM"},
            "settings": {"appId": APP_ID, "platform": "fcm", "ttlS": 3600},
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
