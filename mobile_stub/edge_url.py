"""The address of one attempt, as each platform joins it, and whether the SDK would use it at all.

Source: Android ``EdgeEndpoint.java`` and ``EdgeNetworkService.buildUrl`` (plain concatenation),
iOS ``EdgeEndpoint.swift`` (``URLComponents``).
"""

import re
from urllib.parse import quote, urlsplit

from mobile_stub.device import Kind

_INTEGRATION = "int"
_PRE_PRODUCTION = "pre-prod"
_INTEGRATION_DOMAIN = "edge-int.adobedc.net"
_IOS_HOST = re.compile(r"[A-Za-z0-9.-]+")
_PATH_SAFE = "/-._~!$&'()*+,;=:@%"
_QUERY_SAFE = "/?-._~!$'()*,;:@%"


def domain_of(domain: str, environment: str) -> str:
    """Return the host the SDK calls; the integration environment does not ask for the app's."""
    return _INTEGRATION_DOMAIN if environment.lower() == _INTEGRATION else domain


def base_path_of(base_path: str, environment: str) -> str:
    """Return the first segment of the path; every unknown environment is production."""
    return "ee-pre-prd" if environment.lower() == _PRE_PRODUCTION else base_path


def joined(kind: Kind, path: str, datastream: str, request_id: str) -> str:
    """Return path and query: Android encodes no part of them, iOS each."""
    if kind is Kind.IOS:
        path = quote(path, safe=_PATH_SAFE)
        datastream = quote(datastream, safe=_QUERY_SAFE)
    return f"/{path}?configId={datastream}&requestId={request_id}"


def is_usable(kind: Kind, domain: str) -> bool:
    """Tell whether ``https://{domain}`` is an address for the SDK; else the hit is dropped.

    On Android a port or a path in the domain works, by accident; iOS takes a bare host only.

    Source: Android ``EdgeHitProcessor`` (the URL must parse and be https).
    """
    if kind is Kind.IOS:
        return _IOS_HOST.fullmatch(domain) is not None
    parts = urlsplit(f"https://{domain}")
    try:
        port = parts.port
    except ValueError:
        return False
    return bool(parts.hostname) and port != 0
