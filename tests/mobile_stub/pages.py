"""Pages before a scripted Edge Network, in a time that only waiting moves."""

import base64
import json
from typing import Any, Protocol

from mobile_stub.browser import Browser

ORG_PREFIX = "kndctr_EDGEPOST_AdobeOrg_"
ECID = "41861666193140161934276845651148876988"


class OpenPage(Protocol):
    """Opens a browser on https://www.example.com; ``edge_domain`` is where the endpoint lies."""

    def __call__(self, *, edge_domain: str = "", **config: Any) -> Browser: ...


def identity_value(ecid: str = ECID) -> str:
    """Return the value of an identity cookie, as a server writes it: field 1 first."""
    return base64.b64encode(b"\x0a" + bytes([len(ecid)]) + ecid.encode()).decode()


def stored(suffix: str, value: str, max_age: int | None = 3600) -> dict[str, Any]:
    """Return a handle that asks the page to set one of the SDK's cookies."""
    entry: dict[str, Any] = {"key": ORG_PREFIX + suffix, "value": value}
    if max_age is not None:
        entry["maxAge"] = max_age
    entry["attrs"] = {"SameSite": "None"}
    return {"type": "state:store", "payload": [entry]}


def known_as(ecid: str = ECID) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the two handles by which a visitor becomes known."""
    result = {"id": ecid, "namespace": {"code": "ECID"}}
    return {"type": "identity:result", "payload": [result]}, stored(
        "identity", identity_value(ecid)
    )


def entries_of(body: bytes) -> dict[str, str]:
    """Return the cookies that a body carries."""
    entries = json.loads(body)["meta"]["state"].get("entries", [])
    return {each["key"].removeprefix(ORG_PREFIX): each["value"] for each in entries}
