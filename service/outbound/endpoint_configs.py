"""Capping configurations: the latest copy, the deployed copy, and the limits that hold for a URL.

What is written changes nothing until it is deployed; a deployed copy is replaced at once by the
next deployment.

Source: Journey Optimizer, Capping API.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from service.core.errors import ConflictError, InvalidInputError, NotFoundError
from service.core.ids import new_key
from service.core.json import JsonObject
from service.outbound import period_changes
from service.outbound.capping import Cap
from service.outbound.endpoint_patterns import (
    ACTION,
    OVERLAP,
    UNLIMITED,
    ConfigProblem,
    normal_config,
    parse_pattern,
    problems_of,
    warnings_of,
)
from service.outbound.models import EndpointConfig
from service.sandboxes.scope import Scope

CREATED, UPDATED, DEPLOYED = "created", "updated", "deployed"
DELETE_OF_DEPLOYED = 1451


@dataclass(frozen=True, slots=True)
class CanDeploy:
    """Whether a config may be deployed, and what to know before."""

    errors: tuple[ConfigProblem, ...]
    warnings: tuple[ConfigProblem, ...]

    @property
    def validation_status(self) -> str:
        """``ok`` or ``error``, as Adobe spells it."""
        return "error" if self.errors else "ok"


def create(session: Session, scope: Scope, document: Any, *, now: datetime) -> EndpointConfig:
    """Keep a new config, not deployed. The caller commits.

    Raises:
        InvalidInputError: ``fields["errors"]`` lists each ``errorCode`` and ``error``.
    """
    config = EndpointConfig(
        sandbox_id=scope.sandbox_id,
        id=new_key(),
        config=_checked(document),
        state=CREATED,
        created_at=now,
        updated_at=now,
    )
    session.add(config)
    session.flush()
    return config


def get(session: Session, scope: Scope, config_id: UUID) -> EndpointConfig:
    """Return one config.

    Raises:
        NotFoundError: There is none of this id in the sandbox.
    """
    chosen = _of(scope).where(EndpointConfig.id == config_id)
    config = session.scalar(chosen)
    if config is None:
        raise NotFoundError(f"There is no endpoint config {config_id}.")
    return config


def list_all(session: Session, scope: Scope) -> tuple[EndpointConfig, ...]:
    """Return every config, oldest first."""
    return tuple(session.scalars(_of(scope).order_by(EndpointConfig.id)))


def update(
    session: Session, scope: Scope, config_id: UUID, document: Any, *, now: datetime
) -> EndpointConfig:
    """Overwrite the latest copy; a deployed one goes on until the next deployment.

    Raises:
        NotFoundError: There is none.
        InvalidInputError: As for ``create``.
    """
    config = get(session, scope, config_id)
    config.config = _checked(document)
    config.state = UPDATED
    config.updated_at = now
    session.flush()
    return config


def can_deploy(session: Session, scope: Scope, config_id: UUID) -> CanDeploy:
    """Tell what would be wrong or doubtful about deploying.

    Raises:
        NotFoundError: There is none.
    """
    config = get(session, scope, config_id)
    overlaps = tuple(
        ConfigProblem(OVERLAP, f"{other.deployed['url']} (uid {other.id}) is deployed and overlaps")
        for other in _deployed(session, scope)
        if other.id != config.id and other.deployed and _do_overlap(config.config, other.deployed)
    )
    return CanDeploy(problems_of(config.config), (*warnings_of(config.config), *overlaps))


def deploy(session: Session, scope: Scope, config_id: UUID, *, now: datetime) -> EndpointConfig:
    """Make the latest copy hold: at once here, within a directory's life in other processes.

    Starts that were permitted under the copy before keep counting, also for a longer period. The
    caller commits.

    Raises:
        NotFoundError: There is none.
    """
    config = get(session, scope, config_id)
    config.deployed = _with_unlimited(config.config)
    config.deployed_at = now
    config.state = DEPLOYED
    session.flush()
    if ACTION in config.deployed["services"]:  # type: ignore[operator]
        period_changes.stretch(session, scope, cap_of(config))
    return config


def undeploy(session: Session, scope: Scope, config_id: UUID) -> EndpointConfig:
    """Let a config hold no longer; nothing happens when it does not. The caller commits.

    Raises:
        NotFoundError: There is none.
    """
    config = get(session, scope, config_id)
    config.deployed = None
    config.deployed_at = None
    config.state = CREATED if config.updated_at == config.created_at else UPDATED
    session.flush()
    return config


def delete(session: Session, scope: Scope, config_id: UUID, *, is_forced: bool = False) -> None:
    """Remove a config. The caller commits.

    Raises:
        NotFoundError: There is none.
        ConflictError: It is deployed, and the deletion is not forced; ``fields["code"]`` is 1451.
    """
    config = get(session, scope, config_id)
    if config.deployed is not None and not is_forced:
        raise ConflictError(
            "Can't delete a deployed endpoint config. Undeploy it, or use forceDelete.",
            code=DELETE_OF_DEPLOYED,
            family="INPUT_OUTPUT_ERROR",
        )
    session.delete(config)
    session.flush()


def deployed(session: Session, scope: Scope) -> tuple[EndpointConfig, ...]:
    """Return the configs that hold."""
    return tuple(_deployed(session, scope))


def cap_of(config: EndpointConfig) -> Cap:
    """Return the cap of a deployed config's actions, without headroom."""
    copy: Any = config.deployed
    rating = copy["services"][ACTION]["rating"]
    return Cap(config.id, rating["maxCallsCount"], rating["periodInMs"])


def _of(scope: Scope) -> Select[EndpointConfig]:
    return select(EndpointConfig).where(EndpointConfig.sandbox_id == scope.sandbox_id)


def _deployed(session: Session, scope: Scope) -> list[EndpointConfig]:
    found = session.scalars(_of(scope).order_by(EndpointConfig.id))
    return [config for config in found if config.deployed is not None]


def _checked(document: Any) -> JsonObject:
    problems = problems_of(document)
    if problems:
        raise InvalidInputError(
            f"The endpoint config is not valid: {problems[0].message}",
            errors=[{"errorCode": each.code, "error": each.message} for each in problems],
        )
    return normal_config(document)


def _do_overlap(one: Any, other: Any) -> bool:
    return (
        not set(one["methods"]).isdisjoint(other["methods"])
        and not set(one["services"]).isdisjoint(other["services"])
        and parse_pattern(one["url"]).overlaps(parse_pattern(other["url"]))
    )


def _with_unlimited(config: JsonObject) -> JsonObject:
    services = {
        name: {"maxHttpConnections": UNLIMITED, **service}
        for name, service in config["services"].items()
    }
    return {**config, "services": services}
