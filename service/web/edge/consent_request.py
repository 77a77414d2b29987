"""``privacy/set-consent``: who consents to what, and what the client is told to remember.

Source: EdgeConsent ``ConsentExtension``; alloy ``createConsentRequestPayload``, ``Consent``;
Edge Network API, "Set consent"; service/decisions/0014-consent.md.
"""

from collections.abc import Mapping
from datetime import datetime

from service.core.json import JsonObject
from service.flows.sources import DatastreamSource
from service.identity.identity_map import ECID, ClaimedIdentity, merged
from service.profiles.incoming import IncomingConsent, IncomingRequest
from service.profiles.leaves import leaves, size
from service.web.edge import errors, overrides
from service.web.edge.clients import client_kind
from service.web.edge.consent_values import IN, OUT, Consent, read_consents, strictest
from service.web.edge.devices import Asked, name_device, shared_claims, state_of
from service.web.edge.documents import CONSENTS, ConsentDocument
from service.web.edge.identity_cookie import cookie_name
from service.web.edge.parsed import ConsentAnswer, ParsedRequest
from service.web.edge.reading import fetched_namespaces, read_document
from service.web.edge.target import EdgeTarget
from service.web.xdm import Claims, read_claims

MAX_CONSENTS = 20
MAX_PREFERENCES = 64
MAX_PREFERENCE_BYTES = 8 * 1024
_UPDATE = "update"
_GENERAL = "general="


def parse_consent(
    target: EdgeTarget, source: DatastreamSource, body: bytes, now: datetime
) -> ParsedRequest:
    """Return the consent as a request to keep.

    Raises:
        EdgeError: 4xx; nothing of the request may be stored.
        BodyError: A field has the wrong type, or the body cannot be read.
    """
    document, framing = read_document(body, CONSENTS)
    if document.events or document.event:
        raise errors.invalid_field("$.events", "a consent carries no events")
    if not document.consent:
        raise errors.missing_value("$.consent")
    if len(document.consent) > MAX_CONSENTS:
        raise errors.invalid_field("$.consent", f"holds more than {MAX_CONSENTS} consents")
    if document.meta is not None and document.meta.config_overrides is not None:
        overrides.event_dataset(document.meta.config_overrides, source)
    consents = read_consents(document.consent)
    client = client_kind(document, source, target)
    fetched = fetched_namespaces(document, target.action)
    claims = _claims(document)
    asked = Asked(target, source, document, body, now, wants_ecid=ECID in fetched)
    named = name_device(client, claims, asked)
    if not named.identities:
        raise errors.invalid_identity() if claims[1] else errors.missing_value("$.identityMap")
    given = _given(consents, named.identities, replaces=_replaces(document, consents), now=now)
    _check_size(given.preferences)
    return ParsedRequest(
        IncomingRequest(source, target.request_id, now, consents=(given,), body=body),
        framing,
        client,
        fetched,
        named.device,
        ConsentAnswer(_general(given.collect, named.cookies, source), given.preferences),
        state=state_of(document),
    )


def _claims(document: ConsentDocument) -> Claims:
    """Return who consents: the map at the top, and Roku's in the request's ``xdm``."""
    shared, refused = shared_claims(document.xdm)
    top, refused_on_top = read_claims(document.identity_map, "$.identityMap")
    return merged(shared, top), refused + refused_on_top


def _given(
    consents: list[Consent],
    identities: tuple[ClaimedIdentity, ...],
    *,
    replaces: bool,
    now: datetime,
) -> IncomingConsent:
    """Return one consent from several: of collecting the strictest, of all else the last counts."""
    preferences: JsonObject = {}
    for each in consents:
        preferences |= each.preferences
    collect = strictest(consents)
    speaking = [each for each in consents if each.collect == collect]
    if "collect" in preferences:
        preferences["collect"] = speaking[-1].preferences["collect"]
    moments = [each.at for each in consents if each.at is not None]
    devices = tuple(each for each in identities if each.namespace == ECID)
    others = tuple(each for each in identities if each.namespace != ECID)
    return IncomingConsent(
        identities=(*devices, *others),
        collect=collect,
        preferences=preferences,
        replaces=replaces,
        at=min(max(moments), now) if moments else now,
    )


def _check_size(preferences: JsonObject) -> None:
    """Refuse preferences that nobody has: whatever a device says is kept in versions."""
    problems = []
    count = sum(1 for _ in leaves(preferences))
    if count > MAX_PREFERENCES:
        problems.append(f"The preferences hold {count} values; at most {MAX_PREFERENCES} are kept")
    if size(preferences) > MAX_PREFERENCE_BYTES:
        problems.append(f"The preferences take more than {MAX_PREFERENCE_BYTES} bytes")
    if problems:
        raise errors.unprocessable(problems)


def _replaces(document: ConsentDocument, consents: list[Consent]) -> bool:
    """Tell whether earlier preferences are forgotten: only what speaks of all can replace all."""
    asked = document.query.consent if document.query else None
    is_update = asked is not None and asked.operation == _UPDATE
    return not is_update and any(each.is_whole for each in consents)


def _general(
    collect: str | None, cookies: Mapping[str, str], source: DatastreamSource
) -> str | None:
    """Return what a browser's consent cookie is to say.

    The Web SDK sends nothing more until there is one. When a consent does not speak of collecting,
    what was said before goes on, else the datastream's default.
    """
    if collect is not None:
        return collect
    before = cookies.get(cookie_name(source.org_id, "consent"), "").removeprefix(_GENERAL)
    known = before if before in {IN, OUT} else source.default_consent
    return known if known in {IN, OUT} else None
