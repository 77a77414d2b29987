"""Capping and throttling configurations: the latest copy, the deployed copy, and their states.

A capping config that is written changes nothing until it is deployed, and a deployed copy is
replaced at once by the next deployment. A throttling config that is deployed takes an update at
once.

Source: Journey Optimizer, Capping API and Throttling API (life-cycle, error codes);
service/decisions/0021-endpoint-configs.md.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from service.core.errors import ConflictError, InvalidInputError, NotFoundError
from service.core.ids import new_key
from service.core.json import JsonObject
from service.outbound import period_changes
from service.outbound.endpoint_documents import ConfigKind
from service.outbound.endpoint_kinds import RULES, caps_of
from service.outbound.models import EndpointConfig
from service.sandboxes.scope import Scope

CREATED, UPDATED, DEPLOYED = "created", "updated", "deployed"
METADATA = "metadata"
DELETE_OF_DEPLOYED = 1451
_FAMILY = "INPUT_OUTPUT_ERROR"
_DELETE_FORBIDDEN, _ALREADY_DEPLOYED, _NOT_FOUND, _NOT_DEPLOYED = 1456, 14466, 14467, 14468


def create(
    session: Session,
    scope: Scope,
    document: Any,
    *,
    now: datetime,
    kind: ConfigKind = ConfigKind.CAPPING,
    by: str | None = None,
) -> EndpointConfig:
    """Keep a new config, not deployed; ``by`` names its author. The caller commits.

    Raises:
        InvalidInputError: ``fields["errors"]`` lists each ``errorCode`` and ``error``.
    """
    config = EndpointConfig(
        sandbox_id=scope.sandbox_id,
        id=new_key(),
        kind=kind,
        config={**_checked(kind, document), METADATA: _authors(by, "created", "lastModified")},
        state=CREATED,
        created_at=now,
        updated_at=now,
    )
    session.add(config)
    session.flush()
    return config


def get(
    session: Session, scope: Scope, config_id: UUID, *, kind: ConfigKind = ConfigKind.CAPPING
) -> EndpointConfig:
    """Return one config.

    Raises:
        NotFoundError: There is none of this id and kind in the sandbox; a throttling config's
            ``fields["code"]`` is 14467.
    """
    config = session.scalar(_of(scope, kind).where(EndpointConfig.id == config_id))
    if config is not None:
        return config
    if kind is ConfigKind.CAPPING:
        raise NotFoundError(f"There is no endpoint config {config_id}.")
    raise NotFoundError(
        f"throttling config not found: {config_id}", code=_NOT_FOUND, family=_FAMILY
    )


def list_all(
    session: Session, scope: Scope, *, kind: ConfigKind = ConfigKind.CAPPING
) -> tuple[EndpointConfig, ...]:
    """Return every config of a kind, oldest first."""
    return tuple(session.scalars(_of(scope, kind).order_by(EndpointConfig.id)))


def update(
    session: Session,
    scope: Scope,
    config_id: UUID,
    document: Any,
    *,
    now: datetime,
    kind: ConfigKind = ConfigKind.CAPPING,
    by: str | None = None,
) -> EndpointConfig:
    """Overwrite the latest copy; a deployed throttling config's other copy too.

    A deployed capping config's goes on until the next deployment. The caller commits.

    Raises:
        NotFoundError: There is none.
        InvalidInputError: As for ``create``.
    """
    config = get(session, scope, config_id, kind=kind)
    authors = {**config.config.get(METADATA, {}), **_authors(by, "lastModified")}
    config.config = {**_checked(kind, document), METADATA: authors}
    config.updated_at = now
    if kind is ConfigKind.THROTTLING and config.deployed is not None:
        config.deployed = _copy(kind, config.config)
        config.deployed_at = now
    else:
        config.state = UPDATED
    session.flush()
    return config


def deploy(
    session: Session,
    scope: Scope,
    config_id: UUID,
    *,
    now: datetime,
    kind: ConfigKind = ConfigKind.CAPPING,
    by: str | None = None,
) -> EndpointConfig:
    """Make the latest copy hold: at once here, within a directory's life in other processes.

    Starts that were permitted under the copy before keep counting, also for a longer period. The
    caller commits.

    Raises:
        NotFoundError: There is none.
        ConflictError: It is a throttling config and deployed; ``fields["code"]`` is 14466.
    """
    config = get(session, scope, config_id, kind=kind)
    if kind is ConfigKind.THROTTLING and config.deployed is not None:
        raise _conflict(_ALREADY_DEPLOYED, "Can't deploy throttling config: already deployed")
    authors = {**config.config.get(METADATA, {}), **_authors(by, "lastDeployed")}
    config.config = {**config.config, METADATA: authors}
    config.deployed = _copy(kind, config.config)
    config.deployed_at = now
    config.state = DEPLOYED
    session.flush()
    for cap in caps_of(config).values():
        period_changes.stretch(session, scope, cap)
    return config


def undeploy(
    session: Session, scope: Scope, config_id: UUID, *, kind: ConfigKind = ConfigKind.CAPPING
) -> EndpointConfig:
    """Let a config hold no longer; what waits under it goes on under the limits that are left.

    Nothing happens to a capping config that does not hold. The caller commits.

    Raises:
        NotFoundError: There is none.
        ConflictError: It is a throttling config and not deployed; ``fields["code"]`` is 14468.
    """
    config = get(session, scope, config_id, kind=kind)
    if kind is ConfigKind.THROTTLING and config.deployed is None:
        raise _conflict(_NOT_DEPLOYED, "Can't undeploy throttling config: not deployed yet")
    config.deployed = None
    config.deployed_at = None
    config.state = CREATED if config.updated_at == config.created_at else UPDATED
    session.flush()
    return config


def delete(
    session: Session,
    scope: Scope,
    config_id: UUID,
    *,
    is_forced: bool = False,
    kind: ConfigKind = ConfigKind.CAPPING,
) -> None:
    """Remove a config. The caller commits.

    Raises:
        NotFoundError: There is none.
        ConflictError: It is deployed, and the deletion is not forced; ``fields["code"]`` is 1451,
            of a throttling config 1456.
    """
    config = get(session, scope, config_id, kind=kind)
    if config.deployed is not None and not is_forced:
        is_capping = kind is ConfigKind.CAPPING
        raise _conflict(
            DELETE_OF_DEPLOYED if is_capping else _DELETE_FORBIDDEN,
            f"Can't delete a deployed {RULES[kind].noun}. "
            "Undeploy it before deleting it, or use forceDelete.",
        )
    session.delete(config)
    session.flush()


def deployed(session: Session, scope: Scope) -> tuple[EndpointConfig, ...]:
    """Return the configs that hold, of both kinds, oldest first."""
    chosen = select(EndpointConfig).where(
        EndpointConfig.sandbox_id == scope.sandbox_id, EndpointConfig.deployed_at.is_not(None)
    )
    return tuple(session.scalars(chosen.order_by(EndpointConfig.id)))


def _of(scope: Scope, kind: ConfigKind) -> Select[EndpointConfig]:
    return select(EndpointConfig).where(
        EndpointConfig.sandbox_id == scope.sandbox_id, EndpointConfig.kind == kind
    )


def _checked(kind: ConfigKind, document: Any) -> JsonObject:
    rules = RULES[kind]
    problems = rules.problems_of(document)
    if problems:
        raise InvalidInputError(
            f"The {rules.noun} is not valid: {problems[0].message}",
            errors=[{"errorCode": each.code, "error": each.message} for each in problems],
        )
    return rules.normal_config(document)


def _copy(kind: ConfigKind, config: JsonObject) -> JsonObject:
    written = {key: value for key, value in config.items() if key != METADATA}
    return RULES[kind].deployed_copy(written)


def _authors(by: str | None, *did: str) -> JsonObject:
    """Return who did what, under Adobe's names; a client has an id and no other name."""
    if by is None:
        return {}
    return {f"{each}{how}": by for each in did for how in ("By", "ById")}


def _conflict(code: int, said: str) -> ConflictError:
    return ConflictError(said, code=code, family=_FAMILY)
