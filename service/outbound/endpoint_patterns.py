"""URL patterns: what an endpoint config covers, and which of two is the more specific.

``*`` in a path stands for any characters, slashes too. A URL that is looked up may hold ``*`` as
well, where a part of it is known only at the call, its host too; it then stands for many URLs.

Source: Journey Optimizer, Capping API and Throttling API (wildcards); RFC 3986, section 6.2.2.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_WHOLE = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DOTS = frozenset({".", ".."})


@dataclass(frozen=True, slots=True)
class Pattern:
    """URLs under one scheme, host and port; ``*`` stands for any characters."""

    origin: str
    path: str

    @property
    def specificity(self) -> tuple[bool, int]:
        """Return what orders patterns: exact before wildcard, then the literal prefix."""
        return "*" not in self.path, len(self.path.partition("*")[0])

    def covers(self, other: "Pattern") -> bool:
        """Tell whether every URL that the other stands for falls under this one."""
        return _covers(self.origin, other.origin) and _covers(self.path, other.path)

    def meets(self, other: "Pattern") -> bool:
        """Tell whether a URL exists that falls under both."""
        return _meet(self.origin, other.origin) and _meet(self.path, other.path)


def parse_pattern(url: str) -> Pattern:
    """Return a pattern in the form that is compared: RFC 3986's, no default port, no root dot.

    Raises:
        ValueError: It is not an http or https URL, or not only scheme, host, port and path.
    """
    if not _WHOLE.fullmatch(url):
        raise ValueError("not an http or https URL")
    parts = urlsplit(url)
    host, port = (parts.hostname or "").lower().rstrip("."), parts.port
    if not host or "@" in parts.netloc or "?" in url or "#" in url:
        raise ValueError("a pattern is scheme, host, port and path")
    shown = "" if port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{port}"
    name = f"[{host}]" if ":" in host else host
    return Pattern(f"{parts.scheme}://{name}{shown}", _normal_path(parts.path))


@lru_cache(maxsize=4096)
def parse_target(url: str) -> Pattern:
    """Return the URL of a call in the same form; its query does not matter.

    Raises:
        ValueError: It is not an http or https URL.
    """
    return parse_pattern(url.partition("#")[0].partition("?")[0])


def _normal_path(path: str) -> str:
    """Return a path without needless escapes, and without dot segments before any wildcard."""
    decoded = _ESCAPE.sub(_decoded, path) or "/"
    head, star, tail = decoded.partition("*")
    if not star:
        return _without_dots(decoded)
    folder, _, rest = head.rpartition("/")
    return _without_dots(folder + "/") + rest + star + tail


def _without_dots(path: str) -> str:
    segments = path.split("/")
    if _DOTS.isdisjoint(segments):
        return path
    kept: list[str] = []
    for segment in segments[1:]:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in _DOTS:
        kept.append("")
    return "/" + "/".join(kept)


def _decoded(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if character in _UNRESERVED else escape[0].upper()


def _covers(path: str, other: str) -> bool:
    """Tell whether a text covers all that another stands for; in time linear in both.

    A ``*`` of the other's is a character that only a ``*`` of ours can stand for.
    """
    first, *inner = path.split("*")
    if not inner:
        return path == other
    *inner, last = inner
    start, end = len(first), len(other) - len(last)
    if start > end or not other.startswith(first) or not other.endswith(last):
        return False
    for part in inner:
        found = other.find(part, start, end)
        if found < 0:
            return False
        start = found + len(part)
    return True


def _meet(one: str, other: str) -> bool:
    """Tell whether two texts can be the same: two wildcards need but fit at their ends."""
    if "*" not in one:
        return _covers(other, one)
    if "*" not in other:
        return _covers(one, other)
    heads = one.partition("*")[0], other.partition("*")[0]
    tails = one.rpartition("*")[2], other.rpartition("*")[2]
    return _do_fit(*heads, str.startswith) and _do_fit(*tails, str.endswith)


def _do_fit(one: str, other: str, begins: Callable[[str, str], bool]) -> bool:
    return begins(one, other) or begins(other, one)
