"""The rows of the graph: how nodes and link facts are read, locked and written.

Source: service/decisions/0001-lock-order.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.errors import EdgepostError
from service.db.statements import BOOLEAN, INTEGER, KEY, MOMENT, TEXT, SetStatement
from service.identity.identity_map import ClaimedIdentity
from service.identity.linking import BEFORE_ALL, Node, Order, Register
from service.sandboxes.scope import Scope

_PLACE = {
    "id": KEY,
    "graph_id": KEY,
    "profile_id": KEY,
    "parent_id": KEY,
    "login_id": KEY,
    "login_at": MOMENT,
    "login_event": TEXT,
    "ambiguous_id": KEY,
    "ambiguous_at": MOMENT,
    "ambiguous_event": TEXT,
    "had_login": BOOLEAN,
}
_ADD = SetStatement(
    """
    INSERT INTO identity (sandbox_id, id, graph_id, profile_id, parent_id, login_id, login_at,
        login_event, ambiguous_id, ambiguous_at, ambiguous_event, had_login, namespace, value,
        created_at)
    SELECT :sandbox_id, r.id, r.graph_id, r.profile_id, r.parent_id, r.login_id, r.login_at,
        r.login_event, r.ambiguous_id, r.ambiguous_at, r.ambiguous_event, r.had_login, r.namespace,
        r.value, :now
    FROM {r} WHERE true ON CONFLICT DO NOTHING RETURNING id
    """,
    rows={"r": {**_PLACE, "namespace": TEXT, "value": TEXT}},
    params={"sandbox_id": INTEGER, "now": MOMENT},
    result={"id": KEY},
)
_GRAPHS_OF = """
    SELECT i.{columns} FROM identity AS i
    WHERE i.sandbox_id = :sandbox_id AND i.graph_id IN (
        SELECT j.graph_id FROM identity AS j, {{r}}
        WHERE j.sandbox_id = :sandbox_id AND j.id = r.id)
    ORDER BY i.id {lock}
"""
_LOCK_GRAPHS = SetStatement(
    _GRAPHS_OF.format(columns=", i.".join(("namespace", *_PLACE)), lock="{lock}"),
    rows={"r": {"id": KEY}},
    params={"sandbox_id": INTEGER},
    result={"namespace": TEXT, **_PLACE},
)
_READ_MEMBERS = SetStatement(
    _GRAPHS_OF.format(columns="id", lock=""),
    rows={"r": {"id": KEY}},
    params={"sandbox_id": INTEGER},
    result={"id": KEY},
)
_SAVE = SetStatement(
    """
    UPDATE identity SET graph_id = r.graph_id, profile_id = r.profile_id, parent_id = r.parent_id,
        login_id = r.login_id, login_at = r.login_at, login_event = r.login_event,
        ambiguous_id = r.ambiguous_id, ambiguous_at = r.ambiguous_at,
        ambiguous_event = r.ambiguous_event, had_login = r.had_login
    FROM {r} WHERE identity.sandbox_id = :sandbox_id AND identity.id = r.id
    """,
    rows={"r": _PLACE},
    params={"sandbox_id": INTEGER},
)
_RECORD_LINKS = SetStatement(
    """
    INSERT INTO identity_link (sandbox_id, child_id, parent_id, strength, state, source_id,
        first_seen_at, last_seen_at, last_event)
    SELECT :sandbox_id, r.child_id, r.parent_id, r.strength, r.state, r.source_id, r.at, r.at,
        r.event
    FROM {r} WHERE true
    ON CONFLICT (sandbox_id, child_id, parent_id, strength) DO UPDATE SET
        state = excluded.state,
        last_seen_at = CASE WHEN excluded.last_seen_at > identity_link.last_seen_at
            THEN excluded.last_seen_at ELSE identity_link.last_seen_at END,
        last_event = excluded.last_event
    """,
    rows={
        "r": {
            "child_id": KEY,
            "parent_id": KEY,
            "strength": TEXT,
            "state": TEXT,
            "source_id": KEY,
            "at": MOMENT,
            "event": TEXT,
        },
    },
    params={"sandbox_id": INTEGER},
)


class GraphMovedError(EdgepostError):
    """Another transaction changed a graph between look and lock: start the batch over."""


def add(
    session: Session,
    scope: Scope,
    placed: Iterable[tuple[Node, ClaimedIdentity]],
    *,
    now: datetime,
) -> None:
    """Insert new identities in key order, each where it hangs.

    Raises:
        GraphMovedError: Another transaction added one of them meanwhile.
    """
    rows = sorted(
        ((*_row(node), each.namespace, each.value) for node, each in placed),
        key=lambda row: row[0],
    )
    if not rows:
        return
    params = {"sandbox_id": scope.sandbox_id, "now": now}
    if len(_ADD.run(session, params, r=rows)) < len(rows):
        raise GraphMovedError("an identity was added while its graph was read")


def locked_graphs(session: Session, scope: Scope, keys: Sequence[UUID]) -> dict[UUID, Node]:
    """Lock whole graphs in key order, then look again: a member that came meanwhile is a move.

    Where nothing is known nothing is locked; who is added meanwhile is then found by ``add``.
    """
    wanted = [(key,) for key in keys]
    params = {"sandbox_id": scope.sandbox_id}
    nodes = {row.id: _node(row) for row in _LOCK_GRAPHS.run(session, params, r=wanted)}
    if nodes and session.get_bind().dialect.name != "sqlite":
        members = {row.id for row in _READ_MEMBERS.run(session, params, r=wanted)}
        if members != nodes.keys():
            raise GraphMovedError("a graph moved while it was being locked")
    return nodes


def _node(row: Any) -> Node:
    return Node(
        key=row.id,
        namespace=row.namespace,
        login=_register(row.login_id, row.login_at, row.login_event),
        ambiguous=_register(row.ambiguous_id, row.ambiguous_at, row.ambiguous_event),
        had_login=row.had_login,
        graph=row.graph_id,
        parent=row.parent_id,
        profile=row.profile_id,
    )


def _register(parent: UUID | None, at: datetime | None, event: str | None) -> Register:
    return Register(parent, BEFORE_ALL if at is None else Order(at, event or ""))


def save(
    session: Session,
    scope: Scope,
    before: Mapping[UUID, Node],
    after: Mapping[UUID, Node],
) -> None:
    """Write the nodes of ``before`` that changed; they are locked."""
    rows = [_row(node) for key, node in after.items() if key in before and node != before[key]]
    if rows:
        _SAVE.run(session, {"sandbox_id": scope.sandbox_id}, r=rows)


def _row(node: Node) -> tuple[Any, ...]:
    return (
        node.key,
        node.graph,
        node.profile,
        node.parent,
        *_stored(node.login),
        *_stored(node.ambiguous),
        node.had_login,
    )


def _stored(register: Register) -> tuple[Any, ...]:
    if register.order == BEFORE_ALL:
        return (None, None, None)
    return (register.parent, register.order.at, register.order.event_id)


def record_links(session: Session, scope: Scope, facts: Sequence[tuple[Any, ...]]) -> None:
    """Write link facts; the tuples follow the columns of ``identity_link`` without its sandbox."""
    if facts:
        _RECORD_LINKS.run(session, {"sandbox_id": scope.sandbox_id}, r=facts)
