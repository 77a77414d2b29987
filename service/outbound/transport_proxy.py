"""Targets behind a configured proxy: we resolve, judge and pin them, since the proxy would not."""

import time
from urllib.parse import urlsplit

from service.outbound.egress import AddressGuard, Resolver
from service.outbound.transport import Trouble

_LIFE_NS = 60 * 1_000_000_000
_MOST_KEPT = 256
_PORTS = {"http": 80, "https": 443}


class Pins:
    """The addresses that a proxied lane tells its proxy to connect to, by origin.

    With a pin libcurl asks the proxy for a tunnel to that very address; the name stays in ``Host``
    and in the TLS handshake. A tunnel is asked for http too: in the absolute form a proxy would
    look the name up itself, and might find another address than the one that was judged.

    Source: libcurl, CURLOPT_CONNECT_TO; RFC 9112, 3.2.2.
    """

    def __init__(self, guard: AddressGuard, resolve: Resolver) -> None:
        self._guard = guard
        self._resolve = resolve
        self._known: dict[tuple[str, int], tuple[int, str | Trouble]] = {}

    def find(self, url: str) -> str | Trouble:
        """Return ``::address:port`` for a URL, or why there is none; kept for a minute.

        The pin names no host, so it holds however libcurl spells that. Blocks while a name is
        looked up.
        """
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
        known = self._known.get((host, port))
        now_ns = time.monotonic_ns()
        if known is None or known[0] < now_ns:
            known = now_ns + _LIFE_NS, self._pin(host, port)
            kept = self._known if len(self._known) < _MOST_KEPT else {}
            self._known = {**kept, (host, port): known}
        return known[1]

    def _pin(self, host: str, port: int) -> str | Trouble:
        try:
            addresses = tuple(self._resolve(host))
        except OSError:
            return Trouble.DNS
        allowed = (address for address in addresses if self._guard.refusal(address) is None)
        address = next(allowed, None)
        if address is None:
            return Trouble.ADDRESS_REFUSED
        return f"::{_bracketed(address)}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
