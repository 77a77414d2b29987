"""What devices said of collecting their data: one register each, the newest saying wins.

Source: Edge Network API, ``privacy/set-consent``; service/decisions/0014-consent.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from service.db.statements import INTEGER, KEY, MOMENT, TEXT, SetStatement
from service.identity.identity_map import ECID, ClaimedIdentity
from service.identity.linking import NamespaceRules
from service.sandboxes.scope import Scope

COLLECTED = "in"

_SAY = SetStatement(
    """
    UPDATE identity SET consent = r.consent, consent_at = r.at
    FROM {r} WHERE identity.sandbox_id = :sandbox_id AND identity.id = r.id
        AND (identity.consent_at IS NULL OR identity.consent_at <= r.at)
    """,
    rows={"r": {"id": KEY, "consent": TEXT, "at": MOMENT}},
    params={"sandbox_id": INTEGER},
)


@dataclass(frozen=True, slots=True)
class Said:
    """``in``, ``pending`` or ``out``, and since when."""

    consent: str
    at: datetime


def speakers(identities: Sequence[ClaimedIdentity], rules: NamespaceRules) -> tuple[UUID, ...]:
    """Return whose register counts for what carries these identities.

    It is the device's; people count where there is no device, because what somebody says on one
    device is not said for their others. Namespaces that the sandbox does not know name nobody.
    """
    known = [each for each in identities if each.namespace in rules]
    devices = tuple(each.key for each in known if each.namespace == ECID)
    return devices[:1] or tuple(each.key for each in known)


def newest(said: Iterable[Said | None], default: str) -> str:
    """Return what was said last, ``default`` when nothing was; of equal moments the last counts."""
    found: Said | None = None
    for each in said:
        if each is not None and (found is None or found.at <= each.at):
            found = each
    return found.consent if found is not None else default


def record(session: Session, scope: Scope, said: Mapping[UUID, Said]) -> None:
    """Write registers, each unless it says something newer. The identities are locked.

    The caller commits.
    """
    if said:
        rows = [(key, each.consent, each.at) for key, each in sorted(said.items())]
        _SAY.run(session, {"sandbox_id": scope.sandbox_id}, r=rows)
