"""What a phone does with a hit after an exchange, and how long it waits before the next.

Source: Edge ``EdgeNetworkService`` and ``EdgeHitProcessor`` (Android 3.x, iOS 5.x).
"""

import re
from enum import StrEnum

import requests
from urllib3.exceptions import NameResolutionError

from mobile_stub.device import Kind

DEFAULT_RETRY_S = 5
_SUCCESS = frozenset({200, 204, 207})
_RECOVERABLE = frozenset({408, 429, 502, 503, 504, 507})
_POSITIVE_INTEGER = re.compile(r"0*[1-9][0-9]*")


class Verdict(StrEnum):
    """What a phone does with a hit after an answer."""

    KEPT = "kept"
    RETRY = "retry"
    DROPPED = "dropped"


def verdict_of(status: int | None) -> Verdict:
    """Say what becomes of a hit: only 200, 204 and 207 are success; no answer is retried."""
    if status in _SUCCESS:
        return Verdict.KEPT
    if status is None or status in _RECOVERABLE:
        return Verdict.RETRY
    return Verdict.DROPPED


def verdict_of_failure(kind: Kind, error: Exception) -> Verdict:
    """Say what becomes of a hit whose exchange failed: Android tries every one again.

    iOS drops it when the name is not known or the certificate not trusted.

    Source: iOS ``EdgeNetworkService`` (recoverable ``URLError`` codes).
    """
    return Verdict.DROPPED if kind is Kind.IOS and _is_hopeless(error) else Verdict.RETRY


def retry_delay_s(retry_after: str | None) -> int:
    """Return ``Retry-After`` when it is a positive integer of seconds, else five seconds."""
    if retry_after and _POSITIVE_INTEGER.fullmatch(retry_after):
        return int(retry_after)
    return DEFAULT_RETRY_S


def _is_hopeless(error: Exception) -> bool:
    """Tell whether a failure says that the name or the certificate is wrong."""
    if isinstance(error, requests.exceptions.SSLError):
        return True
    inner = error.args[0] if error.args else None
    return isinstance(getattr(inner, "reason", None), NameResolutionError)
