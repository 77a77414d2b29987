"""What capping and throttling configurations have in common: problems, methods, our own terms.

``_edgepost`` holds what goes beyond Journey Optimizer: what becomes of a delivery without a permit,
how long it may wait, and the journeys' shares.

Source: service/decisions/0021-endpoint-configs.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from service.core.json import JsonObject

OWN = "_edgepost"
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTION", "OPTIONS"})
QUEUED_FOR = timedelta(hours=6)
LONGEST_QUEUED_MS = 7 * 24 * 3600 * 1000
MOST_WEIGHT = 1000
MOST_COUNT = 2**31 - 1
_OWN_KEYS = frozenset({"onExceed", "expireAfterMs", "weights"})


class ConfigKind(StrEnum):
    """Which of Adobe's two APIs a config belongs to."""

    CAPPING = "capping"
    THROTTLING = "throttling"


class OnExceed(StrEnum):
    """What becomes of a delivery that gets no permit.

    ``drop`` and ``errorPath`` end it as ``capped`` at its first request; the journey takes its
    error path where it has one, as in Journey Optimizer. ``queue`` lets it wait.
    """

    DROP = "drop"
    QUEUE = "queue"
    ERROR_PATH = "errorPath"


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong, or worth a warning, under its code.

    ``service`` is the one it is about, where a config names several.
    """

    code: str
    message: str
    service: str | None = None


@dataclass(frozen=True, slots=True)
class OwnTerms:
    """What a config says beyond Journey Optimizer.

    Attributes:
        on_exceed: What becomes of a delivery that gets no permit.
        expire_after: How long it may wait; ``None`` where nothing waits.
        weights: Shares of journeys by their id; a journey that is not named has 1.
    """

    on_exceed: OnExceed = OnExceed.DROP
    expire_after: timedelta | None = None
    weights: Mapping[UUID, int] = field(default_factory=dict)


def own_terms(config: Mapping[str, Any], *, default: OnExceed) -> OwnTerms:
    """Return the terms of a valid config; what queues without an expiry waits six hours."""
    own = config.get(OWN, {})
    on_exceed = OnExceed(own.get("onExceed", default))
    weights = {UUID(key): weight for key, weight in own.get("weights", {}).items()}
    if on_exceed is not OnExceed.QUEUE:
        return OwnTerms(on_exceed, None, weights)
    given = own.get("expireAfterMs")
    waits = QUEUED_FOR if given is None else timedelta(milliseconds=given)
    return OwnTerms(on_exceed, waits, weights)


def problems_of_own(own: Any, code: str, *, queues: bool) -> tuple[ConfigProblem, ...]:
    """Return every reason why our own terms cannot be read; ``queues`` tells a throttling config.

    A throttling config always queues, so it takes no ``onExceed`` but that.
    """
    if own is None:
        return ()
    if not isinstance(own, Mapping):
        return (ConfigProblem(code, f"{OWN} must be an object."),)
    found = [f"{OWN} has no member {key!r}." for key in own if key not in _OWN_KEYS]
    allowed = [OnExceed.QUEUE] if queues else list(OnExceed)
    given = own.get("onExceed")
    on_exceed = allowed[0] if given is None else given
    if on_exceed not in allowed:
        found.append(f"{OWN}.onExceed must be {' or '.join(allowed)}.")
    expiry = own.get("expireAfterMs")
    if expiry is not None and not is_whole(expiry, LONGEST_QUEUED_MS):
        found.append(f"{OWN}.expireAfterMs must be a whole number from 1 to a week's.")
    elif expiry is not None and on_exceed in (OnExceed.DROP, OnExceed.ERROR_PATH):
        found.append(f"{OWN}.expireAfterMs needs onExceed queue: nothing waits otherwise.")
    return tuple(ConfigProblem(code, said) for said in [*found, *_problems_of_weights(own)])


def normal_own(own: Mapping[str, Any]) -> JsonObject:
    """Return our own terms without what is null, weights under the journeys' lower-case ids."""
    kept = {key: value for key, value in own.items() if value is not None}
    if "weights" in kept:
        kept["weights"] = {str(UUID(key)): value for key, value in kept["weights"].items()}
    return kept


def problems_of_methods(methods: Any) -> tuple[str, ...]:
    """Return what is wrong with a list of methods that is there."""
    if not isinstance(methods, list):
        return ('methods must be a list of HTTP methods, such as ["POST"].',)
    for each in methods:
        if not isinstance(each, str) or each not in METHODS:
            named = ", ".join(sorted(METHODS))
            return (f"{each!r} is not an HTTP method that can be capped: use {named}.",)
    return ()


def has_wildcard_host(url: str) -> bool:
    """Tell whether ``*`` stands where no wildcard may: before the path."""
    return "*" in url.partition("://")[2].partition("/")[0]


def is_whole(value: Any, most: int) -> bool:
    """Tell whether a value is a whole number from 1 to ``most``."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _problems_of_weights(own: Mapping[str, Any]) -> list[str]:
    weights = own.get("weights")
    if weights is None:
        return []
    if not isinstance(weights, Mapping):
        return [f"{OWN}.weights must be an object: journey id to share."]
    found = [
        f"{OWN}.weights: {key!r} is not the id of a journey." for key in weights if not _is_id(key)
    ]
    if not all(is_whole(weight, MOST_WEIGHT) for weight in weights.values()):
        found.append(f"{OWN}.weights must be whole numbers from 1 to {MOST_WEIGHT}.")
    return found


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
