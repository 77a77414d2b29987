"""A throttling configuration as its author wrote it: a URL pattern, methods, calls per second.

What gets no permit waits, six hours unless ``_edgepost`` says otherwise.

Source: Journey Optimizer, Throttling API (payload, ERR_THROTTLING_CONFIG codes);
service/decisions/0021-endpoint-configs.md.
"""

from collections.abc import Mapping
from typing import Any

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

ADOBES_THROUGHPUTS = range(200, 5001)
PERIOD_IN_MS = 1000
INVALID_PAYLOAD = "ERR_THROTTLING_CONFIG_106"
_KEPT = ("name", "description", "urlPattern", "methods", "maxThroughput", "orgId")


def problems_of(document: Any) -> tuple[ConfigProblem, ...]:
    """Return every reason why a document is not a throttling configuration."""
    if not isinstance(document, Mapping):
        return (_problem("106", "A JSON object is expected."),)
    return (
        *_problems_of_url(document.get("urlPattern")),
        *_problems_of_methods(document.get("methods")),
        *_problems_of_throughput(document.get("maxThroughput")),
        *problems_of_own(document.get(OWN), INVALID_PAYLOAD, queues=True),
    )


def warnings_of(config: Mapping[str, Any]) -> tuple[ConfigProblem, ...]:
    """Return what an operator should know before deploying a valid config."""
    throughput = config["maxThroughput"]
    if throughput in ADOBES_THROUGHPUTS:
        return ()
    said = f"maxThroughput {throughput} is outside 200 to 5000, Journey Optimizer's own bounds."
    if throughput >= ADOBES_THROUGHPUTS.stop:
        said += " The built-in cap of 300,000 calls a minute holds too without a capping config."
    return (_problem("101", said),)


def normal_config(document: Mapping[str, Any]) -> JsonObject:
    """Return a valid document's own keys; what Adobe adds to its answers is dropped."""
    kept = {key: document[key] for key in _KEPT if document.get(key) is not None}
    own = document.get(OWN)
    return {**kept, OWN: normal_own(own)} if own else kept


def deployed_copy(config: JsonObject) -> JsonObject:
    """Return the copy that holds: the same."""
    return {**config}


def _problems_of_url(url: Any) -> tuple[ConfigProblem, ...]:
    if url is None or url == "":
        return (_problem("100", "urlPattern required"),)
    if not isinstance(url, str):
        return (_problem("106", "invalid payload: urlPattern must be a text"),)
    if has_wildcard_host(url):
        return (_problem("105", "wildcards not allowed in host part of the url pattern"),)
    try:
        parse_pattern(url)
    except ValueError:
        return (_problem("104", "malformed url pattern: write scheme, host, port and path"),)
    return ()


def _problems_of_methods(methods: Any) -> tuple[ConfigProblem, ...]:
    if methods is None or methods == []:
        return (_problem("100", 'methods required, such as ["POST"]'),)
    return tuple(
        _problem("106", f"invalid payload: {said}") for said in problems_of_methods(methods)
    )


def _problems_of_throughput(throughput: Any) -> tuple[ConfigProblem, ...]:
    if is_whole(throughput, MOST_COUNT):
        return ()
    return (_problem("101", "maxThroughput is required and must be a whole number from 1"),)


def _problem(number: str, message: str) -> ConfigProblem:
    return ConfigProblem(f"ERR_THROTTLING_CONFIG_{number}", f"throttling config: {message}")
