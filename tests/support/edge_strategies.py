"""Bodies of Edge requests that are nearly right: what clients send, with some pieces odd."""

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from tests.support.edge_documents import ECID, OTHER_ECID, STREAMING, TOKEN, mobile, web
from tests.support.subscriptions import subscription
from tests.support.wire import JSON_VALUES

Path = tuple[str | int, ...]
_MAP = {"ECID": [{"id": ECID, "authenticatedState": "ambiguous", "primary": False}]}
_LIVE = {k: v for k, v in TOKEN.items() if k != "denylisted"} | {"attributeType": "Food"}
_ADOBE_2 = {"standard": "Adobe", "version": "2.0", "value": {"collect": {"val": "y"}}}
_DATASETS = {"com_adobe_experience_platform": {"datasets": {"event": {"datasetId": "x"}}}}
SENT: tuple[dict[str, Any], ...] = (
    mobile(xdm={"_id": "E-1", "eventType": "a", "timestamp": "2026-07-01T10:00:00.000Z"}),
    mobile(data={"pushNotificationDetails": [TOKEN]}, meta={"collect": {"datasetId": "x"}}),
    mobile(
        xdm={"eventType": "liveActivity.pushToStart"},
        data={"liveActivityPushNotificationDetails": [_LIVE]},
    ),
    mobile(
        xdm={"eventType": "liveActivity.updateToken"},
        data={"liveActivityID": "order-4711", "token": "80d1a4"},
    ),
    mobile(xdm={"eventType": "media.sessionStart", "identityMap": {"CRMID": [{"id": "C-1"}]}}),
    web(xdm={"identityMap": {"ECID": [{"id": OTHER_ECID}], "FPID": [{"id": "f-1"}]}}),
    web(events=[{"data": {"pushNotificationDetails": [TOKEN | {"platform": "web"}]}}]),
    web(events=[{"xdm": {"_id": f"W-{number}"}} for number in range(3)]),
    {"query": {"identity": {"fetch": ["ECID", "CORE"]}}, "meta": {"configOverrides": _DATASETS}},
    {"events": [{"query": {"identity": {"fetch": ["ECID"]}}}]},
    {"event": {"xdm": {"_id": "S-1", "identityMap": _MAP}}, "query": {}},
    {
        "meta": {"konductorConfig": {"streaming": STREAMING}},
        "query": {"consent": {"operation": "update"}},
        "identityMap": _MAP,
        "consent": [_ADOBE_2],
    },
    {
        "query": {"identity": {"fetch": ["ECID"]}},
        "consent": [{"standard": "Adobe", "version": "1.0", "value": {"general": "out"}}],
        "meta": {"state": {"domain": "example.com", "cookiesEnabled": True, "entries": []}},
    },
    {"consent": [{"standard": "IAB TCF", "version": "2.0", "value": "CO1Z4yuO1Z4yuAcABBENArCs"}]},
)
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1e308, "", "\0", "x" * 5000, [], {}, [[]], {"": None}, "ECID", [None]]
)


@st.composite
def nearly_right(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what some client sends, changed in up to three places."""
    document: dict[str, Any] = deepcopy(draw(st.sampled_from(SENT)))
    for _ in range(draw(st.integers(0, 3))):
        places = sorted(_paths(document), key=str)
        if places:
            _change(document, draw(st.sampled_from(places)), draw(st.none() | ODD | JSON_VALUES))
    return document


@st.composite
def subscribing(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a web push subscription as a page sends it, sometimes cut short."""
    token = subscription()[: draw(st.none() | st.integers(0, 40))]
    details = TOKEN | {"platform": "web", "token": token}
    return web(events=[{"data": {"pushNotificationDetails": [details]}}])


def _paths(value: Any, at: Path = ()) -> list[Path]:
    if isinstance(value, dict):
        inner = [(key, each) for key, each in value.items()]
    elif isinstance(value, list):
        inner = list(enumerate(value))
    else:
        return []
    return [path for key, each in inner for path in [(*at, key), *_paths(each, (*at, key))]]


def _change(document: Any, path: Path, value: Any) -> None:
    """Put a value at a place; ``None`` takes the place away."""
    *above, last = path
    for key in above:
        document = document[key]
    if value is None:
        del document[last]
    else:
        document[last] = deepcopy(value)
