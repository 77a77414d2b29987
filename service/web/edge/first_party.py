"""Cookies that the answer sets itself, where page and endpoint share a domain.

The Web SDK reads ``document.cookie``, so these are the same names and values that it would set
from ``state:store``, and never ``HttpOnly``. A cookie that a server sets outlives the seven days
to which browsers cut those that a script sets.

Source: alloy ``createCookieTransfer``, ``apexDomain``; RFC 6265, section 5.3.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from service.web.answers import Headers
from service.web.edge.documents import StateDocument
from service.web.edge.target import EdgeTarget

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?")
_COOKIE = re.compile(r"[A-Za-z0-9_.-]+=[A-Za-z0-9+/=_.-]*")


@dataclass(frozen=True, slots=True)
class KeptValue:
    """One value that the client keeps for the server; a ``max_age_s`` of 0 deletes it."""

    key: str
    value: str
    max_age_s: int


def cookie_domain(target: EdgeTarget, state: StateDocument | None) -> str | None:
    """Return the apex domain under which cookies travel; ``None`` when they do not.

    The page claims its domain. It is believed when the endpoint's host and the page's origin are
    both under it, so no page can set cookies for a site other than its own.
    """
    if state is None or not state.domain or state.entries or state.cookies_enabled is False:
        return None
    domain = state.domain.lower()
    if len(domain) > 253 or not _DOMAIN.fullmatch(domain):  # noqa: PLR2004 - RFC 1035
        return None
    hosts = (target.host.partition(":")[0].lower(), _host_of(target.origin))
    return domain if all(_is_under(host, domain) for host in hosts) else None


def set_cookies(values: Iterable[KeptValue], domain: str) -> Headers:
    """Return the ``Set-Cookie`` headers for what the client is to keep."""
    pairs = [(each, f"{each.key}={each.value}") for each in values]
    return tuple(
        (
            "Set-Cookie",
            f"{pair}; Domain={domain}; Path=/; Max-Age={each.max_age_s}; Secure; SameSite=None",
        )
        for each, pair in pairs
        if _COOKIE.fullmatch(pair)
    )


def _is_under(host: str, domain: str) -> bool:
    return host == domain or host.endswith("." + domain)


def _host_of(origin: str | None) -> str:
    return (origin or "").partition("://")[2].partition(":")[0].lower()
