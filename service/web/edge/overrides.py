"""Which dataset an event goes to when its sender names another than the datastream's own.

A request's override must be right, as Adobe has it; an event's own dataset, which a phone cannot
correct any more, is passed over with a warning when the datastream does not list it. Overrides for
Adobe's other products mean nothing here.

Source: Adobe Experience Platform, "Configure datastream overrides"; Edge Network API, error
``EXEG-0113-400``.
"""

from typing import Any
from uuid import UUID

from msgspec import Struct, ValidationError, convert

from service.core.ids import parse_key
from service.flows.sources import DatastreamSource
from service.web.edge import errors

_PATH = "$.meta.configOverrides"
_FAMILY = "com_adobe_experience_platform"


class DatasetOverride(Struct, rename="camel"):
    """One dataset in place of another."""

    dataset_id: str | None = None


class DatasetOverrides(Struct):
    """``com_adobe_experience_platform.datasets``."""

    event: DatasetOverride | None = None
    profile: DatasetOverride | None = None


class PlatformOverrides(Struct):
    """``com_adobe_experience_platform``."""

    datasets: DatasetOverrides | None = None


class ConfigOverrides(Struct):
    """``meta.configOverrides``, as far as it concerns this service."""

    com_adobe_experience_platform: PlatformOverrides | None = None


def event_dataset(overrides: Any, source: DatastreamSource) -> UUID | None:
    """Return the dataset that a request's events go to; ``None`` for the datastream's own.

    Raises:
        EdgeError: The overrides have a wrong type, or name a dataset that the datastream does
            not list.
    """
    try:
        document = convert(overrides, ConfigOverrides)
    except ValidationError as error:
        raise errors.invalid_overrides(f"{_PATH}: {error}") from error
    platform = document.com_adobe_experience_platform
    datasets = platform.datasets if platform else None
    if datasets is None:
        return None
    wanted = datasets.profile.dataset_id if datasets.profile else None
    if wanted and parse_key(wanted) != source.profile_dataset_id:
        raise errors.invalid_overrides(_unlisted("profile", wanted))
    wanted = datasets.event.dataset_id if datasets.event else None
    if not wanted:
        return None
    key = parse_key(wanted)
    if key is None or not _may_hold(source, key):
        raise errors.invalid_overrides(_unlisted("event", wanted))
    return None if key == source.event_dataset_id else key


def listed_dataset(name: str, source: DatastreamSource) -> UUID | None:
    """Return the dataset that an event names, or ``None`` when the datastream does not list it."""
    key = parse_key(name)
    return key if key is not None and _may_hold(source, key) else None


def _may_hold(source: DatastreamSource, key: UUID) -> bool:
    return key == source.event_dataset_id or key in source.settings.event_datasets


def _unlisted(kind: str, wanted: str) -> str:
    place = f"{_PATH}.{_FAMILY}.datasets.{kind}.datasetId"
    listed = "`eventDatasetIds`" if kind == "event" else "`profileDatasetId`"
    return f"{place}: the dataset '{wanted[:64]}' is not in the datastream's {listed}"
