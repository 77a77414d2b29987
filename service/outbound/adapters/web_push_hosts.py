"""Which hosts a browser's subscription may send us to.

The endpoint of a subscription is an address that a stranger supplied. Whatever host it names, only
the push services of the browsers are called, unless the action names others.

Source: RFC 8030, section 8; the browsers' own push services.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from service.core.errors import InvalidInputError
from service.outbound.egress import AddressGuard, Resolver

PUSH_HOSTS: Final = (
    "fcm.googleapis.com",
    "jmt17.google.com",
    "updates.push.services.mozilla.com",
    "*.push.apple.com",
    "*.notify.windows.com",
)
_AT: Final = "settings.pushHosts"
_MOST: Final = 50
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_ANY: Final = "*."


def hosts_of(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the hosts that an action may call, with a port where it is not 443."""
    return tuple(settings.get("pushHosts", PUSH_HOSTS))


def check(
    settings: Mapping[str, Any], guard: AddressGuard, resolve: Resolver | None = None
) -> None:
    """Refuse at save time hosts that could never be called, or that are not spelled as hosts.

    Raises:
        InvalidInputError: There is one; or none at all, or too many.
    """
    hosts = settings.get("pushHosts", PUSH_HOSTS)
    if not isinstance(hosts, list | tuple) or not 0 < len(hosts) <= _MOST:
        raise InvalidInputError(f"{_AT} must be a list of 1 to {_MOST} hosts.", at=_AT)
    for host in hosts:
        name = host.removeprefix(_ANY) if isinstance(host, str) else ""
        is_any = name != host
        if not _NAME.fullmatch(name) or (is_any and "." not in name.strip(".")):
            raise InvalidInputError(
                f"{_AT} holds hosts such as push.example.com, push.example.com:8443 or "
                "*.push.example.com.",
                at=_AT,
            )
        guard.check_url(f"https://{name}/", None if is_any else resolve)


def is_allowed(endpoint: str, hosts: Iterable[str]) -> bool:
    """Tell whether an endpoint is one of the hosts'; its scheme is https already."""
    place = _place(endpoint)
    return any(
        place.endswith(_place(f"https://{host[1:]}"))
        if host.startswith(_ANY)
        else place == _place(f"https://{host}")
        for host in hosts
    )


def target_of(hosts: tuple[str, ...]) -> str:
    """Return where an action with these hosts calls; ``*`` stands for what varies."""
    (first, *others) = hosts
    return "https://*/*" if others or first.startswith(_ANY) else f"https://{first}/*"


def is_windows(endpoint: str) -> bool:
    """Tell whether an endpoint is of the Windows Push Notification Services."""
    return is_allowed(endpoint, ("*.notify.windows.com",))


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{(parts.hostname or '').rstrip('.')}:{parts.port or 443}"
