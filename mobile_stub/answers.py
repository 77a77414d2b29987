"""How a phone reads an answer of the Edge Network, and what it keeps of it.

Source: Edge ``EdgeNetworkService`` and ``NetworkResponseHandler`` (Android, iOS).
"""

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mobile_stub.device import Device, Hit, Kind, LocationHint, StateEntry

_LINE_FEED = re.compile(r"(?<!\r)\n")
_PROBLEM_TYPES: dict[str, type] = {"status": int, "title": str, "type": str, "detail": str}
_REPORT_TYPES: dict[str, type] = {"eventIndex": int, "requestId": str, "orgId": str}


class AnswerError(Exception):
    """An answer the SDK could not read; the real one would lose its handles in silence."""


def fragments_of(kind: Kind, body: bytes) -> tuple[dict[str, Any], ...]:
    r"""Return the envelopes of a framed 200 or 207 answer.

    Android splits at ``\n`` and cuts the first character of each piece, whatever it is. iOS does
    not split at ``\r\n``, trims NULs and decodes with strict types.

    Raises:
        AnswerError: a piece is no JSON object, or of a wrong type on iOS.
    """
    text = _text(body)
    if not text:
        return ()
    if kind is Kind.ANDROID:
        pieces = [piece[1:] for piece in text.removesuffix("\n").split("\n")]
    else:
        pieces = [piece.strip("\0") for piece in _LINE_FEED.split(text) if piece.strip("\0")]
    envelopes = tuple(_object(piece) for piece in pieces)
    if kind is Kind.IOS:
        for envelope in envelopes:
            _check_types(envelope)
    return envelopes


def apply(device: Device, hit: Hit, envelopes: tuple[dict[str, Any], ...], now: datetime) -> Device:
    """Return the device with the state and location hint these envelopes bring.

    An answer to a hit from before the last identity reset changes nothing.
    """
    if hit.resets != device.resets:
        return device
    for envelope in envelopes:
        for handle in _dicts(envelope.get("handle")):
            payload = _dicts(handle.get("payload"))
            if handle.get("type") == "state:store":
                device = replace(device, state=_stored(device.state, payload, now))
            elif handle.get("type") == "locationHint:result":
                device = replace(device, hint=_hinted(device.hint, payload, now))
    return device


def _stored(
    entries: tuple[StateEntry, ...], payload: list[dict[str, Any]], now: datetime
) -> tuple[StateEntry, ...]:
    kept = {entry.key: entry for entry in entries}
    for item in payload:
        key, value, max_age = item.get("key"), item.get("value"), _number(item.get("maxAge"))
        if not (isinstance(key, str) and key and isinstance(value, str)) or max_age is None:
            continue
        kept.pop(key, None)
        if max_age > 0:
            expires_at = now + timedelta(seconds=max_age)
            kept[key] = StateEntry(key, value, int(max_age), expires_at)
    return tuple(kept.values())


def _hinted(
    present: LocationHint | None, payload: list[dict[str, Any]], now: datetime
) -> LocationHint | None:
    for item in payload:
        hint, ttl = item.get("hint"), _number(item.get("ttlSeconds"))
        usable = isinstance(hint, str) and hint and ttl is not None
        if item.get("scope") == "EdgeNetwork" and usable:
            return LocationHint(str(hint), now + timedelta(seconds=ttl or 0))
    return present


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise AnswerError(f"the answer is not UTF-8: {error}") from error


def _object(piece: str) -> dict[str, Any]:
    try:
        value = json.loads(piece)
    except ValueError as error:
        raise AnswerError(f"a piece of the answer is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise AnswerError("a piece of the answer is not a JSON object")
    return value


def _check_types(envelope: dict[str, Any]) -> None:
    """Refuse what the ``Decodable`` types of iOS refuse: the whole fragment would be lost."""
    _check(envelope, {"requestId": str})
    for handle in _typed_list(envelope, "handle"):
        _check(handle, {"type": str, "eventIndex": int})
        _typed_list(handle, "payload")
    for problem in _typed_list(envelope, "errors") + _typed_list(envelope, "warnings"):
        _check(problem, _PROBLEM_TYPES)
        report = problem.get("report")
        if report is not None and not isinstance(report, dict):
            raise AnswerError("report is not an object")
        _check_report(report or {})


def _check_report(report: dict[str, Any]) -> None:
    _check(report, _REPORT_TYPES)
    reasons = report.get("errors")
    is_text = isinstance(reasons, list) and all(isinstance(each, str) for each in reasons)
    if reasons is not None and not is_text:
        raise AnswerError("report.errors is not an array of strings")
    cause = report.get("cause")
    if cause is not None and not isinstance(cause, dict):
        raise AnswerError("report.cause is not an object")
    _check(cause or {}, {"message": str, "code": int})


def _check(value: dict[str, Any], types: dict[str, type]) -> None:
    for key, expected in types.items():
        found = value.get(key)
        wrong = not isinstance(found, expected) or isinstance(found, bool)
        if found is not None and wrong:
            raise AnswerError(f"{key} is not of type {expected.__name__}")


def _typed_list(value: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = value.get(key)
    if found is None:
        return []
    if not isinstance(found, list) or len(_dicts(found)) != len(found):
        raise AnswerError(f"{key} is not an array of objects")
    return found


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
