"""What people do with a message, as a journey waits for it.

Source: Journey Optimizer, reaction events: they listen to the message before them. There they are
for native channels alone; here the message is a custom action's, whose payload carries ``_xdm``.
"""

from collections.abc import Iterable, Iterator

from service.journeys.definitions import (
    MAX_REACTION,
    MIN_WAIT,
    CustomAction,
    JourneyDefinition,
    Reaction,
)
from service.journeys.graph import reachable
from service.journeys.problems import Problem, ProblemCode
from service.outbound.interactions import LONGEST_ACTION_ID, Interaction, InteractionKind


def answering(reaction: Reaction, seen: Iterable[Interaction]) -> Interaction | None:
    """Return an interaction that a reaction waits for, ``None`` when there is none among them.

    Whatever is done with a message proves that it was received: iOS never says so otherwise. A
    button that brings the app to the front opens the message too, as ``openedAt`` says.
    """
    fitting = [each for each in seen if _answers(reaction, each)]
    return min(fitting, key=lambda each: (each.kind, each.action_id or ""), default=None)


def _answers(reaction: Reaction, seen: Interaction) -> bool:
    match reaction.interaction:
        case InteractionKind.RECEIVED:
            return True
        case InteractionKind.OPENED:
            return seen.opens_app or seen.kind is InteractionKind.OPENED
        case kind:
            return seen.kind is kind and reaction.action_id in {None, seen.action_id}


def reaction_problems(
    definition: JourneyDefinition, node: Reaction, path: str
) -> Iterator[Problem]:
    """Yield what is wrong with one reaction at ``path``, but for its ways out."""
    message_node = definition.by_id.get(node.message_node_id)
    pointer = f"{path}/messageNodeId"
    if not isinstance(message_node, CustomAction):
        message = f"there is no custom action node {node.message_node_id!r}"
        yield Problem(pointer, ProblemCode.UNKNOWN_MESSAGE, message)
    elif node.id in reachable(definition, without=message_node.id):
        message = f"people come here without the message of {message_node.id!r}"
        yield Problem(pointer, ProblemCode.MESSAGE_NOT_BEFORE, message)
    if node.timeout > MAX_REACTION:
        message = f"a reaction may be waited for {MAX_REACTION.days} days"
        yield Problem(f"{path}/timeout", ProblemCode.WAIT_TOO_LONG, message)
    if node.timeout < MIN_WAIT:
        message = "a reaction is waited for at least one second"
        yield Problem(f"{path}/timeout", ProblemCode.WAIT_TOO_SHORT, message)
    if node.action_id is not None:
        if node.interaction is not InteractionKind.CUSTOM_ACTION:
            message = f"{node.interaction.value} has no button: leave actionID out"
            yield Problem(f"{path}/actionID", ProblemCode.BAD_REACTION, message)
        elif len(node.action_id) > LONGEST_ACTION_ID:
            message = f"expected at most {LONGEST_ACTION_ID} characters"
            yield Problem(f"{path}/actionID", ProblemCode.BAD_REACTION, message)
