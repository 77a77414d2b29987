"""Halts: what nothing is sent for, and what that stopped."""

import re
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from service.core.ids import parse_key
from service.core.json import JsonObject
from service.outbound import halts
from service.outbound.halts import HaltKind, NewHalt, WaitingMode
from service.outbound.models import Halt
from service.web.payloads.base import (
    HAS_VISIBLE,
    Choice,
    PageArguments,
    PageArgumentsSchema,
    PageInfoSchema,
    Payload,
)

_HOST = re.compile(r"[a-z0-9.:_-]{1,255}\Z")


@dataclass(frozen=True, slots=True)
class HaltArguments:
    """Which halts, and which part of them; ``None`` asks for any."""

    is_on: bool | None
    page: PageArguments


class HaltArgumentsSchema(PageArgumentsSchema):
    """The query of the halts."""

    is_on = fields.Boolean(
        load_default=None,
        data_key="on",
        truthy={"true"},
        falsy={"false"},
        metadata={"description": "Whether they hold now."},
    )

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> HaltArguments:
        """Return the arguments as a value."""
        return HaltArguments(values["is_on"], PageArguments(values["limit"], values["after"]))


class HaltNumbersSchema(Payload):
    """What was counted when the halt was switched on."""

    in_flight = fields.Integer(
        data_key="inFlight", metadata={"description": "Calls that had their permit already."}
    )
    waiting = fields.Integer(metadata={"description": "Deliveries that had not started."})
    held = fields.Integer(metadata={"description": "Of those, how many wait on."})
    dropped = fields.Integer(
        metadata={"description": "Of those, how many ended as `suppressed: halted`."}
    )
    sent_last_hour = fields.Integer(data_key="sentLastHour")


class HaltSchema(Payload):
    """A kill switch: nothing is sent for its subject until it is lifted."""

    id = fields.UUID(dump_only=True)
    kind = Choice(HaltKind, required=True)
    subject = fields.String(
        required=True,
        validate=validate.Length(1, 255),
        metadata={"description": "The id of the journey or action, or the destination's host."},
    )
    reason = fields.String(
        load_default=None, allow_none=True, validate=[validate.Length(1, 256), HAS_VISIBLE]
    )
    waiting = Choice(
        WaitingMode,
        required=True,
        metadata={
            "description": "`hold`: what has not started waits until the halt is lifted. `drop`: "
            "it ends as `suppressed: halted`, what comes later too."
        },
    )
    numbers = fields.Nested(HaltNumbersSchema, dump_only=True)
    created_at = fields.AwareDateTime(dump_only=True, data_key="createdAt")
    lifted_at = fields.AwareDateTime(dump_only=True, allow_none=True, data_key="liftedAt")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> NewHalt:
        """Return what to switch on."""
        kind, subject = HaltKind(values["kind"]), values["subject"]
        if kind is HaltKind.DESTINATION:
            subject = subject.lower()
            if not _HOST.match(subject):
                raise ValidationError("Expected a host: `api.push.example`.", "subject")
        else:
            key = parse_key(subject)
            if key is None:
                raise ValidationError("Not a valid UUID.", "subject")
            subject = str(key)
        return NewHalt(kind, subject, WaitingMode(values["waiting"]), values["reason"])


class HaltPageSchema(Payload):
    """A part of the halts, newest first."""

    items = fields.List(fields.Nested(HaltSchema), required=True)
    page = fields.Nested(PageInfoSchema, required=True)


def halt_answer(row: Halt) -> JsonObject:
    """Return what ``HaltSchema`` dumps."""
    numbers = halts.numbers_of(row)
    return {
        **{name: getattr(row, name) for name in ("id", "kind", "subject", "reason")},
        "waiting": halts.mode_of(row).value,
        "numbers": {
            **{name: numbers[name] for name in ("waiting", "held", "dropped") if name in numbers},
            "in_flight": numbers.get("inFlight", 0),
            "sent_last_hour": numbers.get("sentLastHour", 0),
        },
        "created_at": row.created_at,
        "lifted_at": row.lifted_at,
    }
