"""Walk a definition on a virtual clock with scripted outcomes: no database, no waiting.

Days pass in microseconds, and the same script always tells the same story.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from service.core.errors import EdgepostError
from service.journeys.conditions import NO_FACTS, Facts, FactsWanted
from service.journeys.definitions import JourneyDefinition
from service.journeys.planner import plan
from service.journeys.plans import Dispatch, Ignored, Plan, SetTimer
from service.journeys.state import InstanceState
from service.journeys.step_events import Step
from service.journeys.stimuli import (
    DeliveryEnded,
    DeliveryOutcome,
    Entered,
    Interacted,
    LifeEnded,
    Stimulus,
    TimerFired,
)
from service.outbound.interactions import Interaction

FactsSource = Callable[[FactsWanted, InstanceState, datetime], Facts]


class SimulationError(EdgepostError):
    """The script cannot be told: facts that were asked for were not given."""


@dataclass(frozen=True, slots=True)
class ScriptedOutcome:
    """How a node's delivery ends and how long that takes; ``outcome=None`` never answers."""

    outcome: DeliveryOutcome | None = DeliveryOutcome.SENT
    after: timedelta = timedelta()
    code: str | None = None
    response: Any = None


@dataclass(frozen=True, slots=True)
class ScriptedReaction:
    """What the person does with a node's message, and how long after it was dispatched."""

    interaction: Interaction
    after: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Script:
    """The world around one run.

    ``outcomes`` and ``reactions`` are by node id; a node without an outcome is sent at once.
    ``also`` are further stimuli with the moment they come, such as a stop.
    """

    entered: Entered
    facts: FactsSource = lambda _wanted, _state, _now: NO_FACTS
    outcomes: Mapping[str, ScriptedOutcome] = field(default_factory=dict)
    reactions: Mapping[str, ScriptedReaction] = field(default_factory=dict)
    also: Iterable[tuple[datetime, Stimulus]] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Story:
    """What happened; ``state`` is the last one and has ended."""

    state: InstanceState
    steps: tuple[Step, ...]
    dispatches: tuple[Dispatch, ...]
    ignored: tuple[Ignored, ...]
    ended_at: datetime

    @property
    def node_ids(self) -> tuple[str, ...]:
        """The nodes in the order they were passed."""
        return tuple(dict.fromkeys(step.node_id for step in self.steps))


def simulate(definition: JourneyDefinition, script: Script) -> Story:
    """Return the whole story of one run, from entrance to its end.

    What is still inside when nothing more can happen is ended by its 91 days.

    Raises:
        SimulationError: The script's facts do not hold what a plan asked for.
    """
    order = count()
    told = [(script.entered.at, script.entered), *script.also]
    queue: list[tuple[datetime, int, Stimulus]] = [(at, next(order), item) for at, item in told]
    heapq.heapify(queue)
    state, now = InstanceState(), script.entered.at
    steps: list[Step] = []
    dispatches: list[Dispatch] = []
    ignored: list[Ignored] = []
    seen: dict[str, frozenset[Interaction]] = {}
    while state.ended is None:
        now, stimulus = _next(queue, state, now)
        if isinstance(stimulus, Interacted):
            before = seen.get(stimulus.node_id, frozenset())
            seen[stimulus.node_id] = before | {stimulus.interaction}
        planned = _plan_with_facts(definition, state, stimulus, script, seen, now)
        state = planned.state
        steps += planned.steps
        dispatches += [item for item in planned.intents if isinstance(item, Dispatch)]
        ignored += [planned.ignored] if planned.ignored else []
        for at, caused in _caused_by(planned, script, now):
            heapq.heappush(queue, (at, next(order), caused))
    return Story(state, tuple(steps), tuple(dispatches), tuple(ignored), now)


def _next(
    queue: list[tuple[datetime, int, Stimulus]],
    state: InstanceState,
    now: datetime,
) -> tuple[datetime, Stimulus]:
    """Return what happens next; when nothing does, the life of the instance ends."""
    if queue:
        at, _, stimulus = heapq.heappop(queue)
        return max(at, now), stimulus
    return state.life_ends_at or now, LifeEnded()


def _plan_with_facts(
    definition: JourneyDefinition,
    state: InstanceState,
    stimulus: Stimulus,
    script: Script,
    seen: Mapping[str, frozenset[Interaction]],
    now: datetime,
) -> Plan:
    planned = plan(definition, state, stimulus, NO_FACTS, now, script.seed)
    if planned.facts_wanted is None:
        return planned
    facts = script.facts(planned.facts_wanted, state, now)
    known = {key: seen.get(key, frozenset()) for key in planned.facts_wanted.messages}
    facts = replace(facts, interactions=known)
    planned = plan(definition, state, stimulus, facts, now, script.seed)
    if planned.facts_wanted is not None:
        raise SimulationError(
            "The script does not give the facts a plan asked for.",
            expressions=planned.facts_wanted.expressions,
            paths=planned.facts_wanted.paths,
        )
    return planned


def _caused_by(
    planned: Plan,
    script: Script,
    now: datetime,
) -> Iterable[tuple[datetime, Stimulus]]:
    """Yield what the plan's intents bring about later."""
    for intent in planned.intents:
        if isinstance(intent, SetTimer):
            yield intent.due_at, TimerFired(intent.sequence)
        elif isinstance(intent, Dispatch):
            told = script.outcomes.get(intent.node_id, ScriptedOutcome())
            if told.outcome is not None:
                ended = DeliveryEnded(
                    intent.node_id,
                    told.outcome,
                    told.code,
                    response=told.response,
                )
                yield now + told.after, ended
            done = script.reactions.get(intent.node_id)
            if done is not None:
                yield now + done.after, Interacted(intent.node_id, done.interaction)
