"""Which way a condition goes, and which facts must be known to say so.

An expression is one PQL text over the profile and, under ``context.``, over what the run carries
(``InstanceState.context``). It is evaluated outside, set-based, by the segment compiler, with the
context bound as values; here its result is looked up by its text.
"""

import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.core.json import JsonObject
from service.journeys.definitions import (
    Condition,
    Constant,
    ContextValue,
    CustomAction,
    JourneyDefinition,
    Parameter,
    ProfileValue,
    Reaction,
    TransitionKind,
    transition_of,
)
from service.outbound.interactions import Interaction


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one run now: results by expression text, values by profile path.

    A path the profile does not have is present with ``None``. ``interactions`` are those with the
    messages that the run sent, by the node that did.
    """

    results: Mapping[str, bool] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    interactions: Mapping[str, frozenset[Interaction]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FactsWanted:
    """What to evaluate before planning again; sorted, without repetition.

    ``messages`` are the nodes whose messages people may have done something with.
    """

    expressions: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()


NO_FACTS = Facts()


def is_known(condition: Condition, facts: Facts) -> bool:
    """Tell whether the facts decide the condition: all up to the first true expression."""
    for transition in condition.transitions:
        if transition.kind is TransitionKind.EXPRESSION:
            result = facts.results.get(transition.expression or "")
            if result is None:
                return False
            if result:
                return True
    return True


def choose(condition: Condition, facts: Facts, seed: int) -> int | None:
    """Return the place of the transition taken, ``None`` when the person leaves.

    The first true expression wins; a percentage takes its share of the people, each always to
    the same side. Otherwise it is the ``otherwise`` path.

    Source: Journey Optimizer, Condition activity.
    """
    drawn = _draw(seed, condition.id)
    for index, transition in enumerate(condition.transitions):
        if transition.kind is TransitionKind.EXPRESSION:
            if facts.results.get(transition.expression or "", False):
                return index
        elif transition.kind is TransitionKind.PERCENTAGE:
            drawn -= transition.percent
            if drawn < 0:
                return index
    return transition_of(condition, TransitionKind.OTHERWISE)


def _draw(seed: int, node_id: str) -> float:
    """Return a number from 0 to under 100, the same for one run and node in every process."""
    digest = hashlib.blake2b(f"{seed}:{node_id}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") * 100 / 2**48


def facts_ahead(definition: JourneyDefinition, node_id: str, facts: Facts) -> FactsWanted:
    """Return what is not known of all that can be asked from a node to the next rest.

    One fetch of these is enough to plan up to there, whichever way it goes; a reaction is no rest
    for somebody who has reacted. Engines may call it before planning, to fetch for many instances
    at once.
    """
    expressions: set[str] = set()
    paths: set[str] = set()
    messages: set[str] = set()
    seen = {node_id}
    queue = deque(seen)
    while queue:
        node = definition.by_id.get(queue.popleft())
        if isinstance(node, CustomAction):
            paths |= profile_paths(node)
        elif isinstance(node, Condition | Reaction):
            if isinstance(node, Reaction):
                messages.add(node.message_node_id)
            for transition in node.transitions:
                if transition.kind is TransitionKind.EXPRESSION and transition.expression:
                    expressions.add(transition.expression)
                if transition.target_id is not None and transition.target_id not in seen:
                    seen.add(transition.target_id)
                    queue.append(transition.target_id)
    return FactsWanted(
        expressions=tuple(sorted(expressions - facts.results.keys())),
        paths=tuple(sorted(paths - facts.values.keys())),
        messages=tuple(sorted(messages - facts.interactions.keys())),
    )


def profile_paths(action: CustomAction) -> set[str]:
    """Return the profile paths an action's parameters read."""
    return {item.source.path for item in action.parameters if isinstance(item.source, ProfileValue)}


def parameters_of(action: CustomAction, facts: Facts, context: JsonObject) -> JsonObject:
    """Return the values of an action's parameters, nested by their dotted paths.

    What the profile or the context does not have is ``None``.
    """
    nested: JsonObject = {}
    for parameter in action.parameters:
        *parents, last = parameter.path.split(".")
        target = nested
        for parent in parents:
            child = target.setdefault(parent, {})
            if not isinstance(child, dict):
                child = target[parent] = {}
            target = child
        target[last] = _value_of(parameter, facts, context)
    return nested


def _value_of(parameter: Parameter, facts: Facts, context: JsonObject) -> Any:
    match parameter.source:
        case Constant(value):
            return value
        case ProfileValue(path):
            return facts.values.get(path)
        case ContextValue(path=names):
            found: Any = context
            for name in names:
                found = found.get(name) if isinstance(found, dict) else None
            return found
