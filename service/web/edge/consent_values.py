"""What one consent says, in the words of its standard: Adobe 1.0, Adobe 2.0, IAB TCF 2.0.

Source: Edge Network API, "Set consent"; XDM "Consents and Preferences"; IAB TCF 2.0;
service/decisions/0014-consent.md.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import UNSET

from service.core.json import JsonObject
from service.web.body import wrong_field
from service.web.edge import errors, tcf
from service.web.edge.documents import ConsentItem
from service.web.xdm import moment_at
from service.web.xdm_consents import CHOICES, choices_in

IN, OUT, PENDING = "in", "out", "pending"
_NOT_PROVIDED = "not_provided"
_GENERAL = frozenset({IN, OUT, PENDING, _NOT_PROVIDED})
_SPELLED = {IN: "y", OUT: "n", PENDING: "p"}
_COLLECT = {"n": OUT, "dn": OUT, "p": PENDING, "u": PENDING}
_STRICTNESS = {None: 0, IN: 1, PENDING: 2, OUT: 3}


@dataclass(frozen=True, slots=True)
class Consent:
    """What a consent says.

    Attributes:
        collect: ``in``, ``out`` or ``pending``; ``None`` when it does not speak of collecting.
        preferences: The same in XDM's "Consents and Preferences", with all else it says.
        is_whole: It speaks of everything, so it may replace what was said before.
        at: When it was given, if it says so.
    """

    collect: str | None
    preferences: JsonObject = field(repr=False)
    is_whole: bool = False
    at: datetime | None = None


def read_consents(items: list[ConsentItem]) -> list[Consent]:
    """Return what each consent of a request says.

    Raises:
        EdgeError: A field is missing, or a standard, version or value is not one of those that
            the standard knows; the report lists all of these with their index.
        BodyError: A field has the wrong type.
    """
    problems: list[str] = []
    found = [_read(item, index, problems) for index, item in enumerate(items)]
    if problems:
        raise errors.unprocessable(problems)
    return found


def strictest(consents: list[Consent]) -> str | None:
    """Return what several consents together say of collecting: one ``out`` is enough."""
    return max((each.collect for each in consents), key=_STRICTNESS.__getitem__, default=None)


def _read(item: ConsentItem, index: int, problems: list[str]) -> Consent:
    path = f"$.consent[{index}]"
    for name in ("standard", "version"):
        if not getattr(item, name):
            raise errors.missing_value(f"{path}.{name}")
    if item.value is UNSET or item.value is None:
        raise errors.missing_value(f"{path}.value")
    here = f"{path}.value"
    match item.standard, item.version:
        case "Adobe", "1.0":
            return _adobe_1(item.value, index, here, problems)
        case "Adobe", "2.0":
            return _adobe_2(item.value, index, here, problems)
        case "IAB TCF", "2.0":
            return _iab(item, index, here, problems)
        case "Adobe" | "IAB TCF" as standard, _:
            allowed = "1.0 and 2.0" if standard == "Adobe" else "2.0"
            problems.append(
                f"Allowed {standard} version is {allowed} for standard '{standard}' "
                f"at index {index}"
            )
        case _:
            problems.append(f"Allowed standards are Adobe and IAB TCF at index {index}")
    return Consent(None, {})


def _adobe_1(value: Any, index: int, path: str, problems: list[str]) -> Consent:
    general = _object(value, path).get("general")
    if general is None:
        raise errors.missing_value(f"{path}.general")
    if _text(general, f"{path}.general") not in _GENERAL:
        problems.append(
            f"Allowed values of general are in, out, pending and not_provided at index {index}"
        )
        return Consent(None, {})
    if general == _NOT_PROVIDED:
        return Consent(None, {})
    return Consent(general, {"collect": {"val": _SPELLED[general]}})


def _adobe_2(value: Any, index: int, path: str, problems: list[str]) -> Consent:
    preferences = _object(value, path)
    choices = dict(choices_in(preferences, path))
    collect_path = f"{path}.collect"
    if preferences.get("collect") is not None and f"{collect_path}.val" not in choices:
        raise errors.missing_value(f"{collect_path}.val")
    problems += [
        f"The value of {place} is no choice that Adobe 2.0 knows ({', '.join(CHOICES)}) "
        f"at index {index}"
        for place, choice in choices.items()
        if choice not in CHOICES
    ]
    metadata = preferences.get("metadata")
    time = None if metadata is None else _object(metadata, f"{path}.metadata").get("time")
    at = None if time in {None, ""} else moment_at(time, f"{path}.metadata.time")
    collect = choices.get(f"{collect_path}.val")
    state = None if collect is None else _COLLECT.get(collect, IN)
    return Consent(state, preferences, is_whole=True, at=at)


def _iab(item: ConsentItem, index: int, path: str, problems: list[str]) -> Consent:
    text = _text(item.value, path)
    try:
        allowed = tcf.allows_storage(text)
    except tcf.MalformedTcStringError as error:
        problems.append(f"The consent string is malformed ({error}) at index {index}")
        return Consent(None, {})
    collect = IN if allowed or item.gdpr_applies is False else OUT
    kept: JsonObject = {
        "consentStandard": "IAB TCF",
        "consentStandardVersion": "2.0",
        "consentStringValue": text,
    }
    if item.gdpr_applies is not None:
        kept["gdprApplies"] = item.gdpr_applies
    if item.gdpr_contains_personal_data is not None:
        kept["containsPersonalData"] = item.gdpr_contains_personal_data
    return Consent(collect, {"collect": {"val": _SPELLED[collect]}, "consentStrings": [kept]})


def _object(value: Any, path: str) -> JsonObject:
    if not isinstance(value, dict):
        raise wrong_field(path, "expected an object")
    return value


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise wrong_field(path, "expected a string")
    return value
