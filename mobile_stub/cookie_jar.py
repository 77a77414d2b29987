"""The cookies of one browser: which a page can read, and which travel to which host.

Every page and every host is taken as https. Sites are told apart by their last two labels.

Source: RFC 6265bis; Fetch standard (``credentials: include``).
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.cookies import CookieError, SimpleCookie

_LABELS_OF_A_SITE = 2


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie. ``expires_at`` of ``None`` means until the browser is closed."""

    name: str
    value: str
    domain: str
    is_host_only: bool = False
    expires_at: datetime | None = None
    is_http_only: bool = False
    same_site: str = "lax"
    is_secure: bool = False

    def belongs_to(self, host: str) -> bool:
        """Tell whether the cookie is one of a host."""
        return host == self.domain or (not self.is_host_only and host.endswith(f".{self.domain}"))


def site_of(host: str) -> str:
    """Return the apex domain of a host; empty for localhost and addresses, as alloy finds it."""
    labels = host.partition(":")[0].split(".")
    if len(labels) < _LABELS_OF_A_SITE or labels[-1].isdecimal():
        return ""
    return ".".join(labels[-_LABELS_OF_A_SITE:])


class CookieJar:
    """All cookies of a browser, shared by its pages. Several threads may use it."""

    def __init__(
        self,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        takes_third_party: bool = True,
    ) -> None:
        self._clock = clock
        self._takes_third_party = takes_third_party
        self._cookies: dict[tuple[str, str], Cookie] = {}
        self._lock = threading.Lock()

    def put(self, cookie: Cookie) -> None:
        """Keep a cookie in place of its namesake, or forget it when it has expired.

        ``SameSite=None`` without ``Secure`` is thrown away, as browsers do.
        """
        if cookie.same_site == "none" and not cookie.is_secure:
            return
        with self._lock:
            self._cookies.pop((cookie.domain, cookie.name), None)
            if cookie.expires_at is None or cookie.expires_at > self._clock():
                self._cookies[cookie.domain, cookie.name] = cookie

    def remove(self, name: str, host: str) -> None:
        """Forget the cookies of a name that a host has."""
        with self._lock:
            for key, cookie in tuple(self._cookies.items()):
                if cookie.name == name and cookie.belongs_to(host):
                    del self._cookies[key]

    def take(self, headers: Iterable[str], host: str, page_host: str) -> None:
        """Keep what ``Set-Cookie`` headers of a host say, asked by a page."""
        is_foreign = site_of(host) != site_of(page_host)
        for header in headers:
            cookie = _read(header, host, self._clock())
            if cookie is not None and (not is_foreign or self._may_be_foreign(cookie)):
                self.put(cookie)

    def readable(self, page_host: str) -> dict[str, str]:
        """Return what ``document.cookie`` shows to a page."""
        return {each.name: each.value for each in self._of(page_host) if not each.is_http_only}

    def travelling(self, host: str, page_host: str) -> str:
        """Return the ``Cookie`` header of a request to a host; empty when there is none."""
        is_foreign = site_of(host) != site_of(page_host)
        found = [each for each in self._of(host) if not is_foreign or self._may_be_foreign(each)]
        return "; ".join(f"{each.name}={each.value}" for each in found)

    def _may_be_foreign(self, cookie: Cookie) -> bool:
        return self._takes_third_party and cookie.same_site == "none"

    def _of(self, host: str) -> list[Cookie]:
        now = self._clock()
        with self._lock:
            cookies = tuple(self._cookies.values())
        return [
            each
            for each in cookies
            if each.belongs_to(host) and (each.expires_at is None or each.expires_at > now)
        ]


def _read(header: str, host: str, now: datetime) -> Cookie | None:
    """Return the cookie of one header; ``None`` for one that the host may not set."""
    try:
        parsed = SimpleCookie(header)
    except CookieError:
        return None
    if len(parsed) != 1:
        return None
    ((name, morsel),) = parsed.items()
    domain = morsel["domain"].lower().removeprefix(".")
    if domain and not (host == domain or host.endswith(f".{domain}")):
        return None
    if domain and "." not in domain:
        return None
    max_age = morsel["max-age"]
    return Cookie(
        name=name,
        value=morsel.coded_value,
        domain=domain or host,
        is_host_only=not domain,
        expires_at=now + timedelta(seconds=int(max_age)) if max_age else None,
        is_http_only=bool(morsel["httponly"]),
        same_site=morsel["samesite"].lower() or "lax",
        is_secure=bool(morsel["secure"]),
    )
