"""The two kinds of endpoint configs side by side: how each is read, and the caps it sets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.core.json import JsonObject
from service.outbound import endpoint_capping, endpoint_throttling
from service.outbound.capping import Cap
from service.outbound.endpoint_documents import ConfigKind, ConfigProblem
from service.outbound.models import EndpointConfig


@dataclass(frozen=True, slots=True)
class KindRules:
    """How the documents of one kind are read.

    ``deployed_copy`` is the form in which a config holds; ``caps_of`` reads that form.
    """

    noun: str
    url_key: str
    problems_of: Callable[[Any], tuple[ConfigProblem, ...]]
    warnings_of: Callable[[Mapping[str, Any]], tuple[ConfigProblem, ...]]
    normal_config: Callable[[Mapping[str, Any]], JsonObject]
    deployed_copy: Callable[[JsonObject], JsonObject]


RULES: Mapping[str, KindRules] = {
    ConfigKind.CAPPING: KindRules(
        "endpoint config",
        "url",
        endpoint_capping.problems_of,
        endpoint_capping.warnings_of,
        endpoint_capping.normal_config,
        endpoint_capping.deployed_copy,
    ),
    ConfigKind.THROTTLING: KindRules(
        "throttling config",
        "urlPattern",
        endpoint_throttling.problems_of,
        endpoint_throttling.warnings_of,
        endpoint_throttling.normal_config,
        endpoint_throttling.deployed_copy,
    ),
}


def caps_of(config: EndpointConfig) -> dict[str, Cap]:
    """Return the caps of a deployed config by service, without headroom; throttling has one."""
    copy: Any = config.deployed
    if config.kind == ConfigKind.THROTTLING:
        cap = Cap(config.id, copy["maxThroughput"], endpoint_throttling.PERIOD_IN_MS)
        return {endpoint_capping.ACTION: cap}
    return {
        name: Cap(
            endpoint_capping.cap_id(config.id, name),
            service["rating"]["maxCallsCount"],
            service["rating"]["periodInMs"],
        )
        for name, service in sorted(copy["services"].items())
    }


def services_of(config: EndpointConfig, copy: Mapping[str, Any]) -> frozenset[str]:
    """Return the services that a copy of a config is about."""
    if config.kind == ConfigKind.THROTTLING:
        return frozenset({endpoint_capping.ACTION})
    return frozenset(copy["services"])
