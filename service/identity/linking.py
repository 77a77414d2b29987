"""The linking rules, pure: what claims say, and the graph that registers describe.

Each identity keeps two registers, and the newest claim wins in each, so the graph depends on the
set of claims and never on the order in which they arrive.
Source: service/decisions/0002-identity.md; Experience Platform, identity graph linking rules
(unique namespaces, namespace priority, the last authenticated login keeps the device).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from service.identity.identity_map import ECID, AuthenticatedState, ClaimedIdentity

MAX_GRAPH_SIZE = 50
NEVER = datetime(1, 1, 1, tzinfo=UTC)


class Strength(StrEnum):
    """How a link was claimed."""

    LOGIN = "login"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class NamespaceRule:
    """What linking knows of a namespace: 1 is the highest priority; persons are unique."""

    priority: int
    is_person: bool


NamespaceRules = Mapping[str, NamespaceRule]


@dataclass(frozen=True, slots=True, order=True)
class Order:
    """When a claim holds: the earlier of event time and receipt, then the event's ``_id``."""

    at: datetime
    event_id: str


BEFORE_ALL = Order(NEVER, "")


@dataclass(frozen=True, slots=True)
class Claim:
    """The identities of one event or record.

    ``logout_on`` is ``loggedOut`` or ``absent``; ``is_trusted`` is set for inlets, whose servers
    prove the people they name.
    """

    identities: tuple[ClaimedIdentity, ...]
    order: Order
    source_id: UUID
    logout_on: str = "loggedOut"
    is_trusted: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """What a claim says of one register: ``child`` hangs under ``parent``, or under nobody."""

    child: UUID
    strength: Strength
    parent: UUID | None
    order: Order
    source_id: UUID


@dataclass(frozen=True, slots=True)
class Register:
    """The newest statement of one strength."""

    parent: UUID | None
    order: Order


EMPTY = Register(None, BEFORE_ALL)


@dataclass(frozen=True, slots=True)
class Node:
    """An identity with its registers and its place in the graph."""

    key: UUID
    namespace: str
    login: Register = EMPTY
    ambiguous: Register = EMPTY
    had_login: bool = False
    graph: UUID | None = None
    parent: UUID | None = None
    profile: UUID | None = None

    @property
    def claimed(self) -> Register:
        """The register that counts: a login outranks any ambiguous claim."""
        return self.login if self.login.parent is not None else self.ambiguous


def statements(claim: Claim, rules: NamespaceRules) -> list[Statement]:
    """Return what one claim writes. Identities of unknown namespaces say nothing.

    Of several ECIDs the first one counts: EdgeIdentity puts its own before the legacy extension's.
    """
    people, devices = _ranked(claim, rules)
    present = [each for each in people if each.state is not AuthenticatedState.LOGGED_OUT]
    anchor = _anchor(present, trusted=claim.is_trusted)
    # An ambiguous person links a device only: whoever names a stranger's address beside their own
    # login would else take over everything that hangs on it.
    written = [
        Statement(each.key, Strength.LOGIN, anchor.key, claim.order, claim.source_id)
        for each in present
        if anchor is not None and _is_proven(each, claim) and _ranks_below(each, anchor, rules)
    ]
    if devices:
        written += _device_statements(claim, devices, people, anchor)
    return written


def event_identity(claim: Claim, rules: NamespaceRules) -> ClaimedIdentity | None:
    """Return the identity that an event hangs on, ``None`` when it names nobody usable.

    The highest-priority person it carries as authenticated, else its device.
    """
    people, devices = _ranked(claim, rules)
    proven = [each for each in people if _is_proven(each, claim)]
    return next(iter((*proven, *devices, *people)), None)


def apply(node: Node, statement: Statement) -> Node:
    """Return the node after a statement; an older one changes nothing but ``had_login``."""
    if statement.strength is Strength.AMBIGUOUS:
        said = _precedence(statement.parent, statement.order)
        if said <= _precedence(*_content(node.ambiguous)):
            return node
        return replace(node, ambiguous=Register(statement.parent, statement.order))
    had_login = node.had_login or statement.parent is not None
    if _precedence(statement.parent, statement.order) <= _precedence(*_content(node.login)):
        return replace(node, had_login=had_login)
    return replace(
        node,
        login=Register(statement.parent, statement.order),
        had_login=had_login,
    )


def resolve(nodes: Iterable[Node], rules: NamespaceRules) -> dict[UUID, Node]:
    """Place every node: its graph, its parent in force and its profile.

    ``nodes`` must hold whole graphs. Links are replayed newest first; one that would put a second
    identity of a unique namespace into a tree is left out.
    """
    known = {node.key: node for node in nodes}
    parents = {
        key: node.claimed.parent
        for key, node in known.items()
        if node.claimed.parent is not None and node.claimed.parent in known
    }
    in_force = _without_duplicates(known, parents, rules)
    return {
        key: replace(
            node,
            graph=_root(key, parents),
            parent=in_force.get(key),
            profile=_root(key, in_force),
        )
        for key, node in known.items()
    }


