"""The streaming statement finds a profile's events by the index of their identity."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

from service.db.session import SessionFactory, unit_of_work
from service.sandboxes.scope import Scope
from service.segments.programs import Program, program_of, segment_values
from tests.segments import worlds
from tests.segments.worlds import NOW, Happened, Person

RULE = 'CHAIN(xEvent, timestamp, [C0: WHAT(eventType = "login") WHEN(<= 24 hours before now)])'


def plan(session: Session, prefix: str, program: Program, values: dict[str, Any]) -> str:
    """Return the engine's plan of the statement exactly as it is run."""
    connection = session.connection()

    def explained(
        _c: Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: Any
    ) -> tuple[str, Any]:
        return f"{prefix} {statement}", parameters

    event.listen(connection, "before_cursor_execute", explained, retval=True)
    rows = connection.execute(program.changes, values).cursor
    assert rows is not None
    return "\n".join(str(row) for row in rows.fetchall())


@pytest.mark.parametrize("people", [3, 200])
def test_events_are_found_by_identity_and_time_in_a_store_without_statistics(
    store: SessionFactory,
    scope: Scope,
    people: int,
) -> None:
    with unit_of_work(store) as session:
        segment = worlds.add_segment(session, scope, RULE)
        keys = [
            worlds.add_person(
                session,
                scope,
                str(number),
                Person(events=(Happened("view", NOW - timedelta(hours=number), {}),)),
            )
            for number in range(people)
        ]
    dialect = store.engine.dialect.name
    program = program_of(dialect, (RULE,))
    values = {
        **program.values(NOW),
        **segment_values([segment]),
        "sandbox_id": scope.sandbox_id,
        "ids": program.keys_value(keys[:3]),
    }

    with store.opened() as session:
        prefix = "EXPLAIN" if dialect == "postgresql" else "EXPLAIN QUERY PLAN"
        if dialect == "postgresql":
            session.connection().exec_driver_sql("SET enable_seqscan = off")
        found = plan(session, prefix, program, values)

    assert "ix_experience_event_identity" in found
    if dialect == "postgresql":
        (condition,) = [line for line in found.splitlines() if "at >=" in line]
        assert "Index Cond: ((identity_id = node.id) AND (sandbox_id = 1) AND (at >=" in condition
    else:
        assert "ix_experience_event_identity (identity_id=? AND sandbox_id=? AND at>?)" in found
