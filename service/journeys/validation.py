"""Whether a journey can run: everything that keeps it from being published, all at once.

Source: Journey Optimizer, journey guardrails (50 activities, 2 MB, 91 days), condition and custom
action pages.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from service.journeys.definitions import (
    INSTANCE_LIFE,
    MAX_ACTION_TIMEOUT_S,
    MAX_ACTIVITIES,
    MAX_DOCUMENT_BYTES,
    MAX_REENTRANCE_WAIT,
    MAX_WAIT,
    MIN_WAIT,
    Condition,
    CustomAction,
    End,
    EventEntry,
    JourneyDefinition,
    Node,
    QualificationEntry,
    Reaction,
    Wait,
)
from service.journeys.graph import longest_waits, on_cycle, reachable
from service.journeys.node_parameters import parameter_problems
from service.journeys.problems import Problem, ProblemCode, Severity
from service.journeys.reactions import reaction_problems
from service.journeys.transitions import transition_problems
from service.outbound.action_parameters import Parameters

_NODE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_MAX_NAME = 256
_MAX_EVENT_ID = 128
_NEARLY = 0.9


@dataclass(frozen=True, slots=True)
class Known:
    """What exists in the sandbox: ids of segments and custom actions, codes of namespaces.

    ``parameters`` are those that actions declare, by their ids; an action without any takes all.
    """

    segment_ids: frozenset[str] = frozenset()
    action_ids: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    parameters: Mapping[str, Parameters] = field(default_factory=dict)


def validate(
    definition: JourneyDefinition,
    known: Known,
    check_expression: Callable[[str], None],
    *,
    max_bytes: int = MAX_DOCUMENT_BYTES,
) -> tuple[Problem, ...]:
    """Return all that is wrong with a definition, in the order of the document.

    Args:
        definition: A draft, as ``document.parse`` returned it.
        known: What it may refer to; taken from the sandbox at the moment of publishing.
        check_expression: Raises ``InvalidInputError`` for a PQL text that cannot be evaluated.
        max_bytes: The ceiling ``parse`` was given; a warning comes at 90 % of it.

    Returns:
        Nothing but warnings when the journey can run; ``problems.refuse_errors`` tells.
    """
    found = [*_journey_problems(definition, known, max_bytes)]
    reached, circling = reachable(definition), on_cycle(definition)
    ids = Counter(node.id for node in definition.nodes)
    for index, node in enumerate(definition.nodes):
        path = f"/nodes/{index}"
        found += _id_problems(node, path, ids[node.id])
        if definition.entries and node.id not in reached:
            message = f"nobody can ever reach {node.id!r}"
            found.append(Problem(path, ProblemCode.UNREACHABLE_NODE, message))
        if node.id in circling:
            message = f"the way through {node.id!r} leads back to it"
            found.append(Problem(path, ProblemCode.CYCLE, message))
        found += _node_problems(node, path, known)
        if isinstance(node, Reaction):
            found += reaction_problems(definition, node, path)
        found += transition_problems(definition, node, path, check_expression)
    return (*found, *_wait_problems(definition))


def _journey_problems(
    definition: JourneyDefinition,
    known: Known,
    max_bytes: int,
) -> Iterator[Problem]:
    if not _is_name(definition.name):
        yield Problem("/name", ProblemCode.BAD_NAME, f"expected 1 to {_MAX_NAME} characters")
    if definition.size_bytes > _NEARLY * max_bytes:
        message = f"{definition.size_bytes} of {max_bytes} bytes are used"
        code = ProblemCode.DOCUMENT_NEARLY_TOO_LARGE
        yield Problem("", code, message, Severity.WARNING)
    activities = sum(not isinstance(node, End) for node in definition.nodes)
    if activities > MAX_ACTIVITIES:
        message = f"{activities} activities, {MAX_ACTIVITIES} are allowed"
        yield Problem("/nodes", ProblemCode.TOO_MANY_ACTIVITIES, message)
    yield from _entry_problems(definition)
    yield from _namespace_problems(definition, known)
    if not timedelta() <= definition.reentrance.wait <= MAX_REENTRANCE_WAIT:
        message = f"expected 0 to {MAX_REENTRANCE_WAIT.days} days"
        yield Problem("/reentrance/durationInSecs", ProblemCode.BAD_REENTRANCE, message)
    if not 1 <= definition.action_timeout_s <= MAX_ACTION_TIMEOUT_S:
        message = f"expected 1 to {MAX_ACTION_TIMEOUT_S} seconds"
        yield Problem("/timeouts/actionExecution", ProblemCode.BAD_TIMEOUT, message)


def _entry_problems(definition: JourneyDefinition) -> Iterator[Problem]:
    entries = definition.entries
    if not entries:
        message = "people need a node to enter at: audience_qualification or unitary"
        yield Problem("/nodes", ProblemCode.NO_ENTRY, message)
        return
    if len(entries) > 1:
        message = f"one entry per journey; {', '.join(repr(entry.id) for entry in entries)} are"
        yield Problem("/nodes", ProblemCode.SEVERAL_ENTRIES, message)
    if definition.type is not None and definition.type.value != entries[0].type.value:
        message = f"the journey enters by {entries[0].type.value}"
        yield Problem("/type", ProblemCode.WRONG_JOURNEY_TYPE, message)
    if definition.start_node_id not in {None, entries[0].id}:
        message = f"people enter at {entries[0].id!r}"
        yield Problem("/startNodeId", ProblemCode.WRONG_START_NODE, message)


def _namespace_problems(definition: JourneyDefinition, known: Known) -> Iterator[Problem]:
    namespace = definition.identity_namespace
    if namespace is None:
        message = "a journey needs the namespace that identifies its people, such as CRMID"
        yield Problem("/identityNamespace", ProblemCode.NO_NAMESPACE, message)
    elif namespace not in known.namespaces:
        message = f"there is no namespace {namespace!r}"
        yield Problem("/identityNamespace", ProblemCode.UNKNOWN_NAMESPACE, message)


def _id_problems(node: Node, path: str, uses: int) -> Iterator[Problem]:
    if not _NODE_ID.fullmatch(node.id):
        message = "expected 1 to 64 letters, digits, _ or -"
        yield Problem(f"{path}/id", ProblemCode.BAD_NODE_ID, message)
    if uses > 1:
        message = f"{uses} nodes have the id {node.id!r}"
        yield Problem(f"{path}/id", ProblemCode.DUPLICATE_NODE_ID, message)
    if node.name and not _is_name(node.name):
        message = f"expected at most {_MAX_NAME} printable characters"
        yield Problem(f"{path}/name", ProblemCode.BAD_NAME, message)


def _node_problems(node: Node, path: str, known: Known) -> Iterator[Problem]:
    match node:
        case QualificationEntry(segment_id=segment_id):
            if segment_id not in known.segment_ids:
                message = f"there is no segment {segment_id!r}"
                yield Problem(f"{path}/segmentId", ProblemCode.UNKNOWN_SEGMENT, message)
        case EventEntry(event_id=event_id):
            if not 1 <= len(event_id) <= _MAX_EVENT_ID or not event_id.isprintable():
                message = f"expected 1 to {_MAX_EVENT_ID} characters"
                yield Problem(f"{path}/eventID", ProblemCode.BAD_NAME, message)
        case Wait(duration=duration):
            if duration > MAX_WAIT:
                message = f"a wait may last {MAX_WAIT.days} days"
                yield Problem(f"{path}/delay", ProblemCode.WAIT_TOO_LONG, message)
            if duration < MIN_WAIT:
                message = "a wait lasts at least one second"
                yield Problem(f"{path}/delay", ProblemCode.WAIT_TOO_SHORT, message)
        case CustomAction():
            yield from _action_problems(node, path, known)
        case Condition() | Reaction() | End():
            pass


def _action_problems(node: CustomAction, path: str, known: Known) -> Iterator[Problem]:
    if node.action_id not in known.action_ids:
        message = f"there is no custom action {node.action_id!r}"
        yield Problem(f"{path}/actionId", ProblemCode.UNKNOWN_ACTION, message)
    taken: set[str] = set()
    for index, parameter in enumerate(node.parameters):
        names = parameter.path.split(".")
        above = {".".join(names[:depth]) for depth in range(1, len(names) + 1)}
        is_below_other = any(other.startswith(f"{parameter.path}.") for other in taken)
        if is_below_other or above & taken:
            message = f"{parameter.path!r} is given twice"
            pointer = f"{path}/paramMappings/{index}/paramPath"
            yield Problem(pointer, ProblemCode.DUPLICATE_PARAMETER, message)
        taken.add(parameter.path)
    yield from parameter_problems(node, path, known.parameters.get(node.action_id, ()))


def _wait_problems(definition: JourneyDefinition) -> Iterator[Problem]:
    longest, last = longest_waits(definition)
    if longest > INSTANCE_LIFE and last is not None:
        index = next(i for i, node in enumerate(definition.nodes) if node.id == last)
        key = "timeout" if isinstance(definition.nodes[index], Reaction) else "delay"
        message = f"the waits up to here last {longest.days} days; a run ends after 91"
        yield Problem(f"/nodes/{index}/{key}", ProblemCode.WAITS_EXCEED_LIFE, message)


def _is_name(text: str) -> bool:
    return 1 <= len(text) <= _MAX_NAME and text.isprintable() and text.strip() == text
