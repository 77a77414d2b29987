"""The linking rules of one sandbox, as the graph wants them."""

from sqlalchemy.orm import Session

from service.db.statements import BOOLEAN, INTEGER, TEXT, SetStatement
from service.identity.linking import NamespaceRule, NamespaceRules
from service.sandboxes.scope import Scope

_READ = SetStatement(
    "SELECT n.code, n.priority, n.is_unique FROM identity_namespace AS n "
    "WHERE n.sandbox_id = :sandbox_id",
    rows={},
    params={"sandbox_id": INTEGER},
    result={"code": TEXT, "priority": INTEGER, "is_unique": BOOLEAN},
)


def read(session: Session, scope: Scope) -> NamespaceRules:
    """Return the rule of every namespace by its code."""
    return {
        row.code: NamespaceRule(row.priority, is_person=row.is_unique)
        for row in _READ.run(session, {"sandbox_id": scope.sandbox_id})
    }
