"""Who speaks: each client reads answers in its own way.

Source: the ``implementationDetails`` that the SDKs send of themselves.
"""

from enum import StrEnum
from typing import Any

from service.flows.sources import DatastreamSource
from service.web.edge.documents import RequestDocument
from service.web.edge.target import EdgeTarget

_MOBILE_SDK = "https://ns.adobe.com/experience/mobilesdk/"
_ROKU_SDK = _MOBILE_SDK + "roku"
_WEB_SDK = "/alloy"
_ABOUT_LIBRARIES = ("name", "version", "environment")
MAX_DETAIL_LENGTH = 128


class ClientKind(StrEnum):
    """Who speaks."""

    MOBILE = "mobile"
    ROKU = "roku"
    WEB = "web"
    SERVER = "server"


def client_kind(
    document: RequestDocument, source: DatastreamSource, target: EdgeTarget
) -> ClientKind:
    """Tell who speaks: by the library that names itself, else by what only one kind sends.

    A consent of the Mobile SDKs names no library, but of all clients only they ask for framing.
    """
    name = _library_name(document)
    if name.startswith(_ROKU_SDK):
        return ClientKind.ROKU
    if name.startswith(_MOBILE_SDK):
        return ClientKind.MOBILE
    meta = document.meta
    state = meta.state if meta else None
    has_domain = state is not None and state.domain is not None
    if name.endswith(_WEB_SDK) or has_domain or target.origin is not None:
        return ClientKind.WEB
    if meta is not None and meta.konductor_config is not None:
        return ClientKind.MOBILE
    return ClientKind.WEB if source.platform == "web" else ClientKind.SERVER


def library_of(document: RequestDocument) -> dict[str, str] | None:
    """Return what the request says of the library that sent it; Roku may spell it in lower case.

    Only what the SDKs say, and briefly: it is kept with every event.
    """
    own = _details(document)
    if own is None:
        return None
    return {
        name: value
        for name in _ABOUT_LIBRARIES
        if isinstance(value := own.get(name), str) and len(value) <= MAX_DETAIL_LENGTH
    } or None


def _details(document: RequestDocument) -> dict[str, Any] | None:
    xdm = document.xdm
    return (xdm.implementation_details or xdm.implementationdetails) if xdm else None


def _library_name(document: RequestDocument) -> str:
    own = _details(document)
    if own is None or "name" not in own:
        first = document.events[0].xdm if document.events else None
        own = first.get("implementationDetails") if first else None
    name = own.get("name") if isinstance(own, dict) else None
    return name if isinstance(name, str) else ""
