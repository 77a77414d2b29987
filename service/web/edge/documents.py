"""The shapes of request bodies, as far as this service reads them; unknown keys are dropped.

Source: Edge ``RequestBuilder`` (Android, iOS) and alloy ``createDataCollectionRequestPayload``.
"""

from typing import Any

from msgspec import Struct, field
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


class StateDocument(Struct):
    """``meta.state``; only browsers name a domain."""

    domain: str | None = None
    entries: list[StateEntry] | None = None


class MetaDocument(Struct, rename="camel"):
    """``meta``."""

    konductor_config: KonductorDocument | None = None
    state: StateDocument | None = None


class DetailsDocument(Struct):
    """``xdm.implementationDetails``."""

    name: str | None = None


class SharedXdm(Struct, rename="camel"):
    """The request's own ``xdm``, which counts for each of its events."""

    identity_map: IdentityDocument | None = None
    implementation_details: DetailsDocument | None = None


class IdentityQuery(Struct):
    """``query.identity``."""

    fetch: list[str] | None = None


class QueryDocument(Struct):
    """``query``."""

    identity: IdentityQuery | None = None


class EventDocument(Struct):
    """One of ``events``: free-form XDM and free-form data."""

    xdm: dict[str, Any] | None = None
    data: dict[str, Any] | None = None


class RequestDocument(Struct):
    """The body of ``interact`` and ``collect``."""

    meta: MetaDocument | None = None
    xdm: SharedXdm | None = None
    query: QueryDocument | None = None
    events: list[EventDocument] | None = None


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
    token: str
    platform: str
    identity: TokenOwner | None = None
    identiy: TokenOwner | None = None


REQUESTS = Decoder(RequestDocument)
