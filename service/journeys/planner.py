"""The planner: where a person goes next, as a pure function.

It reads no clock, no store and no chance but what it is given, so the same call always gives the
same plan: a journey can be simulated, replayed and tested without a database, and a plan that was
lost with its transaction is simply made again.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias

from service.core.json import JsonObject
from service.journeys.conditions import Facts, facts_ahead
from service.journeys.definitions import (
    CustomAction,
    JourneyDefinition,
    Reaction,
    TransitionKind,
    transition_of,
)
from service.journeys.plans import Ignored, Plan, SetTimer
from service.journeys.reactions import answering
from service.journeys.state import EndDetail, EndReason, InstanceState, WaitingFor
from service.journeys.step_events import StepStatus, action_step, execution_error
from service.journeys.stimuli import (
    DeliveryEnded,
    DeliveryOutcome,
    Entered,
    EventArrived,
    Interacted,
    LifeEnded,
    ProfileErased,
    Stimulus,
    Stopped,
    TimerFired,
)
from service.journeys.walk import Walk

_WhileInside: TypeAlias = TimerFired | DeliveryEnded | Interacted | LifeEnded | EventArrived
_TIMED = frozenset({WaitingFor.TIMER, WaitingFor.REACTION})
_TIMER_EVENT = "scheduledNotificationReceived"
_GOES_ON = frozenset({DeliveryOutcome.SENT, DeliveryOutcome.SUPPRESSED})
# Of an unknown or timed-out call nothing says that the message did not arrive.
_NOT_SENT = frozenset(
    {
        DeliveryOutcome.SUPPRESSED,
        DeliveryOutcome.CAPPED,
        DeliveryOutcome.FAILED,
        DeliveryOutcome.EXPIRED,
    },
)


def plan(
    definition: JourneyDefinition,
    state: InstanceState,
    stimulus: Stimulus,
    facts: Facts,
    now: datetime,
    seed: int,
) -> Plan:
    """Return what one stimulus does to one instance; never raises on a validated definition.

    * A person is at one node and rests only at waits, custom actions and reactions. Everything
      between two rests happens in one plan.
    * A suppressed message (no consent, no token) goes on along the normal path. Capped, failed,
      timed-out, expired and unknown ones take the error path; without one the instance ends as
      ``failed`` with the outcome as its detail. An unknown outcome counts as an error because
      nothing says that the message arrived.
    * Whoever reacted before they came to a reaction, or before its time was found to be over, goes
      the way of those who react. To a message that was not sent nobody is waited for; where its
      outcome is unknown somebody may react.
    * Stale stimuli change nothing: a second outcome, one of another node, a timer set at an
      earlier step. ``Plan.ignored`` says why.
    * After 91 days the instance may neither rest nor call again; it ends as ``failed``,
      ``instanceTimedout``. A wait that would end later is not begun. A delivery has no timer of
      its own: housekeeping sends ``LifeEnded`` to what is still inside then.
    * When a fact is missing the plan holds only ``facts_wanted``. One fetch is enough.

    ``seed`` is the instance's own number; it decides percentages. ``now`` is aware UTC.

    Source: Journey Optimizer, custom action errors and timeouts, condition activity, journey
    properties.
    """
    walk = Walk(definition, state, facts, now, seed)
    if state.ended is not None:
        return walk.ignored(Ignored.ALREADY_ENDED)
    match stimulus:
        case Entered():
            planned = _enter(walk, stimulus)
        case Stopped():
            planned = _stop(walk, EndDetail.JOURNEY_STOPPED)
        case ProfileErased():
            planned = _erase(walk)
        case _ if state.waiting_for is WaitingFor.ENTRY:
            planned = walk.ignored(Ignored.NOT_ENTERED)
        case _:
            planned = _go_on(walk, stimulus)
    return planned


def _go_on(walk: Walk, stimulus: _WhileInside) -> Plan:
    """Plan what is told to somebody inside."""
    match stimulus:
        case TimerFired():
            return _wake(walk, stimulus)
        case DeliveryEnded():
            return _take_outcome(walk, stimulus)
        case Interacted():
            return _react(walk, stimulus)
        case LifeEnded():
            return _end_of_life(walk)
        case EventArrived():
            return walk.ignored(Ignored.NO_NODE_WAITS_FOR_EVENTS)


def _enter(walk: Walk, entered: Entered) -> Plan:
    if walk.state.waiting_for is not WaitingFor.ENTRY:
        return walk.ignored(Ignored.ALREADY_ENTERED)
    entry = walk.enter(entered)
    if entry is None:
        return walk.done()
    return walk.done(walk.follow(entry, transition_of(entry, TransitionKind.NEXT)))


def _stop(walk: Walk, detail: EndDetail) -> Plan:
    """End as stopped, wherever the person is.

    One who was let in but not planned yet is recorded as entered first: the ledger counts an
    entrance for every end.
    """
    if walk.state.waiting_for is WaitingFor.ENTRY and walk.enter(Entered(at=walk.now)) is None:
        return walk.done()
    walk.end(walk.here(), EndReason.STOPPED, detail, is_node_processed=False)
    return walk.done()


def _erase(walk: Walk) -> Plan:
    """Stop, and forget what the run carried of the person."""
    stopped = _stop(walk, EndDetail.PROFILE_ERASED)
    return replace(stopped, state=replace(stopped.state, context={}))


def _wake(walk: Walk, fired: TimerFired) -> Plan:
    state = walk.state
    node = walk.here()
    if state.waiting_for not in _TIMED or state.due_at is None or node is None:
        return walk.ignored(Ignored.NOT_WAITING_FOR_TIMER)
    if fired.sequence != state.sequence:
        return walk.ignored(Ignored.TIMER_OF_OTHER_STEP)
    if walk.now < state.due_at:
        return walk.ignored(Ignored.TOO_EARLY, SetTimer(state.due_at, state.sequence))
    if isinstance(node, Reaction):
        return _give_up(walk, node)
    walk.note(node, event_id=_TIMER_EVENT, processing_ms=walk.rested_ms())
    return walk.done(walk.follow(node, transition_of(node, TransitionKind.NEXT)))


def _give_up(walk: Walk, node: Reaction) -> Plan:
    """Go on without a reaction, unless there is one that the instance is yet to be told of."""
    seen = walk.facts.interactions.get(node.message_node_id)
    if seen is None:
        return walk.done(facts_ahead(walk.definition, node.id, walk.facts))
    found = answering(node, seen)
    if found is not None:
        return walk.done(walk.follow(node, walk.reacted(node, found)))
    walk.note(
        node,
        status=StepStatus.TIMED_OUT,
        event_id=_TIMER_EVENT,
        processing_ms=walk.rested_ms(),
    )
    return walk.done(walk.follow(node, transition_of(node, TransitionKind.TIMEOUT)))


def _react(walk: Walk, told: Interacted) -> Plan:
    node = walk.here()
    if walk.state.waiting_for is not WaitingFor.REACTION or not isinstance(node, Reaction):
        return walk.ignored(Ignored.NOT_WAITING_FOR_REACTION)
    found = answering(node, [told.interaction])
    if told.node_id != node.message_node_id or found is None:
        return walk.ignored(Ignored.OTHER_REACTION)
    return walk.done(walk.follow(node, walk.reacted(node, found)))


def _take_outcome(walk: Walk, ended: DeliveryEnded) -> Plan:
    node = walk.here()
    if walk.state.waiting_for is not WaitingFor.DELIVERY or not isinstance(node, CustomAction):
        return walk.ignored(Ignored.NOT_WAITING_FOR_DELIVERY)
    if ended.node_id != node.id:
        return walk.ignored(Ignored.DELIVERY_OF_OTHER_NODE)
    goes_on = ended.outcome in _GOES_ON
    walk.state = replace(walk.state, context=_context_after(walk.state.context, node, ended))
    if ended.outcome in _NOT_SENT and walk.definition.awaits_reaction_to(node.id):
        walk.state = replace(walk.state, not_sent=(*walk.state.not_sent, node.id))
    step = replace(
        action_step(node),
        outcome=ended.outcome,
        code=ended.code,
        origin_error=ended.origin_error,
        origin_code=ended.origin_code,
        execution_ms=ended.execution_ms,
    )
    kind = TransitionKind.NEXT if goes_on else TransitionKind.TIMEOUT_OR_ERROR
    transition = transition_of(node, kind)
    status = _status_of(ended.outcome)
    if transition is None and not goes_on:
        walk.end(node, EndReason.FAILED, ended.outcome, status=status, action=step)
        return walk.done()
    walk.note(
        node,
        status=status,
        event_id="executedAction",
        processing_ms=walk.rested_ms(),
        action=step,
    )
    return walk.done(walk.follow(node, transition))


def _end_of_life(walk: Walk) -> Plan:
    if not walk.is_life_over:
        return walk.ignored(Ignored.TOO_EARLY)
    walk.time_out(walk.here())
    return walk.done()


def _status_of(outcome: DeliveryOutcome) -> StepStatus:
    if outcome in _GOES_ON:
        return StepStatus.TRANSITIONS
    return StepStatus.TIMED_OUT if outcome is DeliveryOutcome.TIMED_OUT else StepStatus.ERROR


def _context_after(context: JsonObject, node: CustomAction, ended: DeliveryEnded) -> JsonObject:
    """Return the context with the outcome, as expressions read it further on.

    Source: Journey Optimizer, custom action responses (``jo_status_code``) and journey properties
    (``lastErrorCode``, ``lastNodeUIDInError`` and the like). The status and what an action
    maps of its answers stay, under ``action`` and the node's id: Adobe's ``@action{Name.field}``.
    """
    error = execution_error(ended.outcome, ended.code)
    status = {"jo_status_code": _jo_status_code(ended, error)}
    last_action: JsonObject = {
        "nodeId": node.id,
        "nodeName": node.name or node.id,
        "outcome": ended.outcome.value,
        "code": ended.code,
        **status,
        "response": ended.response,
        **(ended.mapped or {}),
    }
    of_node = {node.id: {**status, **(ended.mapped or {})}}
    changed: dict[str, Any] = {
        **context,
        "lastAction": last_action,
        "action": {**context.get("action", {}), **of_node},
    }
    if error is not None:
        changed["lastError"] = {
            "nodeId": node.id,
            "nodeName": node.name or node.id,
            "nodeType": "action",
            "error": error,
            "code": ended.code or ended.outcome.value,
        }
    return changed


def _jo_status_code(ended: DeliveryEnded, error: str | None) -> str | None:
    """Return Adobe's one word for how the call went; ``None`` when none was made."""
    if ended.outcome is DeliveryOutcome.SUPPRESSED:
        return None
    if error in {None, "http"}:
        return f"http_{ended.code}" if ended.code and ended.code.isdecimal() else "http_200"
    return error if error in {"capped", "timedout"} else "internalError"
