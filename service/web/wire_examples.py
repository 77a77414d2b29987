"""Examples of what phones, pages and servers send, each accepted as it stands."""

from typing import Any

from service.core.json import JsonObject
from service.web.examples import APP_ID, named

_ECID = "41861666193140161934276845651148876988"
_ORG_ID = "EDGEPOST@AdobeOrg"


def _event(event_type: str, **more: Any) -> JsonObject:
    return {
        "_id": "0e9f9b4c-1f3a-4c55-9a0b-6d3f5a2c7e11",
        "timestamp": "2026-07-01T10:00:00.000Z",
        "eventType": event_type,
        **more,
    }


_LOGGED_IN: JsonObject = {
    "ECID": [{"id": _ECID, "authenticatedState": "ambiguous", "primary": False}],
    "CRMID": [{"id": "c-1", "authenticatedState": "authenticated", "primary": True}],
}
_TOKEN: JsonObject = {
    "appID": APP_ID,
    "token": "0A1B2C3D4E5F60718293A4B5C6D7E8F90A1B2C3D4E5F60718293A4B5C6D7E8F9",
    "platform": "apns",
    "denylisted": False,
    "identity": {"namespace": {"code": "ECID"}, "id": _ECID},
}
_START_TOKEN: JsonObject = {
    "appID": APP_ID,
    "token": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "platform": "apns",
    "attributeType": "DeliveryAttributes",
    "identity": {"namespace": {"code": "ECID"}, "id": _ECID},
}
# {"alg": "ES256", "kid": "1"} and sub, ns, ecid, iat, exp of the login above
_LOGIN_PROOF = (
    "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEiLCJ0eXAiOiJKV1QifQ."
    "eyJzdWIiOiJjLTEiLCJucyI6IkNSTUlEIiwiZWNpZCI6IjQxODYxNjY2MTkzMTQwMTYxOTM0Mjc2ODQ1NjUxMTQ4ODc2"
    "OTg4IiwiaWF0IjoxNzgyOTAwMDAwLCJleHAiOjE3ODI5MDAzMDB9."
    "c2lnbmVkLWJ5LXlvdXItYmFja2VuZA"
)
INTERACT = {
    "phone": named(
        "A phone announces its token, says who is logged in and what they did",
        {
            "xdm": {"identityMap": _LOGGED_IN},
            "events": [
                {
                    "xdm": _event("commerce.productListAdds"),
                    "data": {"pushNotificationDetails": [_TOKEN]},
                }
            ],
        },
    ),
    "login": named(
        "A phone proves a login, on a datastream that asks for `loginProof`",
        {
            "xdm": {"identityMap": _LOGGED_IN},
            "events": [{"xdm": {"eventType": "app.login"}, "data": {"loginProof": _LOGIN_PROOF}}],
        },
    ),
    "liveActivities": named(
        "An iPhone announces by which token a live activity is started, and one updated",
        {
            "xdm": {"identityMap": {"ECID": [{"id": _ECID}]}},
            "events": [
                {
                    "xdm": {"eventType": "liveActivity.pushToStart"},
                    "data": {"liveActivityPushNotificationDetails": [_START_TOKEN]},
                },
                {
                    "xdm": {"eventType": "liveActivity.updateToken"},
                    "data": {"liveActivityID": "order-4711", "token": "5e6f70819a0b1c2d3e4f"},
                },
            ],
        },
    ),
    "page": named(
        "A page asks for its device's ECID",
        {
            "query": {"identity": {"fetch": ["ECID"]}},
            "events": [
                {
                    "xdm": _event(
                        "web.webpagedetails.pageViews", web={"webPageDetails": {"URL": "/"}}
                    )
                }
            ],
        },
    ),
}
COLLECT = {
    "beacon": named(
        "A page is left",
        {
            "xdm": {"identityMap": {"ECID": [{"id": _ECID}]}},
            "events": [{"xdm": _event("web.webinteraction.linkClicks")}],
        },
    ),
}
MEDIA = {
    "ping": named(
        "A player says where it is",
        {
            "xdm": {"identityMap": {"ECID": [{"id": _ECID}]}},
            "events": [{"xdm": _event("media.ping", mediaCollection={"playhead": 30})}],
        },
    ),
}
ACQUIRE = {
    "page": named(
        "A page asks who it is before its first event",
        {"query": {"identity": {"fetch": ["ECID"]}}},
    ),
}
CONSENT = {
    "phone": named(
        "A person withdraws their consent in an app",
        {
            "query": {"consent": {"operation": "update"}},
            "identityMap": {"ECID": [{"id": _ECID}]},
            "consent": [
                {
                    "standard": "Adobe",
                    "version": "2.0",
                    "value": {
                        "collect": {"val": "n"},
                        "metadata": {"time": "2026-07-01T10:00:00.000Z"},
                    },
                }
            ],
        },
    ),
    "page": named(
        "A new visitor of a page consents",
        {
            "query": {"identity": {"fetch": ["ECID"]}},
            "consent": [{"standard": "Adobe", "version": "1.0", "value": {"general": "in"}}],
        },
    ),
}
SERVER_INTERACT = {
    "server": named(
        "A server speaks for a browser",
        {
            "event": {
                "xdm": _event(
                    "commerce.purchases", identityMap={"Email": [{"id": "ada@example.com"}]}
                )
            }
        },
    ),
}
_PERSON: JsonObject = {
    "CRMID": [{"id": "c-1", "authenticatedState": "authenticated", "primary": True}]
}


def _message(schema: str, entity: JsonObject) -> JsonObject:
    ref = {"id": schema, "contentType": "application/vnd.adobe.xed-full+json;version=1"}
    return {
        "header": {"schemaRef": ref, "imsOrgId": _ORG_ID},
        "body": {"xdmMeta": {"schemaRef": ref}, "xdmEntity": {"identityMap": _PERSON, **entity}},
    }


_RECORD = _message(
    "https://ns.adobe.com/xdm/context/profile",
    {
        "person": {"name": {"firstName": "Ada"}},
        "homeAddress": {"country": "CA"},
        "consents": {"marketing": {"push": {"val": "y"}}},
    },
)
_PURCHASE = _message(
    "https://ns.adobe.com/xdm/context/experienceevent",
    _event(
        "commerce.purchases",
        _experience={"campaign": {"orchestration": {"eventID": "order-placed"}}},
    ),
)
STREAMED = {
    "record": named("What is known of a person", _RECORD),
    "event": named("What a person did", _PURCHASE),
}
STREAMED_BATCH = {"both": named("A record and an event", {"messages": [_RECORD, _PURCHASE]})}
