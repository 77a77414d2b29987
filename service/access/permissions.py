"""What an access token may be allowed to do: the values of its ``scope``."""

from collections.abc import Iterable
from enum import StrEnum

from service.core.errors import ForbiddenError


class Permission(StrEnum):
    """One thing that a route asks for; reading and changing are apart."""

    SANDBOXES_READ = "sandboxes.read"
    SANDBOXES_WRITE = "sandboxes.write"
    DATASTREAMS_READ = "datastreams.read"
    DATASTREAMS_WRITE = "datastreams.write"
    NAMESPACES_READ = "namespaces.read"
    NAMESPACES_WRITE = "namespaces.write"
    SEGMENTS_READ = "segments.read"
    SEGMENTS_WRITE = "segments.write"
    PROFILES_READ = "profiles.read"
    PROFILES_WRITE = "profiles.write"
    JOURNEYS_READ = "journeys.read"
    JOURNEYS_WRITE = "journeys.write"
    ACTIONS_READ = "actions.read"
    ACTIONS_WRITE = "actions.write"
    DELIVERIES_READ = "deliveries.read"
    DELIVERIES_WRITE = "deliveries.write"
    AUDIT_READ = "audit.read"
    COLLECT = "collect"


ALL_SANDBOXES = "*"
# what Adobe's own clients ask for beside; it names nothing of ours
_OF_ADOBES_CLIENTS = frozenset(
    {
        "openid",
        "AdobeID",
        "session",
        "read_organizations",
        "additional_info",
        "additional_info.job_function",
        "additional_info.ownerOrg",
        "additional_info.projectedProductContext",
        "additional_info.roles",
        "adobeio_api",
        "event_receiver",
        "event_receiver_api",
        "cjm.suppression_service.client.all",
        "cjm.suppression_service.client.delete",
    },
)


def known(scopes: Iterable[str]) -> tuple[Permission, ...]:
    """Return the permissions among scope names that were kept; names no longer used are dropped."""
    values = {each.value for each in Permission}
    return tuple(sorted(Permission(each) for each in set(scopes) if each in values))


def requested(scopes: Iterable[str]) -> frozenset[Permission]:
    """Return the permissions that a client asks for, spelled as they are, case included.

    The scopes that Adobe's clients send to Adobe's services are passed over.

    Raises:
        ForbiddenError: One is neither; a misspelt scope must not widen what the token may do.

    Source: RFC 6749, sections 3.3 and 5.2; Adobe IMS, scopes of OAuth server-to-server credentials.
    """
    names = frozenset(scopes) - _OF_ADOBES_CLIENTS
    permissions = frozenset(known(names))
    unknown = sorted(names - {each.value for each in permissions})
    if unknown:
        raise ForbiddenError(
            f"There is no scope {', '.join(unknown)}: the scopes are "
            f"{', '.join(sorted(each.value for each in Permission))}.",
            unknown=unknown,
        )
    return permissions
