"""Where an action calls, known before there is a message."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from service.core.secret import Secret
from service.outbound.adapters.contract import ActionSpec, MessageContext
from service.outbound.adapters.registry import get_adapter
from service.outbound.transport import CallParts

_NO_MESSAGE = MessageContext(
    delivery_id=UUID(int=0),
    idempotency_key="",
    token=Secret(""),
    profile={},
    event={},
    parameters={},
    journey_version_id=UUID(int=0),
    instance_id=UUID(int=0),
    node_id="",
    expires_at=datetime(1970, 1, 1, tzinfo=UTC),
)


def of(spec: ActionSpec) -> CallParts:
    """Return where an action calls: what its adapter renders of it without a message."""
    empty = replace(spec, headers=(), payload={})
    return get_adapter(spec.adapter).render(empty, _NO_MESSAGE, now=_NO_MESSAGE.expires_at)
