"""People inside a journey and the messages it meant for them, with every row that counts them."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import new_key
from service.identity.identity_map import identity_key
from service.identity.models import Identity
from service.journeys.models import JourneyInstance, JourneyVersion, StepEvent
from service.ledger import entries
from service.outbound import attempts, deliveries
from service.outbound.attempts import AttemptOutcome, EndedAttempt
from service.outbound.deliveries import DeliveryState, EndedDelivery, Lane, NewDelivery
from service.profiles.models import PushToken
from service.sandboxes.scope import Scope
from tests.support.builders import PROD
from tests.support.clocks import START
from tests.support.journeys import ACTION

NODE = "call"
TOKEN = "very-long-token-that-nobody-may-read-abc123"
WORKER = "worker-1"


def enter(session: Session, version: JourneyVersion, name: str, scope: Scope = PROD) -> UUID:
    """Put the person with a CRM id inside and return the instance's key."""
    key = identity_key("CRMID", name)
    if session.get(Identity, (scope.sandbox_id, key)) is None:
        session.add(
            Identity(
                sandbox_id=scope.sandbox_id,
                id=key,
                namespace="CRMID",
                value=name,
                graph_id=key,
                profile_id=key,
                had_login=True,
                created_at=START,
            )
        )
    instance = JourneyInstance(
        sandbox_id=scope.sandbox_id,
        id=new_key(),
        journey_id=version.journey_id,
        version_id=version.id,
        identity_id=key,
        state={},
        status="inside",
        seed=1,
        entered_at=START,
        expires_at=START + timedelta(days=91),
    )
    session.add(instance)
    _step(session, version, instance.id, "start", "entrance", scope)
    entries.append(session, scope, entries.people_entered(version.id), now=START)
    return instance.id


def intend(
    session: Session,
    version: JourneyVersion,
    name: str,
    *,
    at_s: int = 0,
    action: UUID = ACTION,
    scope: Scope = PROD,
) -> UUID:
    """Let a person enter and mean one message for them; return the delivery's key."""
    instance_id = enter(session, version, name, scope)
    new = NewDelivery(
        instance_id=instance_id,
        node_id=NODE,
        journey_id=version.journey_id,
        journey_version_id=version.id,
        action_id=action,
        identity_id=identity_key("CRMID", name),
        parameters={"note": "private"},
        timeout_ms=30_000,
        expires_at=START + timedelta(days=1),
    )
    _step(session, version, instance_id, NODE, "dispatch", scope)
    deliveries.create(session, scope, [new], now=START + timedelta(seconds=at_s))
    return new.id


def end(
    session: Session,
    delivery_id: UUID,
    state: DeliveryState,
    reason: str | None = None,
    *,
    token_id: UUID | None = None,
    scope: Scope = PROD,
) -> None:
    """End a delivery after one call that the vendor answered with 200."""
    lane = Lane(scope, ACTION)
    [attempt_id] = attempts.start(
        session,
        lane,
        [(delivery_id, 1)],
        worker=WORKER,
        cap_id=ACTION,
        permitted_at=START,
        leased_until=START + timedelta(minutes=1),
    )
    finished = EndedAttempt(attempt_id, AttemptOutcome.SENT, 200, None, 12)
    attempts.finish(session, scope, [finished], worker=WORKER, now=START)
    ended = EndedDelivery(delivery_id, state, reason, {"statusCode": 200}, 1, token_id, "m-1")
    deliveries.end(session, scope, [ended], now=START)


def own_token(session: Session, name: str, scope: Scope = PROD) -> UUID:
    """Give a person a push token and return its key."""
    owner = identity_key("CRMID", name)
    row = PushToken(
        sandbox_id=scope.sandbox_id,
        id=new_key(),
        app_id="com.example.app",
        platform="fcm",
        token=TOKEN,
        device_id=owner,
        announced_at=START,
        announced_event="e-1",
        logout_policy="detach",
        owner_id=owner,
        registered_at=START,
    )
    session.add(row)
    session.flush()
    return row.id


def _step(
    session: Session,
    version: JourneyVersion,
    instance_id: UUID,
    node_id: str,
    kind: str,
    scope: Scope,
) -> None:
    session.add(
        StepEvent(
            sandbox_id=scope.sandbox_id,
            id=new_key(),
            instance_id=instance_id,
            journey_version_id=version.id,
            node_id=node_id,
            sequence=1,
            kind=kind,
            at=START,
            body={},
        )
    )
    session.flush()
