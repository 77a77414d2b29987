"""What the gates and templates of a batch see, read together a moment before its calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from service.core import json
from service.core.json import JsonObject
from service.core.secret import Secret
from service.db.session import unit_of_work
from service.flows import keep_dead_letters, live_activity_tokens
from service.flows.delivery_steps import DeliveryTools, Permitted
from service.outbound import gates
from service.outbound.actions import Action
from service.outbound.adapters.contract import MessageContext
from service.outbound.deliveries import Claimed, Lane
from service.outbound.halts import Halts
from service.profiles.lookups import OwnedToken, Recipient, read_recipients


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read.

    Attributes:
        recipients: Whom each identity stands for.
        events: By delivery, where templates speak of them.
        activities: By delivery, the tokens of its live activity, where it is about one.
        halts: What is halted.
        valid_until: Monotonic seconds until when it may be relied on.
    """

    recipients: Mapping[UUID, Recipient]
    events: Mapping[UUID, JsonObject]
    activities: Mapping[UUID, tuple[OwnedToken, ...]]
    halts: Halts
    valid_until: float

    def tokens(self, action: Action, held: Claimed) -> tuple[OwnedToken, ...]:
        """Return the tokens that a delivery may go to."""
        if action.live_activity is not None:
            return self.activities.get(held.id, ())
        recipient = self.recipients.get(held.identity_id)
        return () if recipient is None else recipient.tokens

    def context(self, held: Claimed, token: OwnedToken | None) -> MessageContext:
        """Return what the message of a delivery is made of."""
        return _context(held, self.recipients, self.events, token)


def look(tools: DeliveryTools, lane: Lane, action: Action, permitted: Sequence[Permitted]) -> Seen:
    """Read what a batch needs, in one transaction; it holds for two seconds from now.

    Raises:
        StoreUnavailableError: Nothing could be read.
    """
    asked_at = tools.clock.monotonic()
    people = {each.delivery.identity_id for each in permitted}
    events: dict[UUID, JsonObject] = {}
    activities: dict[UUID, tuple[OwnedToken, ...]] = {}
    with unit_of_work(tools.sessions) as session:
        recipients = read_recipients(session, lane.scope, people)
        halts = tools.halts.find(session, lane.scope, at=asked_at)
        if _speaks_of_event(action):
            held = [each.delivery for each in permitted]
            events.update(keep_dead_letters.events_of(session, lane.scope, tools.letters, held))
        if action.live_activity is not None:
            held = [each.delivery for each in permitted]
            asked = {
                each.id: (each.identity_id, _context(each, recipients, events)) for each in held
            }
            activities = live_activity_tokens.read_tokens(
                session, lane.scope, action, action.live_activity, asked
            )
    return Seen(recipients, events, activities, halts, asked_at + gates.VALID_S)


def _speaks_of_event(action: Action) -> bool:
    spec = action.spec
    spoken = [spec.url, spec.query, spec.payload, spec.headers, spec.settings]
    return "event" in json.encode_text(spoken)


def _context(
    held: Claimed,
    recipients: Mapping[UUID, Recipient],
    events: Mapping[UUID, JsonObject],
    token: OwnedToken | None = None,
) -> MessageContext:
    recipient = recipients.get(held.identity_id)
    return MessageContext(
        delivery_id=held.id,
        idempotency_key=str(held.id),
        token=Secret(token.token) if token else None,
        profile=recipient.attributes if recipient else {},
        event=events.get(held.id) or {},
        parameters=held.parameters,
        journey_version_id=held.journey_version_id,
        instance_id=held.instance_id,
        node_id=held.node_id,
        expires_at=held.expires_at,
        identity=recipient.identity if recipient else ("", ""),
        token_app=token.app_id if token else "",
        created_at=held.created_at,
    )
