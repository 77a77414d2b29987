"""Incidents: verdicts of a vendor that wait for a person's."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from marshmallow import fields, post_load, validate

from service.core.json import JsonObject
from service.outbound.incidents import MASS_INVALIDATION, Verdict
from service.outbound.models import Incident
from service.web.payloads.base import (
    Choice,
    PageArguments,
    PageArgumentsSchema,
    PageInfoSchema,
    Payload,
)


@dataclass(frozen=True, slots=True)
class IncidentArguments:
    """Which incidents, and which part of them; ``None`` asks for any."""

    is_open: bool | None
    action_id: UUID | None
    page: PageArguments


class IncidentArgumentsSchema(PageArgumentsSchema):
    """The query of the incidents."""

    is_open = fields.Boolean(
        load_default=None,
        data_key="open",
        truthy={"true"},
        falsy={"false"},
        metadata={"description": "Whether they wait for a decision."},
    )
    action_id = fields.UUID(load_default=None, data_key="actionId")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> IncidentArguments:
        """Return the arguments as a value."""
        page = PageArguments(values["limit"], values["after"])
        return IncidentArguments(values["is_open"], values["action_id"], page)


class IncidentSchema(Payload):
    """So many tokens were called dead at once that none of the verdicts is believed unasked."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True, validate=validate.OneOf([MASS_INVALIDATION]))
    action_id = fields.UUID(required=True, data_key="actionId")
    facts = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(allow_none=True),
        required=True,
        metadata={
            "description": "What raised the alarm: `deadOfLast` of the `last` sends; and what "
            "became of the held verdicts: `settled`, of which `denylisted` and `registeredAgain`."
        },
    )
    held = fields.Integer(
        required=True, metadata={"description": "Tokens whose verdict is held now."}
    )
    verdict = fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf([each.value for each in Verdict]),
    )
    opened_at = fields.AwareDateTime(required=True, data_key="openedAt")
    closed_at = fields.AwareDateTime(required=True, allow_none=True, data_key="closedAt")


class IncidentPageSchema(Payload):
    """A part of the incidents, newest first."""

    items = fields.List(fields.Nested(IncidentSchema), required=True)
    page = fields.Nested(PageInfoSchema, required=True)


class DecisionSchema(Payload):
    """What is true of the held verdicts."""

    verdict = Choice(
        Verdict,
        required=True,
        metadata={
            "description": "`believe` denylists the held tokens, but for those registered again "
            "since; `dismiss` forgets the verdicts."
        },
    )

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> Verdict:
        """Return the verdict."""
        return Verdict(values["verdict"])


def incident_answer(row: Incident, held: int) -> JsonObject:
    """Return what ``IncidentSchema`` dumps."""
    names = ("id", "kind", "action_id", "facts", "verdict", "opened_at", "closed_at")
    return {**{name: getattr(row, name) for name in names}, "held": held}
