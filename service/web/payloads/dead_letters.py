"""Dead letters, and how they are sent again."""

from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from service.core.json import JsonObject
from service.flows.replay_dead_letters import Replay
from service.outbound.dead_letters import STATES, LetterFilter
from service.outbound.deliveries import DeliveryState
from service.outbound.models import DeadLetter
from service.web.payloads.base import (
    Choice,
    Flag,
    PageArguments,
    PageArgumentsSchema,
    PageInfoSchema,
    Payload,
    Whole,
)

_STATE = validate.OneOf(sorted(each.value for each in STATES))
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class LetterArguments:
    """Which dead letters, and which part of them."""

    chosen: LetterFilter
    page: PageArguments


class LetterFilterSchema(Payload):
    """Which dead letters; what is left out asks for any."""

    journey_id = fields.UUID(data_key="journeyId")
    action_id = fields.UUID(data_key="actionId")
    state = Choice(DeliveryState, validate=_STATE)
    reason = fields.String(validate=validate.Length(1, 64))
    since = fields.AwareDateTime(metadata={"description": "When they died; this moment too."})
    until = fields.AwareDateTime(metadata={"description": "When they died; before this moment."})

    @validates_schema
    def check(self, values: dict[str, Any], **_: Any) -> None:
        """Refuse a time that ends before it begins."""
        if "since" in values and "until" in values and values["since"] >= values["until"]:
            raise ValidationError("until must be later than since.", "until")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> Any:
        """Return the filter."""
        return LetterFilter(**values)


class LetterArgumentsSchema(LetterFilterSchema, PageArgumentsSchema):
    """The query of the dead letters."""

    is_replayed = fields.Boolean(
        data_key="replayed",
        truthy={"true"},
        falsy={"false"},
        metadata={"description": "Whether they were sent again."},
    )

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> LetterArguments:
        """Return the arguments as a value."""
        page = PageArguments(values.pop("limit"), values.pop("after"))
        return LetterArguments(LetterFilter(**values), page)


class DeadLetterSchema(Payload):
    """A delivery that ended unsent; what it would say is kept encrypted until it expires."""

    id = fields.UUID(required=True, metadata={"description": "The delivery's."})
    journey_id = fields.UUID(required=True, data_key="journeyId")
    action_id = fields.UUID(required=True, data_key="actionId")
    state = fields.String(required=True, validate=_STATE)
    reason = fields.String(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True, data_key="createdAt")
    expires_at = fields.AwareDateTime(required=True, data_key="expiresAt")
    replayed_at = fields.AwareDateTime(required=True, allow_none=True, data_key="replayedAt")
    replay_id = fields.UUID(
        required=True,
        allow_none=True,
        data_key="replayId",
        metadata={"description": "The delivery that repeats it."},
    )


class DeadLetterPageSchema(Payload):
    """A part of the dead letters, newest first."""

    items = fields.List(fields.Nested(DeadLetterSchema), required=True)
    page = fields.Nested(PageInfoSchema, required=True)


class ReplaySchema(Payload):
    """What to send again, and how fast."""

    chosen = fields.Nested(LetterFilterSchema, required=True, data_key="filter")
    max_per_minute = Whole(
        required=True,
        data_key="maxPerMinute",
        validate=validate.Range(1, 60_000),
        metadata={"description": "They are due one after the other at this rate; caps hold too."},
    )
    most = Whole(
        load_default=10_000,
        data_key="limit",
        validate=validate.Range(1, _MOST),
        metadata={"description": "The most to send again by this request, the oldest first."},
    )
    is_dry_run = Flag(
        load_default=False,
        data_key="dryRun",
        metadata={"description": "Count only."},
    )

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> Replay:
        """Return what was asked for."""
        return Replay(**values)


class ReplayedSchema(Payload):
    """How many go, or would go."""

    count = fields.Integer(required=True)
    left = fields.Integer(
        required=True, metadata={"description": "Letters of the filter that this leaves."}
    )
    last_due_at = fields.AwareDateTime(required=True, allow_none=True, data_key="lastDueAt")
    is_dry_run = fields.Boolean(required=True, data_key="dryRun")


def letter_answer(row: DeadLetter) -> JsonObject:
    """Return what ``DeadLetterSchema`` dumps."""
    names = ("journey_id", "action_id", "state", "reason", "created_at", "expires_at")
    return {
        "id": row.delivery_id,
        **{name: getattr(row, name) for name in names},
        "replayed_at": row.replayed_at,
        "replay_id": row.replay_id,
    }
