"""Applies claims to the stored graph, set-based, under the lock order.

One call serves a whole micro-batch: identities are added, the graphs they belong to are locked in
key order and read, the rules place every node again, and only what changed is written.
Source: service/decisions/0001-lock-order.md, 0002-identity.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import sorted_keys
from service.identity import graph_rows
from service.identity.graph_rows import GraphMovedError
from service.identity.linking import (
    Claim,
    NamespaceRules,
    Node,
    Register,
    Statement,
    Strength,
    apply,
    overflow,
    resolve,
    statements,
)
from service.sandboxes.scope import Scope


@dataclass(frozen=True, slots=True)
class DroppedLink:
    """A link that was claimed and is not in force; it leaves an audit entry."""

    child: UUID
    parent: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the identities of a batch hang now.

    Attributes:
        nodes: Every node of every touched graph, by key.
        added: Identities that were seen for the first time.
        moved: Nodes known before whose profile changed: key to the profile they left.
        logins: Devices whose login register changed what it says, or that had their first login.
        dropped: Links that were claimed and left out.
    """

    nodes: Mapping[UUID, Node]
    added: frozenset[UUID] = frozenset()
    moved: Mapping[UUID, UUID] = field(default_factory=dict)
    logins: frozenset[UUID] = frozenset()
    dropped: tuple[DroppedLink, ...] = ()

    def profile_of(self, key: UUID) -> UUID:
        """Return the profile that an identity of the batch belongs to."""
        profile = self.nodes[key].profile
        if profile is None:
            raise GraphMovedError("an identity has no place in its graph")
        return profile


def place(
    session: Session,
    scope: Scope,
    claims: Sequence[Claim],
    rules: NamespaceRules,
    *,
    now: datetime,
) -> Placement:
    """Add the identities of all claims, link them by the rules and return where they hang.

    Order of claims does not matter. Identities of unknown namespaces are left out. The caller
    commits; locks are held until then, identities in key order.

    Raises:
        GraphMovedError: Roll back and start the batch over.
    """
    identities = {
        each.key: each for claim in claims for each in claim.identities if each.namespace in rules
    }
    if not identities:
        return Placement({})
    known = graph_rows.locked_graphs(session, scope, sorted_keys(identities))
    added = {
        key: Node(key, each.namespace, graph=key, profile=key)
        for key, each in identities.items()
        if key not in known
    }
    before = {**known, **added}
    written = [each for claim in claims for each in statements(claim, rules)]
    after = resolve(_with_statements(before, written).values(), rules)
    surplus = overflow(after, rules)
    if surplus:
        after = resolve(_without_links(after, surplus).values(), rules)
    graph_rows.save(session, scope, known, after)
    graph_rows.add(session, scope, [(after[key], identities[key]) for key in added], now=now)
    _record_links(session, scope, before, after, written)
    return Placement(
        nodes=after,
        added=frozenset(added),
        moved={
            key: node.profile
            for key, node in before.items()
            if key not in added and node.profile is not None and after[key].profile != node.profile
        },
        logins=frozenset(
            key
            for key, node in before.items()
            if (after[key].login.parent, after[key].had_login)
            != (node.login.parent, node.had_login)
        ),
        dropped=_dropped(before, after, surplus),
    )


def _with_statements(
    nodes: Mapping[UUID, Node],
    written: Iterable[Statement],
) -> dict[UUID, Node]:
    changed = dict(nodes)
    for statement in written:
        changed[statement.child] = apply(changed[statement.child], statement)
    return changed


def _without_links(nodes: Mapping[UUID, Node], keys: Iterable[UUID]) -> dict[UUID, Node]:
    changed = dict(nodes)
    for key in keys:
        node = changed[key]
        changed[key] = replace(
            node,
            login=Register(None, node.login.order),
            ambiguous=Register(None, node.ambiguous.order),
        )
    return changed


def _record_links(
    session: Session,
    scope: Scope,
    before: Mapping[UUID, Node],
    after: Mapping[UUID, Node],
    written: Sequence[Statement],
) -> None:
    """Keep each pair as a fact: at its first claim, and when its standing changes."""
    facts: dict[tuple[UUID, UUID, Strength], tuple[Any, ...]] = {}
    for statement in sorted(written, key=lambda each: each.order):
        old, new = before[statement.child], after[statement.child]
        if statement.parent is not None and (
            old.claimed.parent != statement.parent or new.claimed.parent != statement.parent
        ):
            state = "active" if new.parent == statement.parent else "superseded"
            facts[statement.child, statement.parent, statement.strength] = _fact(statement, state)
        left = _register_of(old, statement.strength).parent
        if left is not None and _register_of(new, statement.strength).parent != left:
            state = "ended" if statement.parent is None else "superseded"
            ending = replace(statement, parent=left)
            facts.setdefault((statement.child, left, statement.strength), _fact(ending, state))
    graph_rows.record_links(session, scope, [facts[key] for key in sorted(facts)])


def _register_of(node: Node, strength: Strength) -> Register:
    return node.login if strength is Strength.LOGIN else node.ambiguous


def _fact(statement: Statement, state: str) -> tuple[Any, ...]:
    return (
        statement.child,
        statement.parent,
        statement.strength.value,
        state,
        statement.source_id,
        statement.order.at,
        statement.order.event_id,
    )


def _dropped(
    before: Mapping[UUID, Node],
    after: Mapping[UUID, Node],
    surplus: Sequence[UUID],
) -> tuple[DroppedLink, ...]:
    gone = [
        DroppedLink(key, parent, "graphFull")
        for key in surplus
        if (parent := before[key].claimed.parent) is not None
    ]
    for key, node in after.items():
        claimed = node.claimed.parent
        newly = before[key].parent == claimed or before[key].claimed.parent != claimed
        if claimed is not None and node.parent is None and newly:
            gone.append(DroppedLink(key, claimed, "namespaceNotUnique"))
    return tuple(gone)
