"""Mobile properties, their changes, and the code that they come to."""

from typing import Any, cast

from marshmallow import fields, post_load, pre_dump, validate

from service.catalog import mobile_properties, mobile_settings, sdk_snippets
from service.catalog.mobile_properties import MobilePropertyChanges, NewMobileProperty
from service.catalog.mobile_settings import (
    CollectConsent,
    EdgeEnvironment,
    Environment,
    EnvironmentChanges,
    Extension,
    GlobalPrivacy,
)
from service.catalog.models import MobileProperty
from service.catalog.sdk_configuration import App
from service.web.payloads.base import (
    Changes,
    Choice,
    Flag,
    PageInfoSchema,
    Payload,
    Whole,
    name_field,
)

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_BARE_HOST = rf"\A{_LABEL}(\.{_LABEL}){{0,9}}\Z"
_ABOUT_HOST = (
    "Expected a bare host in lower case, without scheme, port and path: `edge.example.com`. The "
    "SDKs call it over https on port 443."
)
_MOST_HOST = 253
_DAY_S = 86_400


def host_field(**options: Any) -> fields.String:
    """Return a field for the host that an SDK is given."""
    return fields.String(
        data_key="edgeDomain",
        validate=[
            validate.Length(max=_MOST_HOST),
            validate.Regexp(_BARE_HOST, error=_ABOUT_HOST),
        ],
        metadata={
            "description": "The host under which this service answers apps, https on port 443."
        },
        **options,
    )


class EnvironmentChangesSchema(Payload):
    """What the builds of one environment are told; a key that is left out stays as it is.

    An environment that is new needs `datastreamId` and `edgeDomain`.
    """

    datastream_id = fields.UUID(
        data_key="datastreamId",
        metadata={"description": "`edge.configId`; a datastream that was made for mobile."},
    )
    edge_domain = host_field()
    edge_environment = Choice(
        EdgeEnvironment,
        data_key="edgeEnvironment",
        metadata={
            "default": EdgeEnvironment.PROD.value,
            "description": "The base path: `/ee` or `/ee-pre-prd`; both are served alike.",
        },
    )
    event_dataset_id = fields.UUID(
        data_key="eventDatasetId",
        allow_none=True,
        metadata={"description": "For push tracking; null is the datastream's event dataset."},
    )
    use_sandbox = Flag(
        data_key="useSandbox",
        metadata={"description": "iOS: Apple's push sandbox. Left out, true in development only."},
    )
    optimize_push_sync = Flag(
        data_key="optimizePushSync",
        metadata={"default": True, "description": "Whether a token is sent only when it changed."},
    )
    consent_default = Choice(
        CollectConsent,
        data_key="consentDefault",
        allow_none=True,
        metadata={"description": "null follows the datastream's `defaultConsent`."},
    )
    global_privacy = Choice(
        GlobalPrivacy,
        data_key="globalPrivacy",
        metadata={"default": GlobalPrivacy.OPTED_IN.value},
    )
    session_timeout_s = Whole(
        data_key="sessionTimeout",
        validate=validate.Range(1, _DAY_S),
        metadata={"default": 300, "description": "Seconds in the background that end a session."},
    )

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> EnvironmentChanges:
        """Return what was written."""
        return cast("EnvironmentChanges", values)  # its fields are named as the keys


class EnvironmentSchema(EnvironmentChangesSchema):
    """What the builds of one environment are told."""

    datastream_id = fields.UUID(
        required=True,
        data_key="datastreamId",
        metadata={"description": "`edge.configId`; a datastream that was made for mobile."},
    )
    edge_domain = host_field(required=True)
    app_id = fields.String(
        dump_only=True,
        data_key="appId",
        metadata={"description": "What the app gives to `configureWithAppID`."},
    )
    configuration_url = fields.URL(
        dump_only=True,
        data_key="configurationUrl",
        metadata={"description": "Where the configuration of these builds is served."},
    )


class EnvironmentsSchema(Payload):
    """The environments of a property, each with a configuration of its own."""

    development = fields.Nested(EnvironmentSchema)
    staging = fields.Nested(EnvironmentSchema)
    production = fields.Nested(EnvironmentSchema)


