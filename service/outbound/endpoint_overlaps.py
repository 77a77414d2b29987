"""Whether a config may be deployed, and which others it would share calls with.

Source: Journey Optimizer, ``canDeploy``; service/decisions/0021-endpoint-configs.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.outbound import endpoint_configs
from service.outbound.endpoint_capping import ACTION
from service.outbound.endpoint_documents import ConfigKind, ConfigProblem
from service.outbound.endpoint_kinds import RULES, services_of
from service.outbound.endpoint_patterns import Pattern, parse_pattern
from service.outbound.endpoint_throttling import PERIOD_IN_MS
from service.outbound.models import EndpointConfig
from service.sandboxes.scope import Scope

OVERLAP = {
    ConfigKind.CAPPING: "EDGEPOST_ENDPOINTCONFIG_OVERLAP",
    ConfigKind.THROTTLING: "EDGEPOST_THROTTLING_CONFIG_OVERLAP",
}
CAP_BELOW_THROTTLE = "EDGEPOST_CAP_BELOW_THROTTLE"
CAP_ABOVE_THROTTLE = "EDGEPOST_CAP_ABOVE_THROTTLE"


@dataclass(frozen=True, slots=True)
class CanDeploy:
    """Whether a config may be deployed, and what to know before."""

    errors: tuple[ConfigProblem, ...]
    warnings: tuple[ConfigProblem, ...]

    @property
    def validation_status(self) -> str:
        """``ok`` or ``error``, as Adobe spells it."""
        return "error" if self.errors else "ok"


def can_deploy(
    session: Session, scope: Scope, config_id: UUID, *, kind: ConfigKind = ConfigKind.CAPPING
) -> CanDeploy:
    """Tell what would be wrong or doubtful about deploying.

    Raises:
        NotFoundError: There is none.
    """
    config = endpoint_configs.get(session, scope, config_id, kind=kind)
    rules, latest = RULES[kind], config.config
    others = [each for each in endpoint_configs.deployed(session, scope) if each.id != config_id]
    return CanDeploy(
        rules.problems_of(latest), (*rules.warnings_of(latest), *_overlaps(config, others))
    )


def _overlaps(
    config: EndpointConfig, others: Sequence[EndpointConfig]
) -> tuple[ConfigProblem, ...]:
    pattern = _pattern_of(config, config.config)
    found: list[ConfigProblem] = []
    for other in others:
        copy: Any = other.deployed
        if not _share_callers(config, other, copy):
            continue
        theirs = _pattern_of(other, copy)
        if other.kind != config.kind:
            found += [_about_rates(config, other)] if pattern == theirs else []
        elif pattern.meets(theirs):
            said = f"{_url_of(other, copy)} (uid {other.id}) is deployed and overlaps"
            found.append(ConfigProblem(OVERLAP[ConfigKind(config.kind)], said))
    return tuple(found)


def _share_callers(config: EndpointConfig, other: EndpointConfig, copy: Any) -> bool:
    latest = config.config
    services = services_of(config, latest) & services_of(other, copy)
    return bool(services) and not set(latest["methods"]).isdisjoint(copy["methods"])


def _about_rates(config: EndpointConfig, other: EndpointConfig) -> ConfigProblem:
    """Return what a cap and a throttle on the same pattern do to each other."""
    documents: dict[str, Any] = {config.kind: config.config, other.kind: other.deployed}
    rating = documents[ConfigKind.CAPPING]["services"][ACTION]["rating"]
    throughput = documents[ConfigKind.THROTTLING]["maxThroughput"]
    capped = f"{rating['maxCallsCount']} calls in {rating['periodInMs']} ms"
    both = f"a cap of {capped} and a throttle of {throughput} a second on one pattern"
    is_above = rating["maxCallsCount"] * PERIOD_IN_MS > throughput * rating["periodInMs"]
    if is_above:
        said = f"(uid {other.id}) {both}: the throttle decides, the cap drops nothing but bursts"
        return ConfigProblem(CAP_ABOVE_THROTTLE, said, ACTION)
    said = f"(uid {other.id}) {both}: the cap drops what the throttle would have queued"
    return ConfigProblem(CAP_BELOW_THROTTLE, said, ACTION)


def _pattern_of(config: EndpointConfig, copy: Any) -> Pattern:
    return parse_pattern(_url_of(config, copy))


def _url_of(config: EndpointConfig, copy: Any) -> str:
    url: str = copy[RULES[config.kind].url_key]
    return url
