"""Streaming ingestion connections and their changes."""

from typing import Any

from marshmallow import fields, post_load

from service.catalog.inlets import InletChanges, NewInlet
from service.web.context import services
from service.web.payloads.base import ORG_ID, Flag, PageInfoSchema, Payload, name_field


class InletSchema(Payload):
    """What ``/collection/{inlet}`` names."""

    id = fields.UUID(dump_only=True)
    name = name_field(required=True)
    org_id = fields.String(
        data_key="imsOrgId",
        validate=ORG_ID,
        metadata={"description": "The organisation that messages name in their header."},
    )
    is_enabled = Flag(load_default=True, data_key="enabled")
    requires_token = Flag(
        load_default=False,
        data_key="authenticationRequired",
        metadata={"description": "Whether senders need an access token with the scope collect."},
    )
    event_dataset_id = fields.UUID(dump_only=True, data_key="eventDatasetId")
    profile_dataset_id = fields.UUID(dump_only=True, data_key="profileDatasetId")
    created_at = fields.AwareDateTime(dump_only=True, data_key="createdAt")
    updated_at = fields.AwareDateTime(dump_only=True, data_key="updatedAt")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> NewInlet:
        """Return the inlet to create, in the installation's organisation unless named."""
        values.setdefault("org_id", services().settings.org_id)
        return NewInlet(**values)


class InletChangesSchema(Payload):
    """What to change; a key that is left out leaves its value as it is."""

    name = name_field()
    is_enabled = Flag(data_key="enabled")
    requires_token = Flag(data_key="authenticationRequired")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> InletChanges:
        """Return the changes."""
        return InletChanges(**values)


class InletPageSchema(Payload):
    """A part of the inlets, oldest first."""

    items = fields.List(fields.Nested(InletSchema), required=True)
    page = fields.Nested(PageInfoSchema, required=True)
