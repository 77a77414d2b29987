"""How fragments become one view; every sandbox has a default from its creation."""

from datetime import datetime

from sqlalchemy.orm import Session

from service.core.ids import new_key
from service.profiles.models import MergePolicy
from service.sandboxes.scope import Scope


def create_default(session: Session, scope: Scope, *, now: datetime) -> MergePolicy:
    """Create the policy of a new sandbox: the newest value wins, over the private graph.

    Source: Profile API, merge policies: ``attributeMerge.type`` timestampOrdered,
    ``identityGraph.type`` pdg.
    """
    policy = MergePolicy(
        sandbox_id=scope.sandbox_id,
        id=new_key(),
        name="profile-default",
        attribute_merge="timestampOrdered",
        identity_graph="pdg",
        is_default=True,
        created_at=now,
    )
    session.add(policy)
    session.flush()
    return policy
