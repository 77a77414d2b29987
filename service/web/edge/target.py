"""What an Edge URL and its headers say, read leniently: SDKs join URLs by hand.

Any base path and any location hint is taken. Adobe answers an unknown hint with 404, which makes
a phone lose the hit.

Source: Android ``EdgeNetworkService.buildUrl`` (no part is encoded), iOS ``EdgeNetworkService``,
alloy ``injectSendEdgeNetworkRequest``; Edge Network API, "Interactive data collection".
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote_plus
from wsgiref.types import WSGIEnvironment

from service.web.edge.cors import usable_origin
from service.web.edge.enrichment import NOBODY, Sender, read_sender
from service.web.request_ids import request_id_of

_ACTION = re.compile(
    r".*/(?:v1/(?P<v1>interact|collect|privacy/set-consent|identity/acquire)"
    r"|v2/(?P<v2>interact|collect)"
    r"|va/v1/(?P<media>[A-Za-z]+))",
    re.DOTALL,
)
# Source: Media Edge API, "Getting started", the events that have a path.
MEDIA_EVENTS = (
    *("sessionStart", "sessionComplete", "sessionEnd", "play", "ping", "pauseStart"),
    *("bufferStart", "bitrateChange", "statesUpdate", "error"),
    *("chapterStart", "chapterComplete", "chapterSkip"),
    *("adBreakStart", "adBreakComplete", "adStart", "adComplete", "adSkip"),
)
_MEDIA_PATHS = frozenset(each.lower() for each in MEDIA_EVENTS)
# an app may send to any path of its own under Adobe's base paths
_ADOBES_BASE = re.compile(r"/ee(?:-pre-prd)?/.*", re.DOTALL)
_PARAMETER = re.compile(r"(?:^|&)(configId|data[sS]treamId|requestId|silent)=([^&]*)")


class Action(StrEnum):
    """What a path asks for."""

    INTERACT = "interact"
    COLLECT = "collect"
    SET_CONSENT = "privacy/set-consent"
    ACQUIRE = "identity/acquire"
    MEDIA = "media"


@dataclass(frozen=True, slots=True)
class EdgeTarget:
    """What the URL and the headers say.

    Attributes:
        action: One of ``Action``; ``None`` for what is not served.
        request_id: The client's id of this exchange, or one made for it.
        config_id: The datastream as the URL spells it, without a ``:stage`` or ``:dev`` suffix;
            empty when it names none.
        origin: The page's origin; ``None`` for whoever is no browser.
        media_event: What ``va/v1/`` names, such as ``ping``.
        is_server: A server speaks (``v2``), and proves with a token that it may.
        is_silent: A server wants no answer to what it collected.
        host: Where the request went, as the ``Host`` header spells it.
    """

    action: str | None
    request_id: str
    config_id: str = ""
    origin: str | None = None
    cookie_header: str = field(default="", repr=False)
    media_event: str | None = None
    is_server: bool = False
    is_silent: bool = False
    host: str = ""
    sender: Sender = field(default=NOBODY, repr=False)


def is_edge_path(path: str) -> bool:
    """Tell whether a path belongs to the Edge Network's protocol."""
    return _ACTION.fullmatch(path) is not None or _ADOBES_BASE.fullmatch(path) is not None


def read_target(environ: WSGIEnvironment) -> EdgeTarget:
    """Return what the request line and the headers say. A request id of odd form is replaced."""
    found = _ACTION.fullmatch(environ.get("PATH_INFO", ""))
    v1, v2, media = found.groups() if found else (None, None, None)
    media = media if media and media.lower() in _MEDIA_PATHS else None
    named = dict(_PARAMETER.findall(environ.get("QUERY_STRING", "")))
    datastream = (
        named.get("configId") or named.get("datastreamId") or named.get("dataStreamId") or ""
    )
    return EdgeTarget(
        v1 or v2 or (Action.MEDIA if media else None),
        request_id_of(named.get("requestId"), environ.get("HTTP_X_REQUEST_ID")),
        unquote_plus(datastream).partition(":")[0],
        usable_origin(environ.get("HTTP_ORIGIN")),
        environ.get("HTTP_COOKIE", ""),
        media,
        v2 is not None,
        named.get("silent") == "true",
        environ.get("HTTP_HOST", ""),
        read_sender(environ),
    )
