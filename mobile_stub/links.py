"""The ``adobe_mc`` parameter: how a link from an app or a page carries its visitor's ECID.

Source: EdgeIdentity ``URLUtils`` (Android, iOS); alloy ``injectAddQueryStringIdentityToPayload``
and ``injectAppendIdentityToUrl``.
"""

import re
from datetime import datetime
from urllib.parse import parse_qs, quote, unquote, urlsplit

PARAMETER = "adobe_mc"
LIFE_S = 300
_UNWANTED = re.compile(r"[^a-zA-Z0-9@.]")
_DIGITS = re.compile(r"[0-9]+")


def url_variables(ecid: str, org_id: str, now: datetime) -> str:
    """Return the parameter as the Mobile SDKs write it."""
    return f"{PARAMETER}={_encoded(_fields(ecid, org_id, now))}"


def with_identity(url: str, ecid: str, org_id: str, now: datetime) -> str:
    """Return a link with the parameter as alloy writes it: the org id is encoded twice."""
    value = _encoded(_fields(ecid, quote(org_id, safe=""), now))
    address, has_fragment, fragment = url.partition("#")
    _, has_query, query = address.partition("?")
    joint = "" if has_query and not query else "&" if query else "?"
    return f"{address}{joint}{PARAMETER}={value}{has_fragment}{fragment}"


def ecid_of(url: str, org_id: str, now: datetime) -> str | None:
    """Return the ECID that a page of this organisation takes from its own address.

    A link older than five minutes or of another organisation brings none; of several parameters
    the last one counts.
    """
    found = parse_qs(urlsplit(url).query).get(PARAMETER)
    if not found:
        return None
    fields = {}
    for pair in found[-1].split("|"):
        key, _, value = pair.partition("=")
        fields[key] = _UNWANTED.sub("", unquote(value))
    since, ecid = fields.get("TS", ""), fields.get("MCMID")
    is_fresh = _DIGITS.fullmatch(since) and now.timestamp() <= int(since) + LIFE_S
    return ecid if ecid and is_fresh and fields.get("MCORGID") == org_id else None


def _fields(ecid: str, org_id: str, now: datetime) -> str:
    return f"TS={int(now.timestamp())}|MCMID={ecid}|MCORGID={org_id}"


def _encoded(text: str) -> str:
    return quote(text, safe="")
