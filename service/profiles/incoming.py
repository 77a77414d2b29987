"""What arrives: events, profile records and push tokens, parsed and not yet kept.

Every inlet (Edge request, streaming ingestion, file) speaks in these values, so there is one way
into the store: ``flows.ingest``.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from service.identity.identity_map import ClaimedIdentity, RefusedIdentity
from service.sandboxes.scope import Scope

INLET = "inlet"


@dataclass(frozen=True, slots=True)
class Source:
    """Where facts come from: a datastream or an inlet, and the rules it sets.

    Attributes:
        id: Datastream or inlet id; events are unique by it and ``_id``.
        platform: ``mobile``, ``web`` or ``inlet``; tokens of the wrong platform are refused.
        logout_on: ``loggedOut`` or ``absent``: what ends a login on a device.
        logout_policy: ``detach`` or ``keepAnonymous``: what becomes of the token then.
        default_consent: ``in``, ``pending`` or ``out`` for collect.
        app_ids: Apps whose tokens are taken; empty means any.
    """

    scope: Scope
    id: UUID
    platform: str
    event_dataset_id: UUID
    profile_dataset_id: UUID
    logout_on: str = "loggedOut"
    logout_policy: str = "detach"
    default_consent: str = "in"
    app_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AnnouncedToken:
    """One entry of ``pushNotificationDetails``; ``device`` is the ECID it is announced for."""

    app_id: str
    platform: str
    token: str = field(repr=False)
    device: ClaimedIdentity


@dataclass(frozen=True, slots=True)
class AnnouncedLiveActivity:
    """A token by which a live activity is started (``name``: its type) or updated (its id)."""

    kind: str
    name: str
    token: str = field(repr=False)
    device: ClaimedIdentity
    app_id: str | None = None
    platform: str | None = None


@dataclass(frozen=True, slots=True)
class IncomingEvent:
    """One XDM ExperienceEvent.

    ``identities`` are those of request and event together; ``at`` is ``xdm.timestamp``. ``xdm``
    keeps ``_id``, ``timestamp`` and ``eventType`` as they came. ``dataset_id`` names another
    dataset than the source's own.
    """

    event_id: str
    event_type: str | None
    at: datetime
    identities: tuple[ClaimedIdentity, ...]
    xdm: dict[str, Any] = field(repr=False)
    data: dict[str, Any] | None = field(default=None, repr=False)
    tokens: tuple[AnnouncedToken, ...] = ()
    refused: tuple[RefusedIdentity, ...] = ()
    live_activities: tuple[AnnouncedLiveActivity, ...] = ()
    dataset_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class IncomingConsent:
    """What a device or person says of what may be done with their data.

    Attributes:
        identities: Who says it, the device first.
        collect: ``in``, ``pending`` or ``out``; ``None`` when collecting is not spoken of.
        preferences: XDM "Consents and Preferences", as kept at ``consents`` of the profile.
        replaces: Whether earlier preferences are forgotten or merged with these.
        at: When it was said.
        refused: Identities that cannot be one, and people of whom nothing proves that they speak.
    """

    identities: tuple[ClaimedIdentity, ...]
    collect: str | None
    preferences: dict[str, Any]
    replaces: bool
    at: datetime
    refused: tuple[RefusedIdentity, ...] = ()


@dataclass(frozen=True, slots=True)
class IncomingRecord:
    """One Individual Profile record: attributes of the identities it names."""

    identities: tuple[ClaimedIdentity, ...]
    attributes: dict[str, Any]
    refused: tuple[RefusedIdentity, ...] = ()


@dataclass(frozen=True, slots=True)
class IncomingRequest:
    """One request, kept whole or not at all. ``body`` is what quarantine keeps of a guilty one."""

    source: Source
    request_id: str
    received_at: datetime
    events: tuple[IncomingEvent, ...] = ()
    records: tuple[IncomingRecord, ...] = ()
    body: bytes = field(default=b"", repr=False)
    consents: tuple[IncomingConsent, ...] = ()


class Part(StrEnum):
    """What of a request can be refused while the rest of it is kept."""

    TOKEN = "token"  # noqa: S105 - a kind of thing
    IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that does not count, for the answer's warnings.

    Attributes:
        subject: The platform of a token as it was sent, the namespace of an identity.
        reason: A constant code, the same as in the audit.
        event: Which event of the request it stands in; ``None`` for a consent.
    """

    part: Part
    subject: str
    reason: str
    event: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What one request left in the store.

    Attributes:
        stored: Events that are new; duplicates are not counted and had no effect.
        refusals: What of the request does not count.
        without_consent: Which events of the request, by index, were not kept for lack of consent.
        nameless_events: Which events of an inlet, by index, were not kept: they name nobody.
        nameless_records: Which records, by index, were not kept: they name nobody.
        nameless_consents: Which consents, by index, were not kept: they are nobody's.
    """

    stored: int = 0
    duplicates: int = 0
    records: int = 0
    refusals: tuple[Refusal, ...] = ()
    without_consent: tuple[int, ...] = ()
    nameless_events: tuple[int, ...] = ()
    nameless_records: tuple[int, ...] = ()
    nameless_consents: tuple[int, ...] = ()
