"""Audit entries and how to choose among them."""

from dataclasses import dataclass
from typing import Any

from marshmallow import fields, post_load, validate

from service.audit.entries import AuditFilter
from service.web.payloads.base import PageArguments, PageArgumentsSchema, PageInfoSchema, Payload


@dataclass(frozen=True, slots=True)
class AuditArguments:
    """Which entries, and which part of them."""

    wanted: AuditFilter
    page: PageArguments


class AuditArgumentsSchema(PageArgumentsSchema):
    """The query of the audit."""

    action = fields.String(load_default=None, validate=validate.Length(max=64))
    subject = fields.String(load_default=None, validate=validate.Length(max=256))
    reason = fields.String(load_default=None, validate=validate.Length(max=64))

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> AuditArguments:
        """Return the arguments as a value."""
        page = PageArguments(values.pop("limit"), values.pop("after"))
        return AuditArguments(AuditFilter(**values), page)


class AuditEntrySchema(Payload):
    """One thing that was refused, dropped or changed."""

    id = fields.UUID(required=True)
    at = fields.AwareDateTime(required=True)
    actor = fields.String(required=True)
    action = fields.String(required=True)
    subject = fields.String(required=True)
    reason = fields.String(required=True)
    facts = fields.Dict(keys=fields.String(), values=fields.Raw(allow_none=True), required=True)


class AuditPageSchema(Payload):
    """A part of the audit, newest first."""

    items = fields.List(fields.Nested(AuditEntrySchema), required=True)
    page = fields.Nested(PageInfoSchema, required=True)
