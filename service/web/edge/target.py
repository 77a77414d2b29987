"""What an Edge URL and its headers say, read leniently: SDKs join URLs by hand.

Any base path and any location hint is taken. Adobe answers an unknown hint with 404, which makes
a phone lose the hit.

Source: Android ``EdgeNetworkService.buildUrl`` (no part is encoded), iOS ``EdgeNetworkService``,
alloy ``injectSendEdgeNetworkRequest``.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_plus
from wsgiref.types import WSGIEnvironment

from service.web.edge.cors import usable_origin
from service.web.request_ids import request_id_of

_PATH = re.compile(
    r".*/(?:v1/(?P<action>interact|collect)"
    r"|v1/privacy/set-consent|v1/identity/acquire|v2/(?:interact|collect)|va/v1/[A-Za-z]+)",
    re.DOTALL,
)
_PARAMETER = re.compile(r"(?:^|&)(configId|requestId)=([^&]*)")


@dataclass(frozen=True, slots=True)
class EdgeTarget:
    """What the URL and the headers say.

    Attributes:
        action: ``interact`` or ``collect``; ``None`` for what is not served.
        request_id: The client's id of this exchange, or one made for it.
        config_id: The datastream as the URL spells it, without a ``:stage`` or ``:dev`` suffix;
            empty when it names none.
        origin: The page's origin; ``None`` for whoever is no browser.
    """

    action: str | None
    request_id: str
    config_id: str = ""
    origin: str | None = None
    cookie_header: str = field(default="", repr=False)


def is_edge_path(path: str) -> bool:
    """Tell whether a path belongs to the Edge Network's protocol."""
    return _PATH.fullmatch(path) is not None


def read_target(environ: WSGIEnvironment) -> EdgeTarget:
    """Return what the request line and the headers say. A request id of odd form is replaced."""
    found = _PATH.fullmatch(environ.get("PATH_INFO", ""))
    parameters = dict(_PARAMETER.findall(environ.get("QUERY_STRING", "")))
    config_id = unquote_plus(parameters.get("configId", "")).partition(":")[0]
    return EdgeTarget(
        found["action"] if found else None,
        request_id_of(parameters.get("requestId"), environ.get("HTTP_X_REQUEST_ID")),
        config_id,
        usable_origin(environ.get("HTTP_ORIGIN")),
        environ.get("HTTP_COOKIE", ""),
    )
