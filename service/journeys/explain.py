"""One person and one journey: every gate in order, with the values it saw.

A line is ``recorded`` when it was written as it happened, ``evaluatedNow`` when it was asked for
this answer, and ``notKept`` where nothing tells any more: nothing here guesses. These functions are
pure; ``flows.explain_journey`` reads the rows.
Source: Journey Optimizer, reasons why a profile does not enter; gates of ``entry_gates``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from service.audit.models import GateTrace
from service.core.json import JsonObject
from service.journeys.definitions import Qualification
from service.journeys.models import JourneyInstance, JourneyVersion, StepEvent
from service.journeys.versions import VersionState
from service.outbound.models import Delivery, DeliveryAttempt, DeliveryInteraction
from service.segments.models import SegmentMembershipInterval


class Basis(StrEnum):
    """How a line is known."""

    RECORDED = "recorded"
    EVALUATED_NOW = "evaluatedNow"
    NOT_KEPT = "notKept"


class Asked(StrEnum):
    """The gates of an explanation beside those that left traces."""

    IDENTITY = "identity"
    VERSION_LIVE = "versionLive"
    NAMESPACE = "namespace"
    IN_SEGMENT = "inSegment"
    QUALIFIED = "qualified"
    EVENT = "event"
    ENTERED = "entered"
    STEP = "step"
    DELIVERY = "delivery"
    ATTEMPT = "attempt"
    INTERACTION = "interaction"


@dataclass(frozen=True, slots=True)
class Line:
    """One gate, passed or not.

    Attributes:
        passed: ``None`` where that cannot be said: something still waits, or is not kept.
        reason: A constant code; why it did not pass, or how it did.
        seen: The values it saw; never a token, a secret or a body.
        at: When it happened; ``None`` for what was evaluated now.
    """

    gate: str
    passed: bool | None
    basis: Basis
    reason: str | None = None
    seen: JsonObject = field(default_factory=dict)
    at: datetime | None = None
    instance_id: UUID | None = None
    node_id: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery, its attempts, and what was done with the message."""

    delivery: Delivery
    attempts: Sequence[DeliveryAttempt]
    interactions: Sequence[DeliveryInteraction] = ()


def version_line(version: JourneyVersion) -> Line:
    """Return whether people can enter the version that decides."""
    seen = {
        "version": version.version,
        "state": version.state,
        "publishedAt": version.published_at,
        "endedAt": version.ended_at,
    }
    is_live = version.state == VersionState.LIVE
    reason = None if is_live else "notLive"
    return Line(Asked.VERSION_LIVE, is_live, Basis.EVALUATED_NOW, reason, _known(seen))


def qualification_line(
    version: JourneyVersion,
    stays: Sequence[SegmentMembershipInterval],
) -> Line:
    """Return whether the person's membership ever changed as the live version waits for.

    ``stays`` are those of the person in the journey's segment, oldest first.
    """
    changes = sorted(_changes(stays, version.entry_status), key=lambda change: change[0])
    wanted = {"segmentId": version.entry_ref, "entersOn": version.entry_status}
    since = version.published_at
    if not changes:
        return Line(
            Asked.QUALIFIED,
            passed=False,
            basis=Basis.RECORDED,
            reason="neverQualified",
            seen=wanted,
        )
    at, seen = changes[-1]
    passed = since is not None and at >= since
    reason = None if passed else "qualifiedBeforePublish"
    return Line(
        Asked.QUALIFIED,
        passed,
        Basis.RECORDED,
        reason,
        _known({**wanted, **seen, "publishedAt": since}),
        at,
    )


def event_line(event_id: str, seen: JsonObject | None, at: datetime | None) -> Line:
    """Return whether an event for the journey is stored; events are removed after retention."""
    wanted = {"eventID": event_id}
    if seen is None:
        return Line(Asked.EVENT, None, Basis.NOT_KEPT, "noEventStored", wanted)
    return Line(Asked.EVENT, passed=True, basis=Basis.RECORDED, seen={**wanted, **seen}, at=at)


def entry_lines(
    traces: Iterable[GateTrace],
    instances: Sequence[JourneyInstance],
) -> Iterator[Line]:
    """Yield every refusal at the door, and whether anybody came in at all."""
    refused = [each for each in traces if each.instance_id is None]
    yield from (_of_trace(each) for each in refused)
    if not instances:
        reason = "refused" if refused else "nothingRecorded"
        basis = Basis.RECORDED if refused else Basis.NOT_KEPT
        yield Line(Asked.ENTERED, passed=False, basis=basis, reason=reason)