class EnvironmentsChangesSchema(Payload):
    """One that is left out stays, null removes it."""

    development = fields.Nested(EnvironmentChangesSchema, allow_none=True)
    staging = fields.Nested(EnvironmentChangesSchema, allow_none=True)
    production = fields.Nested(EnvironmentChangesSchema, allow_none=True)


def _extensions() -> fields.List[str]:
    return fields.List(
        Choice(Extension),
        validate=validate.Length(min=1, max=len(Extension)),
        metadata={
            "description": (
                "What the app registers; each brings its own keys. Left out, all of them."
            ),
        },
    )


class MobilePropertySchema(Payload):
    """What an app downloads its configuration by."""

    id = fields.UUID(dump_only=True)
    name = name_field(required=True)
    app_id = fields.String(
        dump_only=True,
        data_key="appId",
        metadata={"description": "The app id in production; the others end in `-` and their name."},
    )
    extensions = _extensions()
    environments = fields.Nested(EnvironmentsSchema, required=True)
    created_at = fields.AwareDateTime(dump_only=True, data_key="createdAt")
    updated_at = fields.AwareDateTime(dump_only=True, data_key="updatedAt")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> NewMobileProperty:
        """Return the property to create."""
        return NewMobileProperty(
            values["name"], _named(values["environments"]), _chosen(values.get("extensions"))
        )

    @pre_dump
    def show(self, row: MobileProperty, **_: Any) -> dict[str, Any]:
        """Return a row with its settings spelled out."""
        own = {each.key: getattr(row, each.key) for each in MobileProperty.__table__.columns}
        settings = mobile_settings.read_settings(row.settings)
        return own | {
            "extensions": settings.extensions,
            "environments": {
                name.value: _shown(row.app_id, name, each)
                for name, each in settings.environments.items()
            },
        }


class MobilePropertyChangesSchema(Changes):
    """What to change; a key that is left out leaves its value as it is."""

    fixed = frozenset({"id", "appId", "createdAt", "updatedAt"})
    name = name_field()
    extensions = _extensions()
    environments = fields.Nested(EnvironmentsChangesSchema)

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> MobilePropertyChanges:
        """Return the changes."""
        return MobilePropertyChanges(
            values.get("name"),
            _chosen(values.get("extensions")),
            _named(values.get("environments", {})),
        )


class MobilePropertyPageSchema(Payload):
    """A part of the mobile properties, oldest first."""

    items = fields.List(fields.Nested(MobilePropertySchema), required=True)
    page = fields.Nested(PageInfoSchema, required=True)


class PropertySnippetsArgumentsSchema(Payload):
    """Which builds are asked about."""

    environment = Choice(Environment, load_default=Environment.PRODUCTION)


class DatastreamSnippetsArgumentsSchema(Payload):
    """Under which host the service is reached."""

    edge_domain = host_field(required=True)


class SnippetsSchema(Payload):
    """Code that points an app or a page here, ready to paste."""

    kotlin = fields.String(metadata={"description": "Android, for `Application.onCreate`."})
    swift = fields.String(metadata={"description": "iOS, for the application delegate."})
    bundled = fields.String(
        data_key="adbMobileConfig",
        metadata={"description": "The file `ADBMobileConfig.json`, instead of code."},
    )
    alloy = fields.String(metadata={"description": "The Web SDK's `configure`."})
    app_id = fields.String(data_key="appId")
    configuration_url = fields.URL(data_key="configurationUrl")


def app_snippets(title: str, app: App) -> dict[str, Any]:
    """Return the code for an app's builds, by the names of ``SnippetsSchema``."""
    return {
        "kotlin": sdk_snippets.kotlin(title, app),
        "swift": sdk_snippets.swift(title, app),
        "bundled": sdk_snippets.bundled(app),
    }


def _named(
    environments: dict[str, EnvironmentChanges | None],
) -> dict[Environment, EnvironmentChanges | None]:
    return {Environment(name): each for name, each in environments.items()}


def _chosen(extensions: list[Extension] | None) -> tuple[Extension, ...] | None:
    return None if extensions is None else tuple(extensions)


def _shown(
    app_id: str, name: Environment, settings: mobile_settings.EnvironmentSettings
) -> dict[str, Any]:
    file_id = mobile_properties.file_id(app_id, name)
    own = {field: getattr(settings, field) for field in settings.__slots__}
    return own | {
        "app_id": file_id,
        "configuration_url": f"https://{settings.edge_domain}/{file_id}.json",
    }
