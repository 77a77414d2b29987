"""What happens to grants, and to processes that have not heard of it, when a cap is deployed."""

from sqlalchemy.orm import Session

from service.db.statements import INTEGER, KEY, MOMENT, SetStatement
from service.outbound.capping import Cap, lock_cap, longest_span, note_deployed
from service.sandboxes.scope import Scope

_GRANTS = SetStatement(
    "SELECT id, granted_at FROM permit_grant WHERE sandbox_id = :sandbox_id AND cap_id = :cap_id",
    rows={},
    params={"sandbox_id": INTEGER, "cap_id": KEY},
    result={"id": KEY, "granted_at": MOMENT},
)
_STRETCH = SetStatement(
    """
    UPDATE permit_grant SET counted_until = r.until FROM {r}
    WHERE permit_grant.sandbox_id = :sandbox_id AND permit_grant.id = r.id
        AND permit_grant.counted_until < r.until
    """,
    rows={"r": {"id": KEY, "until": MOMENT}},
    params={"sandbox_id": INTEGER},
)


def stretch(session: Session, scope: Scope, cap: Cap) -> None:
    """Let earlier grants count for a period that has become longer, and bound later ones by it.

    The caller commits. Grants are kept for an hour after their end, so periods up to an hour are
    covered whole.
    """
    lock_cap(session, scope, cap.id)
    note_deployed(session, scope, cap)
    span = longest_span(cap)
    found = _GRANTS.run(session, {"sandbox_id": scope.sandbox_id, "cap_id": cap.id})
    longer = [(row.id, row.granted_at + span) for row in found]
    _STRETCH.run(session, {"sandbox_id": scope.sandbox_id}, r=longer)
