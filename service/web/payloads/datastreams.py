"""Datastreams and their changes."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from marshmallow import fields, post_load, pre_dump, validate

from service.catalog.datastream_settings import SettingsChanges
from service.catalog.datastreams import (
    DatastreamChanges,
    DefaultConsent,
    LogoutOn,
    LogoutPolicy,
    NewDatastream,
    Platform,
)
from service.catalog.models import Datastream
from service.web.context import services
from service.web.payloads.base import (
    ORG_ID,
    Changes,
    Choice,
    Flag,
    PageInfoSchema,
    Payload,
    name_field,
)
from service.web.payloads.datastream_settings import (
    SettingsFields,
    settings_of,
    shown_settings,
)

_MOST = 100
_ORIGIN = r"\Ahttps?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?\Z"
_ABOUT_ORIGIN = (
    "Expected a scheme and a host in lower case, with a port if need be and without a path: "
    "`https://www.example.com`."
)
_APP_ID = "Expected 1 to 255 letters, digits, dots, hyphens and underscores: `com.example.shop`."
_LISTED = validate.Length(max=_MOST)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Written(Generic[T]):
    """A datastream or its changes, and the settings that were written with it."""

    datastream: T
    settings: SettingsChanges


def _app_ids(**options: Any) -> fields.List[str]:
    one = fields.String(validate=validate.Regexp(r"\A[A-Za-z0-9._-]{1,255}\Z", error=_APP_ID))
    about = "Apps whose push tokens are taken; empty means any."
    return fields.List(
        one,
        validate=_LISTED,
        data_key="appIds",
        metadata={"description": about},
        **options,
    )


def _origins(**options: Any) -> fields.List[str]:
    one = fields.String(validate=validate.Regexp(_ORIGIN, error=_ABOUT_ORIGIN))
    about = "Web origins that browsers may call from; empty means any."
    return fields.List(one, validate=_LISTED, metadata={"description": about}, **options)


class DatastreamSchema(SettingsFields):
    """What an SDK's ``configId`` names."""

    id = fields.UUID(dump_only=True)
    name = name_field(required=True)
    platform = Choice(Platform, required=True)
    org_id = fields.String(
        data_key="imsOrgId",
        validate=ORG_ID,
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
    def make(self, values: dict[str, Any], **_: Any) -> Written[NewDatastream]:
        """Return the datastream to create, in the installation's organisation unless named."""
        settings = settings_of(values)
        values.setdefault("org_id", services().settings.org_id)
        return Written(NewDatastream(**_tuples(values)), settings)

    @pre_dump
    def show(self, row: Datastream, **_: Any) -> dict[str, Any]:
        """Return a row with its settings spelled out, without the secret."""
        own = {each.key: getattr(row, each.key) for each in Datastream.__table__.columns}
        return own | shown_settings(row.settings, has_secret=row.login_key is not None)


class DatastreamChangesSchema(Changes, SettingsFields):
    """What to change; a key that is left out leaves its value as it is, in `loginProof` too."""

    fixed = frozenset(
        {
            *("id", "platform", "imsOrgId", "eventDatasetId", "profileDatasetId"),
            *("createdAt", "updatedAt"),
        },
    )
    name = name_field()
    is_enabled = Flag(data_key="enabled")
    app_ids = _app_ids()
    origins = _origins()
    default_consent = Choice(DefaultConsent, data_key="defaultConsent")
    logout_on = Choice(LogoutOn, data_key="logoutOn")
    logout_policy = Choice(LogoutPolicy, data_key="logoutPolicy")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> Written[DatastreamChanges]:
        """Return the changes."""
        settings = settings_of(values)
        return Written(DatastreamChanges(**_tuples(values)), settings)


class DatastreamPageSchema(Payload):
    """A part of the datastreams, oldest first."""

    items = fields.List(fields.Nested(DatastreamSchema), required=True)
    page = fields.Nested(PageInfoSchema, required=True)


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
