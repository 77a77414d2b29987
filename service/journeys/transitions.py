"""What is wrong with the ways out of a node."""

from collections.abc import Callable, Iterator

from service.core.errors import InvalidInputError
from service.journeys.definitions import (
    Condition,
    End,
    JourneyDefinition,
    Node,
    NodeType,
    Reaction,
    Transition,
    TransitionKind,
    transition_of,
)
from service.journeys.problems import Problem, ProblemCode

_ENTRY_TYPES = frozenset({NodeType.AUDIENCE_QUALIFICATION, NodeType.UNITARY})
_PLAIN = frozenset({TransitionKind.NEXT})
_ALLOWED = {
    NodeType.AUDIENCE_QUALIFICATION: _PLAIN,
    NodeType.UNITARY: _PLAIN,
    NodeType.WAIT: _PLAIN,
    NodeType.CUSTOM_ACTION: _PLAIN | {TransitionKind.TIMEOUT_OR_ERROR},
    NodeType.REACTION: _PLAIN | {TransitionKind.TIMEOUT},
    NodeType.CONDITION: frozenset(
        {TransitionKind.EXPRESSION, TransitionKind.PERCENTAGE, TransitionKind.OTHERWISE},
    ),
    NodeType.END: frozenset[TransitionKind](),
}
_WHOLE = 100


def transition_problems(
    definition: JourneyDefinition,
    node: Node,
    path: str,
    check_expression: Callable[[str], None],
) -> Iterator[Problem]:
    """Yield what is wrong with the ways out of one node at ``path``."""
    for index, transition in enumerate(node.transitions):
        at = f"{path}/transitions/{index}"
        yield from _kind_problems(node, index, at)
        yield from _target_problems(definition, transition, at, node)
    if isinstance(node, Condition):
        yield from _path_problems(node, path, check_expression)
    elif not isinstance(node, End) and not any(
        transition.kind is TransitionKind.NEXT for transition in node.transitions
    ):
        message = f"nothing follows {node.id!r}: lead it to an end node"
        yield Problem(f"{path}/transitions", ProblemCode.DEAD_END, message)
    if isinstance(node, Reaction) and transition_of(node, TransitionKind.TIMEOUT) is None:
        message = f"nothing follows {node.id!r} when nobody reacts: add a timeout transition"
        yield Problem(f"{path}/transitions", ProblemCode.DEAD_END, message)


def _kind_problems(node: Node, index: int, at: str) -> Iterator[Problem]:
    """A kind the node knows, and at most once where only one can be taken."""
    transition = node.transitions[index]
    if transition.kind not in _ALLOWED[node.type]:
        message = f"a {node.type.value} has no {transition.kind.value} transition"
        yield Problem(f"{at}/conditionType", ProblemCode.WRONG_TRANSITION, message)
        return
    may_repeat = transition.kind in {TransitionKind.EXPRESSION, TransitionKind.PERCENTAGE}
    earlier = {other.kind for other in node.transitions[:index]}
    if not may_repeat and transition.kind in earlier:
        message = f"{node.id!r} has a second {transition.kind.value} transition"
        yield Problem(f"{at}/conditionType", ProblemCode.WRONG_TRANSITION, message)
    if transition.expression is not None and transition.kind is not TransitionKind.EXPRESSION:
        message = f"a {transition.kind.value} transition has no expression"
        yield Problem(f"{at}/expression", ProblemCode.WRONG_TRANSITION, message)
    if transition.percent and transition.kind is not TransitionKind.PERCENTAGE:
        message = f"a {transition.kind.value} transition has no percent"
        yield Problem(f"{at}/percent", ProblemCode.WRONG_TRANSITION, message)


def _target_problems(
    definition: JourneyDefinition,
    transition: Transition,
    at: str,
    node: Node,
) -> Iterator[Problem]:
    pointer = f"{at}/targetNodeId"
    if transition.target_id is None:
        is_path = isinstance(node, Condition)
        code = ProblemCode.DEAD_CONDITION_PATH if is_path else ProblemCode.DEAD_END
        yield Problem(pointer, code, "this way leads nowhere: give it a target")
        return
    target = definition.by_id.get(transition.target_id)
    if target is None:
        message = f"there is no node {transition.target_id!r}"
        yield Problem(pointer, ProblemCode.UNKNOWN_TARGET, message)
    elif target.type in _ENTRY_TYPES:
        message = f"{target.id!r} is where people enter; no way leads there"
        yield Problem(pointer, ProblemCode.ENTRY_AS_TARGET, message)


def _path_problems(
    condition: Condition,
    path: str,
    check_expression: Callable[[str], None],
) -> Iterator[Problem]:
    """A condition's paths: each can be taken, and its expression evaluated."""
    kinds = {transition.kind for transition in condition.transitions}
    if not kinds & {TransitionKind.EXPRESSION, TransitionKind.PERCENTAGE}:
        message = f"{condition.id!r} has no path that depends on anything"
        yield Problem(f"{path}/transitions", ProblemCode.DEAD_CONDITION_PATH, message)
    if kinds >= {TransitionKind.EXPRESSION, TransitionKind.PERCENTAGE}:
        message = "a condition is decided by expressions or by percentages, not by both"
        yield Problem(f"{path}/transitions", ProblemCode.WRONG_TRANSITION, message)
    earlier: set[str] = set()
    given = 0
    for index, transition in enumerate(condition.transitions):
        at = f"{path}/transitions/{index}"
        if transition.kind is TransitionKind.EXPRESSION:
            yield from _expression_problems(transition, at, earlier, check_expression)
        elif transition.kind is TransitionKind.PERCENTAGE:
            given += transition.percent
            yield from _percent_problems(transition, at, given)
        elif transition.kind is TransitionKind.OTHERWISE and given >= _WHOLE:
            message = "the percentages before leave nobody for this path"
            yield Problem(at, ProblemCode.DEAD_CONDITION_PATH, message)


def _expression_problems(
    transition: Transition,
    at: str,
    earlier: set[str],
    check_expression: Callable[[str], None],
) -> Iterator[Problem]:
    text = transition.expression
    if text is None:
        message = "this path has no expression"
        yield Problem(f"{at}/expression", ProblemCode.DEAD_CONDITION_PATH, message)
        return
    if text.strip() in earlier:
        message = "an earlier path has the same expression, so this one is never taken"
        yield Problem(f"{at}/expression", ProblemCode.DEAD_CONDITION_PATH, message)
    earlier.add(text.strip())
    try:
        check_expression(text)
    except InvalidInputError as error:
        yield Problem(f"{at}/expression", ProblemCode.INVALID_EXPRESSION, error.detail)


def _percent_problems(transition: Transition, at: str, given: int) -> Iterator[Problem]:
    if not 1 <= transition.percent <= _WHOLE:
        message = "expected a whole number from 1 to 100"
        yield Problem(f"{at}/percent", ProblemCode.DEAD_CONDITION_PATH, message)
    elif given > _WHOLE:
        message = f"the paths up to here add up to {given} percent"
        yield Problem(f"{at}/percent", ProblemCode.DEAD_CONDITION_PATH, message)
