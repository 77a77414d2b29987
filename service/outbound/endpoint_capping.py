"""A capping configuration as its author wrote it: a URL, methods, and the rate of each service.

Source: Journey Optimizer, Capping API (payload, ERR_ENDPOINTCONFIG codes);
service/decisions/0021-endpoint-configs.md.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.core.ids import derived_key
from service.core.json import JsonObject
from service.outbound.endpoint_documents import (
    MOST_COUNT,
    OWN,
    ConfigProblem,
    has_wildcard_host,
    is_whole,
    normal_own,
    problems_of_methods,
    problems_of_own,
)
from service.outbound.endpoint_patterns import parse_pattern

ACTION, DATA_SOURCE = "action", "dataSource"
SERVICES = frozenset({ACTION, DATA_SOURCE})
UNLIMITED = -1
MAX_HTTP_CONNECTIONS = 400
INVALID_PAYLOAD = "ERR_ENDPOINTCONFIG_111"
_LONGEST_PERIOD_MS = 24 * 3600 * 1000
_KEPT = ("url", "methods", "services", "orgId", "name", "description")


def problems_of(document: Any) -> tuple[ConfigProblem, ...]:
    """Return every reason why a document is not a capping configuration."""
    if not isinstance(document, Mapping):
        return (_problem("112", "A JSON object is expected."),)
    return (
        *_problems_of_url(document.get("url")),
        *_problems_of_methods(document.get("methods")),
        *_problems_of_services(document.get("services")),
        *problems_of_own(document.get(OWN), INVALID_PAYLOAD, queues=False),
    )


def warnings_of(config: Mapping[str, Any]) -> tuple[ConfigProblem, ...]:
    """Return what an operator should know before deploying a valid config."""
    return tuple(
        _problem("106", f"maxHttpConnections of {name} is not defined: it is unlimited.", name)
        for name, service in sorted(config["services"].items())
        if service.get("maxHttpConnections", UNLIMITED) == UNLIMITED
    )


def normal_config(document: Mapping[str, Any]) -> JsonObject:
    """Return a valid document's own keys; what Adobe adds to its answers is dropped."""
    kept = {key: document[key] for key in _KEPT if document.get(key) is not None}
    own = document.get(OWN)
    return {**kept, OWN: normal_own(own)} if own else kept


def deployed_copy(config: JsonObject) -> JsonObject:
    """Return the copy that holds, in which unlimited connections are spelled out."""
    services = {
        name: {"maxHttpConnections": UNLIMITED, **service}
        for name, service in config["services"].items()
    }
    return {**config, "services": services}


def cap_id(config_id: UUID, service: str) -> UUID:
    """Return the id under which a service's calls are counted; an action's is the config's own."""
    return config_id if service == ACTION else derived_key(str(config_id), service)


def _problems_of_url(url: Any) -> tuple[ConfigProblem, ...]:
    if not isinstance(url, str) or not url:
        return (_problem("100", "The url is missing."),)
    if has_wildcard_host(url):
        return (_problem("102", "A wildcard may stand in the path only, not in host or port."),)
    try:
        parse_pattern(url)
    except ValueError:
        return (_problem("101", "The url is malformed: write scheme, host, port and path."),)
    return ()


def _problems_of_methods(methods: Any) -> tuple[ConfigProblem, ...]:
    if methods is None or methods == []:
        return (_problem("103", 'No HTTP methods are given: list them, such as ["POST"].'),)
    return tuple(_problem("111", said) for said in problems_of_methods(methods))


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
    if connections != UNLIMITED and not is_whole(connections, MAX_HTTP_CONNECTIONS):
        allowed = f"1 to {MAX_HTTP_CONNECTIONS}, or -1 for unlimited"
        found.append(_problem("111", f"maxHttpConnections of {name} must be {allowed}."))
    rating = service.get("rating")
    if not isinstance(rating, Mapping):
        return [*found, _problem("104", f"services.{name} has no call rating.")]
    if not is_whole(rating.get("maxCallsCount"), MOST_COUNT):
        found.append(_problem("107", "maxCallsCount must be a whole number from 1."))
    if not is_whole(rating.get("periodInMs"), _LONGEST_PERIOD_MS):
        found.append(_problem("108", "periodInMs must be a whole number from 1 to a day's."))
    return found


def _problem(number: str, message: str, service: str | None = None) -> ConfigProblem:
    return ConfigProblem(f"ERR_ENDPOINTCONFIG_{number}", message, service)
