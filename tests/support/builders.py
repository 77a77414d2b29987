"""Valid values in one call; a test names only what it is about."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from service.core.ids import derived_key
from service.identity.identity_map import AuthenticatedState, ClaimedIdentity
from service.profiles.incoming import (
    AnnouncedToken,
    IncomingConsent,
    IncomingEvent,
    IncomingRecord,
    IncomingRequest,
    Source,
)
from service.sandboxes.scope import Scope
from tests.support.clocks import START

PROD = Scope(1, "prod")


def ecid(number: int) -> ClaimedIdentity:
    """Return the ECID of device ``number``."""
    return ClaimedIdentity("ECID", f"{number:038d}".replace("0", "4", 1))


def person(
    name: str,
    state: AuthenticatedState = AuthenticatedState.AUTHENTICATED,
    namespace: str = "CRMID",
) -> ClaimedIdentity:
    """Return a person's login."""
    return ClaimedIdentity(namespace, name, state)


def source(platform: str = "mobile", scope: Scope = PROD, **changes: Any) -> Source:
    """Return a datastream; a mobile one takes an absent person for a logout."""
    name = f"{scope.sandbox}:{platform}"
    defaults: dict[str, Any] = {
        "scope": scope,
        "id": derived_key("datastream", name),
        "platform": platform,
        "event_dataset_id": derived_key("events", name),
        "profile_dataset_id": derived_key("profiles", name),
        "logout_on": "absent" if platform == "mobile" else "loggedOut",
    }
    return Source(**{**defaults, **changes})


def token(device: ClaimedIdentity, text: str, platform: str = "fcm") -> AnnouncedToken:
    """Return a push token announced for a device."""
    return AnnouncedToken("com.example.shop", platform, text, device)


def event(
    *identities: ClaimedIdentity,
    at: float = 0,
    event_id: str = "",
    event_type: str | None = "web.webpagedetails.pageViews",
    **changes: Any,
) -> IncomingEvent:
    """Return an event ``at`` seconds after the start of every test."""
    moment = START + timedelta(seconds=at)
    name = event_id or str(uuid4())
    xdm = {"_id": name, "timestamp": moment.isoformat(), **changes.pop("xdm", {})}
    if event_type is not None:
        xdm["eventType"] = event_type
    return IncomingEvent(name, event_type, moment, identities, xdm, **changes)


def request(
    *events: IncomingEvent,
    source_: Source | None = None,
    received_at: datetime = START + timedelta(days=1),
    records: tuple[IncomingRecord, ...] = (),
    body: bytes = b"",
    consents: tuple[IncomingConsent, ...] = (),
) -> IncomingRequest:
    """Return a request with these events."""
    return IncomingRequest(
        source_ or source(), str(uuid4()), received_at, events, records, body, consents
    )


def consent(
    *identities: ClaimedIdentity,
    collect: str | None = None,
    at: float = 0,
    replaces: bool = False,
    **preferences: Any,
) -> IncomingConsent:
    """Return what a device or person says ``at`` seconds after the start of every test."""
    moment = START + timedelta(seconds=at)
    return IncomingConsent(identities, collect, preferences, replaces, moment)


def record(*identities: ClaimedIdentity, **attributes: Any) -> IncomingRecord:
    """Return a profile record."""
    return IncomingRecord(identities, attributes)


def random_key() -> UUID:
    """Return a key that nothing else has."""
    return uuid4()
