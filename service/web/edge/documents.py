"""The shapes of request bodies, as far as this service reads them; unknown keys are dropped.

Source: Edge ``RequestBuilder`` (Android, iOS, Roku) and alloy
``createDataCollectionRequestPayload``, ``createConsentRequestPayload``.
"""

from typing import Any, Literal

from msgspec import UNSET, Raw, Struct, field
from msgspec.json import Decoder

from service.web.xdm import IdentityDocument


class StreamingDocument(Struct, rename="camel"):
    """``meta.konductorConfig.streaming``."""

    enabled: bool = False
    record_separator: str | None = None
    line_feed: str | None = None


class KonductorDocument(Struct):
    """``meta.konductorConfig``."""

    streaming: StreamingDocument | None = None


class StateEntry(Struct):
    """One value that the client keeps for the server, in place of a cookie."""

    key: str | None = None
    value: str | None = None


class StateDocument(Struct, rename="camel"):
    """``meta.state``; only browsers name a domain: the apex under which they can set cookies."""

    domain: str | None = None
    cookies_enabled: bool | None = None
    entries: list[StateEntry] | None = None


class MetaDocument(Struct, rename="camel"):
    """``meta``; overrides are checked apart, because they have an error code of their own."""

    konductor_config: KonductorDocument | None = None
    state: StateDocument | None = None
    queue_time_millis: float | None = None
    config_overrides: Any = None


class SharedXdm(Struct, rename="camel"):
    """The request's own ``xdm``, which counts for each of its events.

    Roku's language writes unquoted keys in lower case.
    """

    identity_map: IdentityDocument | None = None
    implementation_details: dict[str, Any] | None = None
    identitymap: IdentityDocument | None = None
    implementationdetails: dict[str, Any] | None = None


class IdentityQuery(Struct):
    """``query.identity``."""

    fetch: list[str] | None = None


class ConsentQuery(Struct):
    """``query.consent``."""

    operation: Literal["update", "replace"] | None = None


class QueryDocument(Struct):
    """``query``."""

    identity: IdentityQuery | None = None
    consent: ConsentQuery | None = None


class CollectDocument(Struct, rename="camel"):
    """``meta.collect`` of an event."""

    dataset_id: str | None = None


class EventMeta(Struct):
    """``meta`` of an event."""

    collect: CollectDocument | None = None


class EventDocument(Struct):
    """One of ``events``: free-form XDM and free-form data.

    An event's own ``query`` is read only where the event is nothing but a question.
    """

    xdm: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    meta: EventMeta | None = None
    query: Raw = Raw()


class RequestDocument(Struct):
    """The body of every action; ``event`` is how ``v2/interact`` spells a single one."""

    meta: MetaDocument | None = None
    xdm: SharedXdm | None = None
    query: QueryDocument | None = None
    events: list[EventDocument] | None = None
    event: EventDocument | None = None


class ConsentItem(Struct, rename="camel"):
    """One of ``consent``: what is consented to, in the words of one standard."""

    standard: str | None = None
    version: str | None = None
    value: Any = UNSET
    gdpr_applies: bool | None = None
    gdpr_contains_personal_data: bool | None = None


class ConsentDocument(RequestDocument):
    """The body of ``privacy/set-consent``; its identities stand at the top."""

    consent: list[ConsentItem] | None = None
    identity_map: IdentityDocument | None = field(default=None, name="identityMap")


class NamespaceDocument(Struct):
    """``identity.namespace`` of a push token."""

    code: str | None = None


class TokenOwner(Struct):
    """``identity`` of a push token."""

    namespace: NamespaceDocument | None = None
    id: str | None = None


class TokenDocument(Struct):
    """One of ``data.pushNotificationDetails``; ``identiy`` is the schema's own old misspelling."""

    app_id: str = field(name="appID")
    platform: str
    token: str | None = None
    identity: TokenOwner | None = None
    identiy: TokenOwner | None = None


class LiveActivityDocument(Struct):
    """One of ``data.liveActivityPushNotificationDetails``."""

    app_id: str = field(name="appID")
    platform: str
    attribute_type: str = field(name="attributeType")
    token: str | None = None
    identity: TokenOwner | None = None


class ActivityUpdateDocument(Struct):
    """``data`` of an event of type ``liveActivity.updateToken``."""

    activity_id: str = field(name="liveActivityID")
    token: str | None = None


REQUESTS = Decoder(RequestDocument)
CONSENTS = Decoder(ConsentDocument)
QUERIES = Decoder(QueryDocument)
