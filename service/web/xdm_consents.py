"""XDM "Consents and Preferences": which choices there are, and where they stand.

Source: XDM ``consents/consent-preferences``, ``data-types/consent-field`` (``val``).
"""

from collections.abc import Iterator
from typing import Any

from service.web.body import wrong_field

CHOICES = ("y", "n", "p", "u", "dy", "dn", "li", "ct", "cp", "vi", "pi")
SIMPLE = ("collect", "share", "adID")
_MARKETING_TEXTS = frozenset({"preferred"})


def choices_in(preferences: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Yield where each choice stands and what it is, whether or not there is such a choice.

    Choices are in lower case afterwards, in the document too: that is how they are acted on.

    Raises:
        BodyError: A field that holds a choice has another shape.
    """
    for name in SIMPLE:
        yield from _choice(preferences, name, path)
    inner = preferences.get("personalize")
    if inner is not None:
        here = f"{path}.personalize"
        yield from _choice(_object(inner, here), "content", here)
    inner = preferences.get("marketing")
    if inner is not None:
        here = f"{path}.marketing"
        for name in _object(inner, here):
            if name not in _MARKETING_TEXTS:
                yield from _choice(inner, name, here)


def check_consents(entity: dict[str, Any], path: str) -> None:
    """Refuse a record whose ``consents`` hold a choice that nobody could act on.

    Raises:
        BodyError: The first one.
    """
    found = entity.get("consents")
    if found is None:
        return
    for place, choice in choices_in(_object(found, f"{path}.consents"), f"{path}.consents"):
        if choice not in CHOICES:
            raise wrong_field(place, f"expected one of {', '.join(CHOICES)}")


def _choice(parent: dict[str, Any], name: str, path: str) -> Iterator[tuple[str, str]]:
    here = f"{path}.{name}"
    found = parent.get(name)
    choice = None if found is None else _object(found, here).get("val")
    if found is None or choice is None:
        return
    if not isinstance(choice, str):
        raise wrong_field(f"{here}.val", "expected a string")
    found["val"] = choice.lower()
    yield f"{here}.val", found["val"]


def _object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong_field(path, "expected an object")
    return value
