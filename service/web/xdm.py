"""The parts of an XDM ExperienceEvent that every protocol reads the same way.

Source: XDM ExperienceEvent class (``_id``, ``timestamp``), ``identitymap`` and ``identityitem``.
"""

from datetime import UTC, datetime
from typing import Any, Literal, Required, TypedDict

from service.identity.identity_map import ClaimedIdentity, RefusedIdentity, read_identity_map
from service.web.body import convert, wrong_field

MAX_EVENT_ID_LENGTH = 256
MAX_EVENT_TYPE_LENGTH = 256
MAX_NAMESPACE_LENGTH = 64
_FIRST_YEAR = 1970
_LAST_YEAR = 2199

Claims = tuple[tuple[ClaimedIdentity, ...], tuple[RefusedIdentity, ...]]
NO_CLAIMS: Claims = ((), ())


class IdentityItem(TypedDict, total=False):
    """One entry of an ``identityMap``."""

    id: Required[str]
    authenticatedState: Literal["ambiguous", "authenticated", "loggedOut"]
    primary: bool | None


IdentityDocument = dict[str, list[IdentityItem]]


def read_claims(document: IdentityDocument | None, path: str) -> Claims:
    """Split an ``identityMap`` of the right types into identities claimed and refused.

    Raises:
        BodyError: A namespace code is empty or longer than any can be.
    """
    if not document:
        return NO_CLAIMS
    for namespace in document:
        if not 0 < len(namespace) <= MAX_NAMESPACE_LENGTH:
            raise wrong_field(path, f"a namespace has 1 to {MAX_NAMESPACE_LENGTH} characters")
    return read_identity_map(document)


def claims_of(entity: dict[str, Any], path: str) -> Claims:
    """Read the ``identityMap`` of a decoded entity, which may have none.

    Raises:
        BodyError: It has not the shape of an ``identityMap``.
    """
    found = entity.get("identityMap")
    if found is None:
        return NO_CLAIMS
    here = f"{path}.identityMap"
    return read_claims(convert(found, IdentityDocument, here), here)


def event_id_of(xdm: dict[str, Any], path: str) -> str | None:
    """Return ``_id``; ``None`` when there is none and one has to be minted.

    Raises:
        BodyError: It is no string, or too long.
    """
    found = xdm.get("_id")
    if found is None or found == "":
        return None
    return _bounded(found, MAX_EVENT_ID_LENGTH, f"{path}._id")


def event_type_of(xdm: dict[str, Any], path: str) -> str | None:
    """Return ``eventType``, which is free text and may be missing.

    Raises:
        BodyError: It is no string, or too long.
    """
    found = xdm.get("eventType")
    if found is None:
        return None
    return _bounded(found, MAX_EVENT_TYPE_LENGTH, f"{path}.eventType")


def moment_of(xdm: dict[str, Any], path: str, now: datetime) -> datetime:
    """Return ``timestamp`` in UTC, or ``now`` when there is none.

    Raises:
        BodyError: It is no ISO 8601 date-time with an offset, or of a year no clock can mean.
    """
    found = xdm.get("timestamp")
    if found is None or found == "":
        return now
    return moment_at(found, f"{path}.timestamp")


def moment_at(found: Any, path: str) -> datetime:
    """Return the moment, in UTC, that stands at ``path``.

    Raises:
        BodyError: It is no ISO 8601 date-time with an offset, or of a year no clock can mean.
    """
    if not isinstance(found, str):
        raise wrong_field(path, "expected an ISO 8601 date-time as a string")
    try:
        moment = datetime.fromisoformat(found)
        if moment.tzinfo is None:
            raise wrong_field(path, "lacks the offset from UTC, such as Z")
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise wrong_field(path, "expected an ISO 8601 date-time with an offset") from error
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise wrong_field(path, f"expected a year from {_FIRST_YEAR} to {_LAST_YEAR}")
    return moment


def _bounded(value: Any, longest: int, path: str) -> str:
    if not isinstance(value, str):
        raise wrong_field(path, "expected a string")
    if len(value) > longest:
        raise wrong_field(path, f"longer than {longest} characters")
    return value
