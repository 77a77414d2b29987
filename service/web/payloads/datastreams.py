"""Datastreams and their changes."""

from typing import Any

from marshmallow import fields, post_load, validate

from service.catalog.datastreams import (
    DatastreamChanges,
    DefaultConsent,
    LogoutOn,
    LogoutPolicy,
    NewDatastream,
    Platform,
)
from service.web.context import services
from service.web.payloads.base import Choice, Flag, PageInfoSchema, Payload, name_field

_MOST = 100
_ORIGIN = r"\Ahttps?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?\Z"
_LISTED = validate.Length(max=_MOST)


def _app_ids(**options: Any) -> fields.List[str]:
    one = fields.String(validate=validate.Regexp(r"\A[A-Za-z0-9._-]{1,255}\Z"))
    about = "Apps whose push tokens are taken; empty means any."
    return fields.List(
        one,
        validate=_LISTED,
        data_key="appIds",
        metadata={"description": about},
        **options,
    )


def _origins(**options: Any) -> fields.List[str]:
    one = fields.String(validate=validate.Regexp(_ORIGIN))
    about = "Web origins that browsers may call from; empty means any."
    return fields.List(one, validate=_LISTED, metadata={"description": about}, **options)


class DatastreamSchema(Payload):
    """What an SDK's ``configId`` names."""

    id = fields.UUID(dump_only=True)
    name = name_field(required=True)
    platform = Choice(Platform, required=True)
    org_id = fields.String(
        data_key="imsOrgId",
        validate=validate.Regexp(r"\A[A-Za-z0-9]{1,40}@[A-Za-z0-9]{1,20}\Z"),
        metadata={"description": "The organisation that the SDK is configured with."},
    )
    is_enabled = Flag(load_default=True, data_key="enabled")
    app_ids = _app_ids(load_default=())
    origins = _origins(load_default=())
    default_consent = Choice(
        DefaultConsent,
        load_default=DefaultConsent.IN,
        data_key="defaultConsent",
    )
    logout_on = Choice(
        LogoutOn,
        data_key="logoutOn",
        metadata={"description": "Left out: absent on mobile, loggedOut on web."},
    )
    logout_policy = Choice(
        LogoutPolicy,
        load_default=LogoutPolicy.DETACH,
        data_key="logoutPolicy",
    )
    event_dataset_id = fields.UUID(dump_only=True, data_key="eventDatasetId")
    profile_dataset_id = fields.UUID(dump_only=True, data_key="profileDatasetId")
    created_at = fields.AwareDateTime(dump_only=True, data_key="createdAt")
    updated_at = fields.AwareDateTime(dump_only=True, data_key="updatedAt")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> NewDatastream:
        """Return the datastream to create, in the installation's organisation unless named."""
        values.setdefault("org_id", services().settings.org_id)
        return NewDatastream(**_tuples(values))


class DatastreamChangesSchema(Payload):
    """What to change; a key that is left out leaves its value as it is."""

    name = name_field()
    is_enabled = Flag(data_key="enabled")
    app_ids = _app_ids()
    origins = _origins()
    default_consent = Choice(DefaultConsent, data_key="defaultConsent")
    logout_on = Choice(LogoutOn, data_key="logoutOn")
    logout_policy = Choice(LogoutPolicy, data_key="logoutPolicy")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> DatastreamChanges:
        """Return the changes."""
        return DatastreamChanges(**_tuples(values))


class DatastreamPageSchema(Payload):
    """A part of the datastreams, oldest first."""

    items = fields.List(fields.Nested(DatastreamSchema), required=True)
    page = fields.Nested(PageInfoSchema, required=True)


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
