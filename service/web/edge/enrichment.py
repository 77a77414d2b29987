"""What the server sees of a sender and keeps with each event, where the event says nothing itself.

| what | where in the event's XDM |
|---|---|
| the library that sent it | ``implementationDetails`` (the request's own) |
| ``User-Agent`` | ``environment.browserDetails.userAgent`` |
| ``Accept-Language`` | ``environment.browserDetails.acceptLanguage`` |
| the address, as far as the datastream lets it be kept | ``environment.ipV4`` or ``ipV6`` |
| how long the page held the request back | ``_edgepost.queueTimeMillis``; XDM has no place for it |

Nothing of this is ever logged.

Source: XDM ``environment``, ``browserdetails``, ``implementationdetails``; Adobe Experience
Platform, "Configure a datastream", IP obfuscation.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from wsgiref.types import WSGIEnvironment

from service.catalog.datastream_settings import IpObfuscation

MAX_HEADER_LENGTH = 512
MAX_QUEUE_MS = 300_000
_KEPT_BITS = {4: 24, 6: 48}

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Sender:
    """What the headers and the connection say of who sent a request.

    Attributes:
        peer: The address at the other end of the connection.
        forwarded: ``X-Forwarded-For``, which counts only when a proxy is at the other end.
    """

    user_agent: str = ""
    languages: str = ""
    peer: str = field(default="", repr=False)
    forwarded: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Additions:
    """What is added to each event of a request; ``None`` and empty add nothing."""

    library: dict[str, str] | None = None
    browser: dict[str, str] = field(default_factory=dict)
    network: dict[str, str] = field(default_factory=dict)
    queue_ms: int | None = None


NOBODY = Sender()


def read_sender(environ: WSGIEnvironment) -> Sender:
    """Return who sent a request."""
    return Sender(
        environ.get("HTTP_USER_AGENT", ""),
        environ.get("HTTP_ACCEPT_LANGUAGE", ""),
        environ.get("REMOTE_ADDR", ""),
        environ.get("HTTP_X_FORWARDED_FOR", ""),
    )


def additions(
    sender: Sender,
    obfuscation: IpObfuscation,
    library: dict[str, str] | None,
    queue_ms: float | None,
) -> Additions:
    """Return what a request's events are to be told of their sender."""
    browser = {}
    if _is_usable(sender.user_agent):
        browser["userAgent"] = sender.user_agent
    if _is_usable(sender.languages):
        browser["acceptLanguage"] = sender.languages
    network = {} if obfuscation is IpObfuscation.FULL else _network(sender, obfuscation)
    waited = round(queue_ms) if queue_ms is not None and 0 < queue_ms <= MAX_QUEUE_MS else None
    return Additions(library, browser, network, waited)


def enrich(xdm: dict[str, Any], added: Additions) -> None:
    """Put into an event what it does not say itself; what it says, right or wrong, stays."""
    if added.library is not None:
        xdm.setdefault("implementationDetails", added.library)
    if added.browser or added.network:
        environment = xdm.setdefault("environment", {})
        if isinstance(environment, dict):
            _fill(environment, added.network)
            if added.browser:
                _fill(environment.setdefault("browserDetails", {}), added.browser)
    if added.queue_ms is not None:
        _fill(xdm.setdefault("_edgepost", {}), {"queueTimeMillis": added.queue_ms})


def kept_address(sender: Sender, obfuscation: IpObfuscation) -> Address | None:
    """Return the sender's address as far as it may be kept.

    A peer with a private address is a proxy: then the last address of ``X-Forwarded-For`` counts,
    which is the one that the proxy itself has seen. Partly kept are the first three parts of an
    IPv4 address and the first 48 bits of an IPv6 address.
    """
    address = _address(sender.peer)
    if address is not None and address.is_private:
        address = _address(sender.forwarded.rpartition(",")[2]) or address
    if address is None or obfuscation is IpObfuscation.FULL:
        return None
    if obfuscation is IpObfuscation.NONE:
        return address
    bits = _KEPT_BITS[address.version]
    return ip_network(f"{address}/{bits}", strict=False).network_address


def _network(sender: Sender, obfuscation: IpObfuscation) -> dict[str, str]:
    address = kept_address(sender, obfuscation)
    return {} if address is None else {f"ipV{address.version}": str(address)}


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _fill(target: Any, found: dict[str, Any]) -> None:
    if isinstance(target, dict):
        for name, value in found.items():
            target.setdefault(name, value)


def _is_usable(header: str) -> bool:
    return 0 < len(header) <= MAX_HEADER_LENGTH and header.isprintable()
