"""The files that apps download at each launch, made once in five seconds per process."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from threading import Lock

import structlog
from sqlalchemy.orm import Session

from service.catalog import datastreams, mobile_properties, mobile_settings, sdk_configuration
from service.catalog.datastreams import DefaultConsent
from service.catalog.mobile_settings import Environment
from service.catalog.models import Datastream, MobileProperty
from service.catalog.sdk_configuration import App, PublishedFile, Stream
from service.core.clock import Clock
from service.core.errors import StoreUnavailableError
from service.core.json import encode
from service.db.session import SessionFactory, unit_of_work

FRESH_S = 5.0
_LOG = structlog.get_logger("service.flows.sdk_files")
_MOST_ENTRIES = 1_000
_TAG_CHARACTERS = 32


class FileKind(StrEnum):
    """What an app downloads: its configuration first, then the rules that this names."""

    CONFIGURATION = "configuration"
    RULES = "rules"


@dataclass(frozen=True, slots=True)
class SdkFile:
    """One file as it is served.

    Attributes:
        etag: Quoted; it follows from the bytes alone.
        modified_at: When the property or its datastream was last changed, in whole seconds.
    """

    body: bytes
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class _Entry:
    file: SdkFile
    fresh_until: float


class SdkFiles:
    """Finds files by what an app names.

    A change is followed within five seconds. While the store is away, what was read before is
    served on; unknown names are never remembered.
    """

    def __init__(self, sessions: SessionFactory, clock: Clock) -> None:
        self._sessions = sessions
        self._clock = clock
        self._entries: dict[tuple[FileKind, str], _Entry] = {}
        self._refreshing = Lock()

    def find(self, kind: FileKind, file_id: str) -> SdkFile | None:
        """Return a file, ``None`` when no property serves this environment.

        Raises:
            StoreUnavailableError: The store is away and the file was not read before.
        """
        key = (kind, file_id)
        entry = self._entries.get(key)
        if entry is None:
            return self._load(key)
        if self._clock.monotonic() < entry.fresh_until:
            return entry.file
        if not self._refreshing.acquire(blocking=False):
            return entry.file
        try:
            return self._load(key)
        except StoreUnavailableError:
            _LOG.warning("sdk_file_is_stale", kind=kind)
            return entry.file
        finally:
            self._refreshing.release()

    def _load(self, key: tuple[FileKind, str]) -> SdkFile | None:
        kind, file_id = key
        named = mobile_properties.parse_file_id(file_id)
        if named is None:
            return None
        with unit_of_work(self._sessions) as session:
            file = _read(session, kind, *named)
        if file is None:
            self._entries.pop(key, None)
            return None
        if len(self._entries) >= _MOST_ENTRIES:
            self._entries.clear()
        self._entries[key] = _Entry(file, self._clock.monotonic() + FRESH_S)
        return file


def app_of(row: MobileProperty, environment: Environment, datastream: Datastream) -> App:
    """Return what one environment of a property is told.

    Raises:
        KeyError: The property does not serve the environment.
    """
    settings = mobile_settings.read_settings(row.settings)
    file_id = mobile_properties.file_id(row.app_id, environment)
    return App(
        environment,
        settings.extensions,
        settings.environments[environment],
        stream_of(datastream),
        PublishedFile(row.id, file_id),
    )


def stream_of(row: Datastream) -> Stream:
    """Return what a datastream contributes."""
    return Stream(row.org_id, row.event_dataset_id, DefaultConsent(row.default_consent))


def _read(
    session: Session, kind: FileKind, app_id: str, environment: Environment
) -> SdkFile | None:
    found = mobile_properties.find_by_app(session, app_id)
    if found is None:
        return None
    row, scope = found
    settings = mobile_settings.read_settings(row.settings)
    if environment not in settings.environments:
        return None
    if kind is FileKind.RULES:
        return _file(sdk_configuration.rules_archive(settings.extensions), row.updated_at)
    datastream_id = settings.environments[environment].datastream_id
    datastream = datastreams.get(session, scope, datastream_id)
    document = sdk_configuration.configuration(app_of(row, environment, datastream))
    return _file(encode(document), max(row.updated_at, datastream.updated_at))


def _file(body: bytes, changed_at: datetime) -> SdkFile:
    tag = hashlib.sha256(body).hexdigest()[:_TAG_CHARACTERS]
    return SdkFile(body, f'"{tag}"', changed_at.replace(microsecond=0))
