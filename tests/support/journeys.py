"""Journeys in the store, in one call; a test names only what it is about."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.core.ids import derived_key
from service.flows.ingest import ingest
from service.identity.identity_map import ClaimedIdentity
from service.journeys import lifecycle
from service.journeys.models import JourneyInstance, JourneyVersion
from service.journeys.validation import Known
from service.sandboxes.scope import Scope
from service.segments.evaluation import Cause, MembershipChange, Status
from tests.support.builders import PROD, record, request, source
from tests.support.clocks import START

SEGMENT = derived_key("segment", "shoppers")
ACTION = derived_key("action", "push")
NOW = START + timedelta(days=1)
END: dict[str, Any] = {"id": "done", "type": "end"}


def wait(delay: int | str = 3600, to: str = "done", node_id: str = "rest") -> dict[str, Any]:
    """Return a wait."""
    return {
        "id": node_id,
        "type": "wait",
        "delay": delay,
        "transitions": [{"targetNodeId": to}],
    }


def call(
    to: str = "done",
    on_error: str | None = None,
    node_id: str = "call",
    action: UUID = ACTION,
    **parameters: str,
) -> dict[str, Any]:
    """Return a custom action; keywords are parameters and their expressions."""
    ways: list[dict[str, Any]] = [{"targetNodeId": to}]
    if on_error is not None:
        ways.append({"targetNodeId": on_error, "conditionType": "timeoutOrError"})
    return {
        "id": node_id,
        "type": "custom_action",
        "name": node_id.capitalize(),
        "actionId": str(action),
        "actionName": "push",
        "paramMappings": [
            {"paramPath": path, "expression": text} for path, text in parameters.items()
        ],
        "transitions": ways,
    }


def reaction(
    to: str = "done",
    on_timeout: str = "done",
    *,
    interaction: str = "opened",
    message: str = "call",
    timeout: int | str = "P1D",
    node_id: str = "react",
    **changes: Any,
) -> dict[str, Any]:
    """Return a reaction to the message of a custom action."""
    return {
        "id": node_id,
        "type": "reaction",
        "messageNodeId": message,
        "interaction": interaction,
        "timeout": timeout,
        "transitions": [
            {"targetNodeId": to},
            {"targetNodeId": on_timeout, "conditionType": "timeout"},
        ],
        **changes,
    }


def condition(
    *paths: tuple[str, str], otherwise: str | None = None, node_id: str = "choose"
) -> dict[str, Any]:
    """Return a condition of (expression, target) pairs."""
    ways: list[dict[str, Any]] = [
        {"expression": expression, "targetNodeId": target} for expression, target in paths
    ]
    if otherwise is not None:
        ways.append({"conditionType": "otherwise", "targetNodeId": otherwise})
    return {"id": node_id, "type": "condition", "transitions": ways}


def by_segment(
    *nodes: dict[str, Any],
    segment: UUID = SEGMENT,
    status: str = "realized",
    **changes: Any,
) -> dict[str, Any]:
    """Return a journey that people enter by a segment, first at the first of ``nodes``."""
    entry = {
        "id": "start",
        "type": "audience_qualification",
        "name": "Qualified",
        "segmentId": str(segment),
        "status": status,
    }
    return _document(entry, nodes, changes)


def by_event(*nodes: dict[str, Any], event_id: str = "order", **changes: Any) -> dict[str, Any]:
    """Return a journey that people enter by an event."""
    return _document({"id": "start", "type": "unitary", "eventID": event_id}, nodes, changes)


def _document(
    entry: dict[str, Any],
    nodes: tuple[dict[str, Any], ...],
    changes: dict[str, Any],
) -> dict[str, Any]:
    after = nodes or (wait(),)
    entry["transitions"] = [{"targetNodeId": after[0]["id"]}]
    defaults = {
        "name": "Welcome",
        "identityNamespace": "CRMID",
        "nodes": [entry, *after, *([] if END in after else [END])],
    }
    return {**defaults, **changes}


def accept(_expression: str) -> None:
    """Accept every expression."""


def known_to(document: dict[str, Any]) -> Known:
    """Return a sandbox in which everything the document names exists."""
    return Known(
        segment_ids=frozenset(node.get("segmentId", "") for node in document["nodes"]),
        action_ids=frozenset(node.get("actionId", "") for node in document["nodes"]),
        namespaces=frozenset({"CRMID", "ECID", "Email"}),
    )


def published(
    session: Session,
    document: dict[str, Any],
    *,
    scope: Scope = PROD,
    now: datetime = START,
) -> JourneyVersion:
    """Create a journey and publish it."""
    draft = lifecycle.create(session, scope, document, now=now)
    return lifecycle.publish(
        session, scope, draft.journey_id, known_to(document), accept, now=now
    ).version


def known_people(
    session: Session,
    *people: ClaimedIdentity,
    scope: Scope = PROD,
    **attributes: Any,
) -> None:
    """Import profiles, each under its own identity, with the same attributes."""
    inlet = source("inlet", scope=scope)
    ingest(
        session,
        [request(records=(record(each, **attributes),), source_=inlet) for each in people],
        now=NOW - timedelta(minutes=1),
    )


def qualified(
    *people: ClaimedIdentity,
    segment: UUID = SEGMENT,
    status: Status = Status.REALIZED,
) -> list[MembershipChange]:
    """Return what evaluation says when people, whose profiles hang on these, change."""
    return [MembershipChange(segment, each.key, status, None, Cause.EVENT) for each in people]


def instances_of(session: Session, scope: Scope = PROD) -> list[JourneyInstance]:
    """Return every instance, oldest first."""
    chosen = select(JourneyInstance).where(JourneyInstance.sandbox_id == scope.sandbox_id)
    ordered = chosen.order_by(JourneyInstance.entered_at, JourneyInstance.id)
    return list(session.scalars(ordered.execution_options(populate_existing=True)))
