"""Questions about a journey's graph: pure, without recursion, indifferent to broken targets."""

from collections import deque
from collections.abc import Iterable
from datetime import timedelta

from service.journeys.definitions import JourneyDefinition, Node, Reaction, Wait


def targets(definition: JourneyDefinition, node: Node) -> Iterable[Node]:
    """Yield the nodes that exist at the end of a node's transitions."""
    for transition in node.transitions:
        target = definition.by_id.get(transition.target_id or "")
        if target is not None:
            yield target


def reachable(definition: JourneyDefinition, *, without: str | None = None) -> frozenset[str]:
    """Return the ids of the nodes that can be reached from an entry, entries included.

    Ways through the node ``without`` are not taken.
    """
    seen = {entry.id for entry in definition.entries}
    queue: deque[Node] = deque(definition.entries)
    while queue:
        for target in targets(definition, queue.popleft()):
            if target.id not in seen and target.id != without:
                seen.add(target.id)
                queue.append(target)
    return frozenset(seen)


def in_order(definition: JourneyDefinition) -> tuple[tuple[Node, ...], frozenset[str]]:
    """Return the nodes so that each follows all that lead to it, and the ids that cannot be.

    What is left over is on a cycle or after one.
    """
    nodes = tuple(definition.by_id.values())
    open_ways = dict.fromkeys(definition.by_id, 0)
    for node in nodes:
        for target in targets(definition, node):
            open_ways[target.id] += 1
    queue = deque(node for node in nodes if open_ways[node.id] == 0)
    ordered: list[Node] = []
    while queue:
        node = queue.popleft()
        ordered.append(node)
        for target in targets(definition, node):
            open_ways[target.id] -= 1
            if open_ways[target.id] == 0:
                queue.append(target)
    return tuple(ordered), frozenset(definition.by_id) - {node.id for node in ordered}


def on_cycle(definition: JourneyDefinition) -> frozenset[str]:
    """Return the ids of nodes from which the way leads back to themselves, or between such."""
    _, left_over = in_order(definition)
    remaining = {node_id: definition.by_id[node_id] for node_id in left_over}
    is_shrinking = True
    while is_shrinking:
        leaving = [
            node.id
            for node in remaining.values()
            if not any(target.id in remaining for target in targets(definition, node))
        ]
        for node_id in leaving:
            del remaining[node_id]
        is_shrinking = bool(leaving)
    return frozenset(remaining)


def longest_waits(definition: JourneyDefinition) -> tuple[timedelta, str | None]:
    """Return the most time that waits can take on one path, and the wait it ends with.

    A reaction is a wait for as long as it may last. Deliveries take their own time beside it.
    Nodes on a cycle are left out.
    """
    ordered, _ = in_order(definition)
    before = dict.fromkeys(definition.by_id, timedelta())
    longest, last = timedelta(), None
    for node in ordered:
        through = before[node.id]
        if isinstance(node, Wait | Reaction):
            through += node.duration if isinstance(node, Wait) else node.timeout
            if through > longest:
                longest, last = through, node.id
        for target in targets(definition, node):
            before[target.id] = max(before[target.id], through)
    return longest, last
