"""What an access token may be allowed to do: the values of its ``scope``."""

from enum import StrEnum


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
    AUDIT_READ = "audit.read"
    COLLECT = "collect"


ALL_SANDBOXES = "*"


def known(scopes: list[str]) -> tuple[Permission, ...]:
    """Return the permissions among scope names; other clients' names (``openid``) are dropped."""
    values = {each.value for each in Permission}
    return tuple(sorted(Permission(each) for each in set(scopes) if each in values))
