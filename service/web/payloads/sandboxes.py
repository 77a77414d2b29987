"""Sandboxes as the Sandbox Management API spells them."""

from dataclasses import dataclass
from typing import Any

from marshmallow import fields, post_load, validate

from service.sandboxes.registry import TYPES
from service.web.payloads.base import Payload, name_field


@dataclass(frozen=True, slots=True)
class NewSandbox:
    """A sandbox to open."""

    name: str
    title: str
    type: str


class SandboxSchema(Payload):
    """One isolated world."""

    name = fields.String(
        required=True,
        validate=validate.Regexp(
            r"\A[a-z][a-z0-9-]{0,255}\Z",
            error="Expected lower-case letters, digits and hyphens, a letter first, at most 256.",
        ),
        metadata={"description": "Lower-case letters, digits and hyphens."},
    )
    title = name_field(256, required=True)
    type = fields.String(required=True, validate=validate.OneOf(TYPES))
    state = fields.Constant("active", dump_only=True)
    created_at = fields.AwareDateTime(dump_only=True, data_key="createdDate")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> NewSandbox:
        """Return the sandbox to open."""
        return NewSandbox(**values)


class SandboxListSchema(Payload):
    """The sandboxes that the caller may enter."""

    sandboxes = fields.List(fields.Nested(SandboxSchema), required=True)
