"""A capping configuration as its author wrote it: which URLs it covers and what it allows them.

Source: Journey Optimizer, Capping API (payload, wildcards, ERR_ENDPOINTCONFIG codes). Where Adobe
leaves open which of several configs holds, the most specific pattern decides the rate (exact before
wildcard, then the longest literal prefix, then the latest deployed) and the connection limits of
all that match hold.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from service.core.json import JsonObject

ACTION = "action"
UNLIMITED = -1
MAX_HTTP_CONNECTIONS = 400
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTION", "OPTIONS"})
SERVICES = frozenset({ACTION, "dataSource"})
OVERLAP = "EDGEPOST_ENDPOINTCONFIG_OVERLAP"
_CODE = "ERR_ENDPOINTCONFIG_"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST_PERIOD_MS = 24 * 3600 * 1000
_MAX_COUNT = 2**31 - 1
_WHOLE = re.compile(r"https?://[!-~]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong, or worth a warning, under Adobe's code."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """URLs under one scheme, host and port; ``*`` in the path stands for any characters."""

    origin: str
    path: str

    @property
    def specificity(self) -> tuple[bool, int]:
        """Return what orders patterns: exact before wildcard, then the literal prefix."""
        return "*" not in self.path, len(self.path.partition("*")[0])

    def covers(self, url: str) -> bool:
        """Tell whether a URL falls under it; a query does not matter."""
        target = parse_pattern(url.partition("?")[0])
        return self.origin == target.origin and bool(_regex(self.path).fullmatch(target.path))

    def overlaps(self, other: "Pattern") -> bool:
        """Tell whether one of the two covers what the other spells."""
        return self.origin == other.origin and bool(
            _regex(self.path).fullmatch(other.path) or _regex(other.path).fullmatch(self.path)
        )


def parse_pattern(url: str) -> Pattern:
    """Return a pattern in the form that is compared: lower-case host, no default port.

    Raises:
        ValueError: It is not an http or https URL.
    """
    if not _WHOLE.fullmatch(url):
        raise ValueError("not an http or https URL")
    parts = urlsplit(url)
    host, port = (parts.hostname or "").lower(), parts.port
    if not host or "@" in parts.netloc or "?" in url or "#" in url:
        raise ValueError("a pattern is scheme, host, port and path")
    shown = "" if port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{port}"
    return Pattern(f"{parts.scheme}://{host}{shown}", parts.path or "/")


def problems_of(document: Any) -> tuple[ConfigProblem, ...]:
    """Return every reason why a document is not a capping configuration."""
    if not isinstance(document, Mapping):
        return (_problem("112", "A JSON object is expected."),)
    return (
        *_problems_of_url(document.get("url")),
        *_problems_of_methods(document.get("methods")),
        *_problems_of_services(document.get("services")),
    )


def warnings_of(config: Mapping[str, Any]) -> tuple[ConfigProblem, ...]:
    """Return what an operator should know before deploying a valid config."""
    return tuple(
        _problem("106", f"maxHttpConnections of {name} is not defined: it is unlimited.")
        for name, service in sorted(config["services"].items())
        if service.get("maxHttpConnections", UNLIMITED) == UNLIMITED
    )


def normal_config(document: Mapping[str, Any]) -> JsonObject:
    """Return a valid document's own keys; what Adobe adds to its answers is dropped."""
    kept = ("url", "methods", "services", "orgId", "name", "description")
    return {key: document[key] for key in kept if document.get(key) is not None}


def _problems_of_url(url: Any) -> tuple[ConfigProblem, ...]:
    if not isinstance(url, str) or not url:
        return (_problem("100", "The url is missing."),)
    host = url.partition("://")[2].partition("/")[0]
    if "*" in host:
        return (_problem("102", "A wildcard may stand in the path only, not in host or port."),)
    try:
        parse_pattern(url)
    except ValueError:
        return (_problem("101", "The url is malformed: write scheme, host, port and path."),)
    return ()


def _problems_of_methods(methods: Any) -> tuple[ConfigProblem, ...]:
    if methods is not None and not isinstance(methods, list):
        return (_problem("111", 'methods must be a list of HTTP methods, such as ["POST"].'),)
    if not methods:
        return (_problem("103", 'No HTTP methods are given: list them, such as ["POST"].'),)
    unknown = [each for each in methods if not isinstance(each, str) or each not in METHODS]
    if unknown:
        return (_problem("111", _about_method(unknown[0])),)
    return ()


def _about_method(unknown: Any) -> str:
    return (
        f"{unknown!r} is not an HTTP method that can be capped: use {', '.join(sorted(METHODS))}."
    )


def _problems_of_services(services: Any) -> tuple[ConfigProblem, ...]:
    if not isinstance(services, Mapping) or not services:
        return (_problem("104", "No call rating is given: services.action.rating."),)
    found: list[ConfigProblem] = []
    for name, service in services.items():
        if name not in SERVICES:
            message = f"The service {name!r} is not action or dataSource."
            found.append(ConfigProblem("ERR_AUTHORING_ENDPOINTCONFIG_1", message))
        elif not isinstance(service, Mapping):
            found.append(_problem("111", f"services.{name} must be an object."))
        else:
            found += _problems_of_service(name, service)
    return tuple(found)


def _problems_of_service(name: str, service: Mapping[str, Any]) -> list[ConfigProblem]:
    found: list[ConfigProblem] = []
    connections = service.get("maxHttpConnections", UNLIMITED)
    if connections != UNLIMITED and not _is_whole(connections, MAX_HTTP_CONNECTIONS):
        allowed = f"1 to {MAX_HTTP_CONNECTIONS}, or -1 for unlimited"
        found.append(_problem("111", f"maxHttpConnections of {name} must be {allowed}."))
    rating = service.get("rating")
    if not isinstance(rating, Mapping):
        return [*found, _problem("104", f"services.{name} has no call rating.")]
    if not _is_whole(rating.get("maxCallsCount"), _MAX_COUNT):
        found.append(_problem("107", "maxCallsCount must be a whole number from 1."))
    if not _is_whole(rating.get("periodInMs"), _LONGEST_PERIOD_MS):
        found.append(_problem("108", "periodInMs must be a whole number from 1 to a day's."))
    return found


def _is_whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _problem(number: str, message: str) -> ConfigProblem:
    return ConfigProblem(f"{_CODE}{number}", message)


@lru_cache(maxsize=1024)
def _regex(path: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in path.split("*")), re.DOTALL)
