"""Which ECID a request speaks for, when the client leaves that to the server.

Mobile SDKs bring their own. The Web SDK and Roku ask for one (``query.identity.fetch``).

Source: Adobe Experience Platform, Edge Network API, "Visitor identification overview";
service/decisions/0006-derived-keys.md.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import unquote

from service.identity.identity_map import ECID, ClaimedIdentity, refusal
from service.web.edge.identity_cookie import IdentityCookie, decode_cookie

FPID = "FPID"
_SIGN = 1 << 63
_HALF = 1 << 64
_REWRITE_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Device:
    """The device behind a request.

    Attributes:
        is_new: Nobody has seen this ECID before; it was made for this request.
        is_cookie_due: The browser has no identity cookie, or one older than a day.
    """

    ecid: str | None = None
    is_new: bool = False
    is_cookie_due: bool = False


def named_ecid(identities: Iterable[ClaimedIdentity]) -> str | None:
    """Return the first ECID among identities: on mobile that is EdgeIdentity's own."""
    return next((each.value for each in identities if each.namespace == ECID), None)


def of_cookie(cookies: Mapping[str, str], name: str, now: datetime) -> Device | None:
    """Return the device that the identity cookie names, which outranks all else."""
    cookie = _usable(cookies.get(name))
    if cookie is None:
        return None
    written_at = cookie.written_at
    is_due = written_at is None or now - written_at > _REWRITE_AFTER
    return Device(cookie.ecid, is_cookie_due=is_due)


def resolve(
    identities: tuple[ClaimedIdentity, ...],
    fpid: str | None,
    *,
    fpid_seed: bytes,
    mint_seed: bytes | None,
) -> Device:
    """Return the device without a cookie: named ECID, then first-party id, then a new one.

    ``fpid`` is what the first-party cookie says; an id in the identity map goes before it. One
    first-party id gives one ECID, in every process. ``fpid_seed`` separates tenants;
    ``mint_seed`` is the whole request, so that its retry gets the same ECID again, or ``None``
    when the client did not ask and nothing must be minted.
    """
    named = named_ecid(identities)
    if named is not None:
        return Device(named, is_cookie_due=True)
    fpid = next((each.value for each in identities if each.namespace == FPID), fpid)
    if fpid is not None and refusal(FPID, fpid) is None:
        return Device(ecid_from(fpid_seed + fpid.encode()), is_cookie_due=True)
    if mint_seed is None:
        return Device()
    return Device(ecid_from(mint_seed), is_new=True, is_cookie_due=True)


def ecid_from(seed: bytes) -> str:
    """Return 38 digits drawn from a seed, in the form in which the mobile SDKs make them.

    Source: Android EdgeIdentity ``ECID`` (two absolute signed 64-bit halves of 19 digits).
    """
    number = int.from_bytes(hashlib.blake2b(seed, digest_size=16).digest(), "big")
    return "".join(f"{_absolute(half):019d}" for half in divmod(number, _HALF))


def read_cookies(header: str) -> dict[str, str]:
    """Return the cookies of a ``Cookie`` header; the first of a name wins, as browsers order."""
    cookies: dict[str, str] = {}
    for part in header.split(";"):
        name, found, value = part.strip().partition("=")
        if found:
            cookies.setdefault(name, unquote(value.strip('"')))
    return cookies


def _absolute(half: int) -> int:
    return half if half < _SIGN else _HALF - half


def _usable(value: str | None) -> IdentityCookie | None:
    cookie = decode_cookie(value) if value else None
    return cookie if cookie is not None and refusal(ECID, cookie.ecid) is None else None
