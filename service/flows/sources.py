"""Which datastream or inlet a request names, read once in five seconds per process."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import Generic, TypeVar
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from service.catalog import datastreams, inlets
from service.catalog.datastream_settings import (
    DEFAULTS,
    DatastreamSettings,
    LoginProofMode,
    read_settings,
)
from service.catalog.models import Datastream, Inlet
from service.core.clock import Clock
from service.core.ids import parse_key
from service.core.secret import Keyring, Secret, SecretKeyError
from service.db.session import SessionFactory, unit_of_work
from service.identity import rules as namespace_rules
from service.profiles.incoming import Source
from service.sandboxes.scope import Scope

FRESH_S = 5.0
_LOG = structlog.get_logger("service.flows.sources")
_MOST_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class DatastreamSource(Source):
    """A datastream, with what its HTTP answers depend on.

    Attributes:
        org_id: The organisation in the names of its cookies.
        origins: Web origins that browsers may call from; empty means any.
        device_namespaces: Those that name no person, so need no proof of login; known only while
            the datastream asks for proofs. An unknown namespace is taken for a person's.
    """

    org_id: str = ""
    origins: frozenset[str] = frozenset()
    settings: DatastreamSettings = DEFAULTS
    device_namespaces: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class InletSource(Source):
    """An inlet, with who may send to it.

    Attributes:
        org_id: The organisation that a message's header must name.
        requires_token: Whether a request must carry an access token.
    """

    org_id: str = ""
    requires_token: bool = False


@dataclass(frozen=True, slots=True)
class Disabled:
    """The datastream or inlet exists and was switched off."""

    id: UUID


S = TypeVar("S", bound=Source)


@dataclass(frozen=True, slots=True)
class _Entry(Generic[S]):
    value: S | Disabled
    fresh_until: float


class _Shelf(Generic[S]):
    """The sources of one kind that this process met; unknown ids are never remembered.

    When an entry is stale one thread reads it again and the others are served the old one.
    """

    def __init__(self, read: Callable[[Session, UUID], S | Disabled | None]) -> None:
        self._read = read
        self._entries: dict[UUID, _Entry[S]] = {}
        self._refreshing = Lock()

    def find(self, sessions: SessionFactory, clock: Clock, text: str) -> S | Disabled | None:
        key = parse_key(text)
        if key is None:
            return None
        entry = self._entries.get(key)
        if entry is None:
            return self._load(sessions, clock, key)
        if clock.monotonic() < entry.fresh_until or not self._refreshing.acquire(blocking=False):
            return entry.value
        try:
            return self._load(sessions, clock, key)
        finally:
            self._refreshing.release()

    def _load(self, sessions: SessionFactory, clock: Clock, key: UUID) -> S | Disabled | None:
        with unit_of_work(sessions) as session:
            value = self._read(session, key)
        if value is None:
            self._entries.pop(key, None)
            return None
        if len(self._entries) >= _MOST_ENTRIES:
            self._entries.clear()
        self._entries[key] = _Entry(value, clock.monotonic() + FRESH_S)
        return value


class SourceDirectory:
    """Finds sources by the text that a request names them with.

    A change of a datastream or inlet is followed within five seconds; a new one is known at once.
    """

    def __init__(self, sessions: SessionFactory, clock: Clock, keyring: Keyring) -> None:
        self._sessions = sessions
        self._clock = clock
        self._datastreams = _Shelf(partial(_read_datastream, keys=_LoginKeys(keyring)))
        self._inlets = _Shelf(_read_inlet)

    def datastream(self, text: str) -> DatastreamSource | Disabled | None:
        """Return the datastream with this id, ``None`` when there is none.

        Raises:
            StoreUnavailableError: The store had to be asked and is away.
        """
        return self._datastreams.find(self._sessions, self._clock, text)

    def inlet(self, text: str) -> InletSource | Disabled | None:
        """Return the inlet with this id, ``None`` when there is none.

        Raises:
            StoreUnavailableError: The store had to be asked and is away.
        """
        return self._inlets.find(self._sessions, self._clock, text)


class _LoginKeys:
    """Reads the secrets of login proofs; one that cannot be read is logged once."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._unreadable: set[UUID] = set()

    def read(self, row: Datastream) -> Secret | None:
        """Return a datastream's secret, ``None`` when there is none that can be read.

        Without it no proof can be right, and events are kept all the same.
        """
        if row.login_key is None:
            return None
        try:
            secret = self._keyring.decrypt(row.login_key)
        except SecretKeyError as error:
            if row.id not in self._unreadable:
                _LOG.error("login_key_unreadable", datastream=str(row.id), reason=error.detail)
                self._unreadable.add(row.id)
            return None
        self._unreadable.discard(row.id)
        return secret


def _read_datastream(
    session: Session, key: UUID, *, keys: _LoginKeys
) -> DatastreamSource | Disabled | None:
    found = datastreams.find_source(session, key)
    if found is None:
        return None
    row, scope = found
    if not row.is_enabled:
        return Disabled(key)
    source = datastream_source(row, scope, keys.read(row))
    if source.settings.login_proof.mode is LoginProofMode.OFF:
        return source
    namespaces = namespace_rules.read(session, scope).items()
    devices = frozenset(code for code, rule in namespaces if not rule.is_person)
    return replace(source, device_namespaces=devices)


def _read_inlet(session: Session, key: UUID) -> InletSource | Disabled | None:
    found = inlets.find_source(session, key)
    if found is None:
        return None
    row, scope = found
    return inlet_source(row, scope) if row.is_enabled else Disabled(key)


def datastream_source(
    row: Datastream, scope: Scope, secret: Secret | None = None
) -> DatastreamSource:
    """Return a datastream as ingest knows it; ``secret`` is that of its login proofs."""
    return DatastreamSource(
        scope=scope,
        id=row.id,
        platform=row.platform,
        event_dataset_id=row.event_dataset_id,
        profile_dataset_id=row.profile_dataset_id,
        logout_on=row.logout_on,
        logout_policy=row.logout_policy,
        default_consent=row.default_consent,
        app_ids=frozenset(row.app_ids),
        org_id=row.org_id,
        origins=frozenset(row.origins),
        settings=read_settings(row.settings, secret),
    )


def inlet_source(row: Inlet, scope: Scope) -> InletSource:
    """Return an inlet as ingest knows it; its records speak of people, so no device logs out."""
    return InletSource(
        scope=scope,
        id=row.id,
        platform="inlet",
        event_dataset_id=row.event_dataset_id,
        profile_dataset_id=row.profile_dataset_id,
        org_id=row.org_id,
        requires_token=row.requires_token,
    )
