"""The handles of an answer: what the server gives the client to keep or to know.

Source: Edge Network API, "Interactive data collection"; alloy ``createIdentity``,
``injectProcessResponse`` and ``Consent`` (the Web SDK needs the result *and* the cookies);
EdgeConsent ``ConsentExtension``; Roku ``adb_task``, which reads the first handle.
"""

from datetime import datetime

from service.core.ids import derived_key
from service.core.json import JsonObject
from service.flows.sources import DatastreamSource
from service.web.edge import media
from service.web.edge.clients import ClientKind
from service.web.edge.ecid import ecid_from
from service.web.edge.first_party import KeptValue
from service.web.edge.identity_cookie import MAX_AGE_S, cookie_name, encode_cookie
from service.web.edge.parsed import ParsedRequest

CONSENT_MAX_AGE_S = 15_552_000
CORE = "CORE"
_PENDING = "pending"
_NONE_IGNORED: frozenset[int] = frozenset()


def kept_values(parsed: ParsedRequest, source: DatastreamSource, now: datetime) -> list[KeptValue]:
    """Return what a browser is to keep: its consent, and its identity at most once a day.

    A pending consent takes the cookie away, for the Web SDK waits as long as there is none.
    """
    if parsed.client is not ClientKind.WEB:
        return []
    values = []
    consent = parsed.consent
    if consent is not None and consent.general is not None:
        max_age_s = 0 if consent.general == _PENDING else CONSENT_MAX_AGE_S
        name = cookie_name(source.org_id, "consent")
        values.append(KeptValue(name, f"general={consent.general}", max_age_s))
    device = parsed.device
    is_told = parsed.wants_ecid or consent is not None
    if is_told and device.ecid is not None and device.is_cookie_due:
        identity = encode_cookie(device.ecid, now, is_new=device.is_new)
        values.append(KeptValue(cookie_name(source.org_id), identity, MAX_AGE_S))
    return values


def handles(
    parsed: ParsedRequest,
    source: DatastreamSource,
    values: list[KeptValue],
    ignored: frozenset[int] = _NONE_IGNORED,
) -> list[JsonObject]:
    """Return the handles of a success; a mobile client's event needs none.

    ``ignored`` are the events, by index, that were not kept for lack of consent.
    """
    found = []
    device = parsed.device
    if parsed.fetched and device.ecid is not None:
        identities = _identities(parsed, device.ecid, source)
        if identities:
            found.append({"type": "identity:result", "payload": identities})
    if values:
        found.append({"type": "state:store", "payload": [_entry(each) for each in values]})
    if parsed.consent is not None and parsed.client is not ClientKind.WEB:
        payload = [parsed.consent.preferences]
        found.append({"type": "consent:preferences", "payload": payload})
    return found + media.new_sessions(parsed, ignored)


def _identities(parsed: ParsedRequest, ecid: str, source: DatastreamSource) -> list[JsonObject]:
    found: list[JsonObject] = []
    if parsed.wants_ecid:
        found.append({"id": ecid, "namespace": {"code": "ECID"}})
    if CORE in parsed.fetched and source.settings.third_party_ids:
        seed = derived_key(source.scope.sandbox, source.org_id, CORE, ecid).bytes
        found.append({"id": ecid_from(seed), "namespace": {"code": CORE}})
    return found


def _entry(each: KeptValue) -> JsonObject:
    return {
        "key": each.key,
        "value": each.value,
        "maxAge": each.max_age_s,
        "attrs": {"SameSite": "None"},
    }
