"""What the Mobile SDKs are told: the configuration file and the rules beside it. Pure.

Source: Mobile Core ``ConfigurationDownloader`` and ``RulesDownloader`` (Android, iOS); each
extension's "Configuration keys".
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from uuid import UUID
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from service.catalog.datastreams import DefaultConsent
from service.catalog.mobile_settings import (
    CollectConsent,
    Environment,
    EnvironmentSettings,
    Extension,
)
from service.core.json import JsonObject, encode

RULES_NAME = "rules.json"
_BUILDS = {
    Environment.DEVELOPMENT: "dev",
    Environment.STAGING: "stage",
    Environment.PRODUCTION: "prod",
}
_CONSENTS = {
    DefaultConsent.IN: CollectConsent.YES,
    DefaultConsent.PENDING: CollectConsent.PENDING,
    DefaultConsent.OUT: CollectConsent.NO,
}
_FORWARDED = ("applicationLaunch", "applicationClose")
_BEGINNING_OF_ZIP = (1980, 1, 1, 0, 0, 0)
_READABLE_FILE = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class Stream:
    """What a datastream contributes."""

    org_id: str
    event_dataset_id: UUID
    default_consent: DefaultConsent


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """The property that an app's file belongs to; ``file_id`` is what the app names."""

    property_id: UUID
    file_id: str


@dataclass(frozen=True, slots=True)
class App:
    """The builds of one environment.

    Attributes:
        file: ``None`` for an app that has no property and so downloads nothing.
    """

    environment: Environment
    extensions: tuple[Extension, ...]
    settings: EnvironmentSettings
    stream: Stream
    file: PublishedFile | None = None


def configuration(app: App) -> JsonObject:
    """Return the flat configuration; every extension of the app contributes its own keys."""
    keys: JsonObject = {}
    for extension in app.extensions:
        contribute = _CONTRIBUTIONS.get(extension)
        if contribute is not None:
            keys |= contribute(app)
    return keys


def configuration_url(app: App) -> str | None:
    """Return where the app may download its configuration."""
    return _url(app, "", ".json")


def rules(extensions: tuple[Extension, ...]) -> JsonObject:
    """Return the rules document: launch and close of the app are forwarded to the Edge Network.

    Without a rule the Lifecycle extension tells them to the other extensions only. They are
    forwarded when the app has both extensions; otherwise there are no rules.
    """
    is_forwarding = {Extension.LIFECYCLE, Extension.EDGE} <= set(extensions)
    named = enumerate(_FORWARDED, start=1) if is_forwarding else ()
    return {"version": 1, "rules": [_forward(source, f"RC{number}") for number, source in named]}


def rules_archive(extensions: tuple[Extension, ...]) -> bytes:
    """Return the rules as the SDKs download them: a ZIP of one file, always the same bytes."""
    entry = ZipInfo(RULES_NAME, _BEGINNING_OF_ZIP)
    entry.create_system = 3
    entry.external_attr = _READABLE_FILE
    entry.compress_type = ZIP_STORED
    archive = BytesIO()
    with ZipFile(archive, "w") as file:
        file.writestr(entry, encode(rules(extensions)))
    return archive.getvalue()


def _core(app: App) -> JsonObject:
    keys: JsonObject = {
        "global.privacy": app.settings.global_privacy.value,
        "experienceCloud.org": app.stream.org_id,
        "build.environment": _BUILDS[app.environment],
    }
    if app.file is not None:
        keys["property.id"] = str(app.file.property_id)
        keys["rules.url"] = _url(app, "rules/", ".zip")
    return keys


def _edge(app: App) -> JsonObject:
    return {
        "edge.configId": str(app.settings.datastream_id),
        "edge.domain": app.settings.edge_domain,
        "edge.environment": app.settings.edge_environment.value,
    }


def _consent(app: App) -> JsonObject:
    value = app.settings.consent_default or _CONSENTS[app.stream.default_consent]
    return {"consent.default": {"consents": {"collect": {"val": value.value}}}}


def _messaging(app: App) -> JsonObject:
    return {
        "messaging.eventDataset": str(app.settings.event_dataset_id or app.stream.event_dataset_id),
        "messaging.useSandbox": app.settings.use_sandbox,
        "messaging.optimizePushSync": app.settings.optimize_push_sync,
    }


def _lifecycle(app: App) -> JsonObject:
    return {"lifecycle.sessionTimeout": app.settings.session_timeout_s}


_CONTRIBUTIONS: dict[Extension, Callable[[App], JsonObject]] = {
    Extension.CORE: _core,
    Extension.EDGE: _edge,
    Extension.CONSENT: _consent,
    Extension.MESSAGING: _messaging,
    Extension.LIFECYCLE: _lifecycle,
}


def _url(app: App, folder: str, ending: str) -> str | None:
    """Return where one of the app's files lies.

    The SDKs speak https and nothing else, and the host that answers their events answers this.
    """
    if app.file is None:
        return None
    return f"https://{app.settings.edge_domain}/{folder}{app.file.file_id}{ending}"


def _forward(source: str, consequence_id: str) -> JsonObject:
    return {
        "condition": {
            "type": "group",
            "definition": {
                "logic": "and",
                "conditions": [
                    _is("~type", "com.adobe.eventType.lifecycle"),
                    _is("~source", f"com.adobe.eventSource.{source}"),
                ],
            },
        },
        "consequences": [
            {
                "id": consequence_id,
                "type": "dispatch",
                "detail": {
                    "type": "com.adobe.eventType.edge",
                    "source": "com.adobe.eventSource.requestContent",
                    "eventdataaction": "copy",
                },
            }
        ],
    }


def _is(key: str, value: str) -> JsonObject:
    return {
        "type": "matcher",
        "definition": {"key": key, "matcher": "eq", "values": [value]},
    }
