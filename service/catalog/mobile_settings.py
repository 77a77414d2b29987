"""What may be set on a mobile property: its SDK extensions, and what each environment is told."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypedDict
from uuid import UUID

from service.core.errors import InvalidInputError
from service.core.json import JsonObject


class Environment(StrEnum):
    """The kind of an app's build; each downloads a configuration of its own."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


class Extension(StrEnum):
    """A part of the Mobile SDKs that an app registers; each reads keys of its own."""

    CORE = "core"
    EDGE_IDENTITY = "edgeidentity"
    EDGE = "edge"
    CONSENT = "consent"
    MESSAGING = "messaging"
    LIFECYCLE = "lifecycle"


class EdgeEnvironment(StrEnum):
    """The base path that the SDK takes: ``/ee`` or ``/ee-pre-prd``.

    The SDKs' third value, ``int``, sends to a host of Adobe's whatever the domain says.

    Source: Android ``EdgeEndpoint``, iOS ``EdgeEndpoint``.
    """

    PROD = "prod"
    PRE_PROD = "pre-prod"


class CollectConsent(StrEnum):
    """What counts as consent to collect until the app says otherwise; ``p`` holds events back."""

    YES = "y"
    NO = "n"
    PENDING = "p"


class GlobalPrivacy(StrEnum):
    """The privacy status of Mobile Core, which the Edge extension does not look at."""

    OPTED_IN = "optedin"
    OPTED_OUT = "optedout"
    UNKNOWN = "optunknown"


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """What the builds of one environment are told.

    Attributes:
        edge_domain: The bare host, on port 443 of which the service answers them over TLS.
        event_dataset_id: Where push tracking goes; ``None`` for the datastream's event dataset.
        use_sandbox: Whether iOS takes its push tokens for Apple's sandbox.
        consent_default: ``None`` for what the datastream's default consent says.
        session_timeout_s: Seconds in the background after which a launch is a new one.
    """

    datastream_id: UUID
    edge_domain: str
    edge_environment: EdgeEnvironment = EdgeEnvironment.PROD
    event_dataset_id: UUID | None = None
    use_sandbox: bool = False
    optimize_push_sync: bool = True
    consent_default: CollectConsent | None = None
    global_privacy: GlobalPrivacy = GlobalPrivacy.OPTED_IN
    session_timeout_s: int = 300


@dataclass(frozen=True, slots=True)
class PropertySettings:
    """The settings of one property; ``environments`` holds those that are served."""

    extensions: tuple[Extension, ...]
    environments: Mapping[Environment, EnvironmentSettings]


class EnvironmentChanges(TypedDict, total=False):
    """What to change of ``EnvironmentSettings``; what is absent stays."""

    datastream_id: UUID
    edge_domain: str
    edge_environment: EdgeEnvironment
    event_dataset_id: UUID | None
    use_sandbox: bool
    optimize_push_sync: bool
    consent_default: CollectConsent | None
    global_privacy: GlobalPrivacy
    session_timeout_s: int


_KEYS = {
    "datastream_id": "datastreamId",
    "edge_domain": "edgeDomain",
    "edge_environment": "edgeEnvironment",
    "event_dataset_id": "eventDatasetId",
    "use_sandbox": "useSandbox",
    "optimize_push_sync": "optimizePushSync",
    "consent_default": "consentDefault",
    "global_privacy": "globalPrivacy",
    "session_timeout_s": "sessionTimeout",
}
_REQUIRED = ("datastream_id", "edge_domain")
# what each extension cannot work without, as its own documentation says
_NEEDS = {
    Extension.EDGE_IDENTITY: (Extension.CORE,),
    Extension.EDGE: (Extension.CORE, Extension.EDGE_IDENTITY),
    Extension.CONSENT: (Extension.EDGE,),
    Extension.MESSAGING: (Extension.EDGE, Extension.EDGE_IDENTITY),
    Extension.LIFECYCLE: (Extension.CORE,),
}
_NOTHING = PropertySettings(tuple(Extension), {})