def overflow(placed: Mapping[UUID, Node], rules: NamespaceRules) -> list[UUID]:
    """Return the nodes whose links must go so that no graph is larger than allowed.

    Devices and cookies go before people, the oldest first.
    Source: Identity Service guardrails: 50 identities per graph.
    """
    graphs: dict[UUID | None, list[Node]] = {}
    for node in placed.values():
        graphs.setdefault(node.graph, []).append(node)
    dropped: list[UUID] = []
    for members in graphs.values():
        surplus = len(members) - MAX_GRAPH_SIZE
        if surplus > 0:
            linked = [node for node in members if node.claimed.parent is not None]
            linked.sort(key=lambda node: (-rules[node.namespace].priority, node.claimed.order))
            dropped += [node.key for node in linked[:surplus]]
    return dropped


def _ranked(
    claim: Claim, rules: NamespaceRules
) -> tuple[list[ClaimedIdentity], list[ClaimedIdentity]]:
    """Return the claim's people and its devices, the most important first.

    Where an ECID is named it is the device, whatever the priority of advertising ids beside it:
    tokens and logins hang on it.
    """
    ranked = sorted(
        (each for each in claim.identities if each.namespace in rules),
        key=lambda each: (each.namespace != ECID, rules[each.namespace].priority, each.namespace),
    )
    people = [each for each in ranked if rules[each.namespace].is_person]
    return people, [each for each in ranked if not rules[each.namespace].is_person]


def _precedence(parent: UUID | None, order: Order) -> tuple[datetime, bool, str]:
    """Return what the newest statement has most of; in one millisecond a person beats nobody.

    An app that starts announces its token and its login in the same millisecond, and ``_id`` alone
    would let the one without the person win half the time.
    """
    return (order.at, parent is not None, order.event_id)


def _content(register: Register) -> tuple[UUID | None, Order]:
    return register.parent, register.order


def _anchor(present: Sequence[ClaimedIdentity], *, trusted: bool) -> ClaimedIdentity | None:
    proven = [each for each in present if each.state is AuthenticatedState.AUTHENTICATED]
    if proven and not trusted:
        return proven[0]
    return next(iter(present), None)


def _is_proven(identity: ClaimedIdentity, claim: Claim) -> bool:
    if identity.state is AuthenticatedState.LOGGED_OUT:
        return False
    return claim.is_trusted or identity.state is AuthenticatedState.AUTHENTICATED


def _ranks_below(each: ClaimedIdentity, anchor: ClaimedIdentity, rules: NamespaceRules) -> bool:
    """A parent outranks its child strictly, which keeps the graph a forest."""
    if each.namespace == anchor.namespace:
        return False
    return (rules[each.namespace].priority, each.namespace) > (
        rules[anchor.namespace].priority,
        anchor.namespace,
    )


def _device_statements(
    claim: Claim,
    devices: Sequence[ClaimedIdentity],
    people: Sequence[ClaimedIdentity],
    anchor: ClaimedIdentity | None,
) -> list[Statement]:
    device = devices[0]

    def says(strength: Strength, parent: UUID | None, child: UUID = device.key) -> Statement:
        return Statement(child, strength, parent, claim.order, claim.source_id)

    written = [
        says(Strength.AMBIGUOUS, device.key, other.key)
        for other in devices[1:]
        if other.namespace != device.namespace
    ]
    if anchor is not None and anchor.state is AuthenticatedState.AUTHENTICATED:
        written.append(says(Strength.LOGIN, anchor.key))
    elif anchor is not None:
        written.append(says(Strength.AMBIGUOUS, anchor.key))
    elif people or claim.logout_on == "absent":
        written += [says(Strength.LOGIN, None), says(Strength.AMBIGUOUS, None)]
    return written


def _without_duplicates(
    known: Mapping[UUID, Node],
    parents: Mapping[UUID, UUID],
    rules: NamespaceRules,
) -> dict[UUID, UUID]:
    in_force: dict[UUID, UUID] = {}
    held: dict[UUID, frozenset[str]] = {
        key: frozenset({node.namespace}) if rules[node.namespace].is_person else frozenset()
        for key, node in known.items()
    }
    newest_first = sorted(parents, key=lambda key: (known[key].claimed.order, key), reverse=True)
    for child in newest_first:
        tree, under = _root(child, in_force), _root(parents[child], in_force)
        if held[tree] & held[under]:
            continue
        in_force[child] = parents[child]
        held[under] |= held[tree]
    return in_force


def _root(key: UUID, parents: Mapping[UUID, UUID]) -> UUID:
    while key in parents:
        key = parents[key]
    return key
