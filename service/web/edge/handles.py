"""The handles of an answer: what the server gives the client to keep or to know.

Source: Edge Network API, "Interactive data collection"; alloy ``createIdentity`` and
``injectProcessResponse`` (the Web SDK needs the result *and* the cookie); Roku ``adb_task``.
"""

from datetime import datetime

from service.core.json import JsonObject
from service.web.edge.identity_cookie import MAX_AGE_S, cookie_name, encode_cookie
from service.web.edge.protocol import ClientKind, ParsedRequest


def handles(parsed: ParsedRequest, org_id: str, now: datetime) -> list[JsonObject]:
    """Return the handles of a success; a mobile client needs none.

    A browser that asked is given the identity cookie too, at most once a day.
    """
    device = parsed.device
    if not parsed.wants_ecid or device.ecid is None:
        return []
    found = [_identity_result(device.ecid)]
    if parsed.client is ClientKind.WEB and device.is_cookie_due:
        value = encode_cookie(device.ecid, now, is_new=device.is_new)
        found.append(_state_store(cookie_name(org_id), value, MAX_AGE_S))
    return found


def _identity_result(ecid: str) -> JsonObject:
    return {"type": "identity:result", "payload": [{"id": ecid, "namespace": {"code": "ECID"}}]}


def _state_store(key: str, value: str, max_age_s: int) -> JsonObject:
    entry = {"key": key, "value": value, "maxAge": max_age_s, "attrs": {"SameSite": "None"}}
    return {"type": "state:store", "payload": [entry]}