def instance_lines(
    instance: JourneyInstance,
    version: int | None,
    steps: Sequence[StepEvent],
    sent: Mapping[UUID, Sent],
    traces: Iterable[GateTrace],
) -> Iterator[Line]:
    """Yield one run: the entrance, its steps, and after each dispatch what became of it."""
    seen = {"version": version, "status": instance.status, "endedAt": instance.ended_at}
    yield Line(
        Asked.ENTERED,
        passed=True,
        basis=Basis.RECORDED,
        seen=_known(seen),
        at=instance.entered_at,
        instance_id=instance.id,
    )
    mine = [each for each in traces if each.instance_id == instance.id]
    told: set[UUID] = set()
    for step in steps:
        yield _of_step(step)
        if step.kind == "dispatch" and step.delivery_id is not None:
            of_node = [each for each in mine if each.node_id == step.node_id]
            told |= {each.id for each in of_node}
            yield from _of_delivery(step, sent.get(step.delivery_id), of_node)
    yield from (_of_trace(each) for each in mine if each.id not in told)
    if not steps:
        yield Line(Asked.STEP, None, Basis.NOT_KEPT, "stepsRemoved", instance_id=instance.id)


def _of_trace(trace: GateTrace) -> Line:
    return Line(
        trace.gate,
        trace.passed,
        Basis.RECORDED,
        trace.reason,
        trace.facts,
        trace.at,
        trace.instance_id,
        trace.node_id,
    )


def _of_step(step: StepEvent) -> Line:
    fields: JsonObject = step.body["_experience"]["journeyOrchestration"]["stepEvents"]
    ours: JsonObject = step.body.get("_edgepost", {})
    names = (
        *("nodeName", "nodeType", "stepStatus", "eventID", "origSegmentQualificationStatus"),
        *("parentTransitionID", "parentTransitionName", "actionExecutionError"),
        *("actionExecutionErrorCode", "actionExecutionOriginError", "actionExecutionOriginCode"),
    )
    has_failed = fields.get("stepStatus") in {"Error", "TimedOut"}
    unheard = "messageNotSent" if "messageNotSent" in ours else "noReaction"
    nobody_reacted = unheard if has_failed and fields.get("nodeType") == "reaction" else None
    known = (ours.get(name) for name in ("endDetail", "deliveryOutcome", "interaction"))
    return Line(
        Asked.STEP,
        not has_failed,
        Basis.RECORDED,
        next(filter(None, known), nobody_reacted),
        {**{name: fields[name] for name in names if name in fields}, **ours},
        step.at,
        step.instance_id,
        step.node_id,
    )


def _of_delivery(
    step: StepEvent,
    sent: Sent | None,
    traces: Iterable[GateTrace],
) -> Iterator[Line]:
    """Yield what was asked before a message went out, each call, how it ended and was met."""
    if sent is None:
        yield Line(
            Asked.DELIVERY,
            None,
            Basis.NOT_KEPT,
            "deliveryRemoved",
            instance_id=step.instance_id,
            node_id=step.node_id,
        )
        return
    yield from (_of_trace(each) for each in traces)
    delivery = sent.delivery
    yield from (_of_attempt(step, each) for each in sent.attempts)
    outcome: JsonObject = {
        "deliveryId": str(delivery.id),
        "actionId": str(delivery.action_id),
        "state": delivery.state,
        "attempts": delivery.attempts,
        "vendorMessageId": delivery.vendor_message_id,
        "openedAt": delivery.opened_at,
        **(delivery.facts or {}),
    }
    yield Line(
        Asked.DELIVERY,
        None if delivery.state == "waiting" else delivery.state == "sent",
        Basis.RECORDED,
        delivery.reason or delivery.state,
        _known(outcome),
        delivery.ended_at,
        step.instance_id,
        step.node_id,
    )
    yield from (_of_interaction(step, each) for each in sent.interactions)


def _of_interaction(step: StepEvent, done: DeliveryInteraction) -> Line:
    seen = _known({"deliveryId": str(done.delivery_id), "actionID": done.action_id})
    return Line(
        Asked.INTERACTION,
        passed=True,
        basis=Basis.RECORDED,
        reason=done.kind,
        seen=seen,
        at=done.at,
        instance_id=step.instance_id,
        node_id=step.node_id,
    )


def _of_attempt(step: StepEvent, attempt: DeliveryAttempt) -> Line:
    call: JsonObject = {
        "number": attempt.number,
        "statusCode": attempt.status_code,
        "errorCode": attempt.error_code,
        "elapsedMs": attempt.elapsed_ms,
    }
    return Line(
        Asked.ATTEMPT,
        None if attempt.ended_at is None else attempt.outcome == "sent",
        Basis.RECORDED,
        attempt.outcome or "underWay",
        _known(call),
        attempt.permitted_at,
        step.instance_id,
        step.node_id,
    )


def _changes(
    stays: Iterable[SegmentMembershipInterval],
    entered_on: str,
) -> Iterator[tuple[datetime, JsonObject]]:
    """Yield the moments at which a membership changed in a way that lets people in."""
    for stay in stays:
        if entered_on in {Qualification.REALIZED, Qualification.BOTH}:
            yield stay.entered_at, _change("realized", stay.cause, stay.event_id)
        if entered_on in {Qualification.EXITED, Qualification.BOTH} and stay.left_at is not None:
            yield stay.left_at, _change("exited", stay.left_cause, stay.left_event_id)


def _change(status: str, cause: str | None, event_id: UUID | None) -> JsonObject:
    return {"status": status, "cause": cause, "eventId": str(event_id) if event_id else None}


def _known(seen: Mapping[str, Any]) -> JsonObject:
    return {name: value for name, value in seen.items() if value is not None}