def read_settings(document: Mapping[str, Any]) -> PropertySettings:
    """Return stored settings as values."""
    stored = document["environments"]
    return PropertySettings(
        tuple(Extension(each) for each in document["extensions"]),
        {each: _read_environment(stored[each]) for each in Environment if each in stored},
    )


def as_document(settings: PropertySettings) -> JsonObject:
    """Return settings as they are stored."""
    return {
        "extensions": [each.value for each in settings.extensions],
        "environments": {
            name.value: {key: _plain(getattr(each, field)) for field, key in _KEYS.items()}
            for name, each in settings.environments.items()
        },
    }


def changed(
    before: PropertySettings | None,
    extensions: tuple[Extension, ...] | None,
    environments: Mapping[Environment, EnvironmentChanges | None],
) -> PropertySettings:
    """Return the settings after a change, or new ones where there were none.

    An environment that is not named stays, ``None`` removes one, and a new one has the defaults;
    development builds use Apple's push sandbox unless they say otherwise.

    Raises:
        InvalidInputError: An extension lacks one that it needs, a new environment lacks its
            datastream or domain, or no environment is left.
    """
    settings = before or _NOTHING
    chosen = settings.extensions if extensions is None else extensions
    _check_extensions(chosen)
    kept = dict(settings.environments)
    for name, changes in environments.items():
        if changes is None:
            kept.pop(name, None)
        elif name in kept:
            kept[name] = replace(kept[name], **changes)
        else:
            kept[name] = _new_environment(name, changes)
    if not kept:
        raise InvalidInputError(
            "environments names none that would be left: a property serves at least one of "
            f"{', '.join(Environment)}.",
            at="environments",
        )
    ordered = {name: kept[name] for name in Environment if name in kept}
    return PropertySettings(tuple(each for each in Extension if each in chosen), ordered)


def _check_extensions(chosen: tuple[Extension, ...]) -> None:
    if Extension.CORE not in chosen:
        raise InvalidInputError(
            "extensions lacks core, which every other extension works on: add it.",
            at="extensions",
        )
    for each in chosen:
        lacking = [needed for needed in _NEEDS.get(each, ()) if needed not in chosen]
        if lacking:
            raise InvalidInputError(
                f"extensions has {each}, which needs {' and '.join(lacking)}: add what is "
                f"missing, or leave {each} out.",
                at="extensions",
            )


def _new_environment(name: Environment, changes: EnvironmentChanges) -> EnvironmentSettings:
    lacking = [_KEYS[field] for field in _REQUIRED if field not in changes]
    if lacking:
        raise InvalidInputError(
            f"environments.{name} is new and lacks {' and '.join(lacking)}: an app needs to be "
            "told its datastream and the host that serves it.",
            at=f"environments.{name}.{lacking[0]}",
        )
    values: dict[str, Any] = {"use_sandbox": name is Environment.DEVELOPMENT, **changes}
    return EnvironmentSettings(**values)


def _read_environment(stored: Mapping[str, Any]) -> EnvironmentSettings:
    dataset, consent = stored["eventDatasetId"], stored["consentDefault"]
    return EnvironmentSettings(
        datastream_id=UUID(stored["datastreamId"]),
        edge_domain=stored["edgeDomain"],
        edge_environment=EdgeEnvironment(stored["edgeEnvironment"]),
        event_dataset_id=None if dataset is None else UUID(dataset),
        use_sandbox=stored["useSandbox"],
        optimize_push_sync=stored["optimizePushSync"],
        consent_default=None if consent is None else CollectConsent(consent),
        global_privacy=GlobalPrivacy(stored["globalPrivacy"]),
        session_timeout_s=stored["sessionTimeout"],
    )


def _plain(value: object) -> object:
    if isinstance(value, StrEnum):
        return value.value
    return str(value) if isinstance(value, UUID) else value
