"""The check that every statement names its sandbox can fail."""

import pytest

from tests.support.sandbox_check import unscoped


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id FROM delivery",
        "SELECT d.id FROM delivery AS d JOIN identity AS i ON i.sandbox_id = 1 AND i.id = d.id",
        "UPDATE delivery SET state = 'sent' WHERE id = 1",
        "DELETE FROM experience_event WHERE id IN (SELECT id FROM delivery WHERE sandbox_id = 1)",
        "INSERT INTO delivery (id) VALUES (1)",
        "SELECT /* across sandboxes: made-up */ id FROM delivery",
    ],
)
def test_a_statement_without_its_sandbox_is_found(statement: str) -> None:
    assert unscoped(statement, "postgres") is not None


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id FROM delivery WHERE sandbox_id = 1",
        "SELECT d.id FROM delivery AS d, (SELECT 1) AS r WHERE d.sandbox_id = 1",
        "INSERT INTO delivery (sandbox_id, id) VALUES (1, 1)",
        "SELECT name FROM sandbox",
        "SELECT /* across sandboxes: due-lanes */ lane FROM delivery_due",
    ],
)
def test_a_statement_that_names_it_passes(statement: str) -> None:
    assert unscoped(statement, "postgres") is None
