"""Which of a person's push tokens an action sends to: the settings ``appId`` and ``platform``."""

from collections.abc import Mapping
from typing import Any

from service.core.errors import InvalidInputError
from service.profiles.push_tokens import APNS_PLATFORMS, MOBILE_PLATFORMS, WEB_PLATFORMS

ADDRESS_SETTINGS = frozenset({"appId", "platform"})
PLATFORMS = MOBILE_PLATFORMS | WEB_PLATFORMS


def split(settings: Mapping[str, Any]) -> tuple[str | None, str | None, dict[str, Any]]:
    """Return app, platform and the adapter's own settings; ``None`` takes any."""
    own = {name: value for name, value in settings.items() if name not in ADDRESS_SETTINGS}
    return settings.get("appId"), settings.get("platform"), own


def platform_of(platforms: frozenset[str], chosen: str | None) -> str | None:
    """Return the platform whose tokens are sent to; ``None`` takes any.

    An adapter is sent no tokens that it cannot reach. One of APNs is for one environment, whose
    host, limits and connections are its own: production, unless the sandbox is chosen.
    """
    if chosen is not None or not platforms:
        return chosen
    if platforms == APNS_PLATFORMS:
        return "apns"
    (only, *others) = sorted(platforms)
    return None if others else only


def check(adapter: str, platforms: frozenset[str], settings: Mapping[str, Any]) -> None:
    """Refuse a choice that fits no token an adapter sends to.

    ``platforms`` are those it can send to; without any it calls for a person, whatever tokens the
    person has, so that a choice would be passed over.

    Raises:
        InvalidInputError: A setting is no text, names a platform that there is not or that the
            adapter cannot reach, or chooses where nothing is chosen.
    """
    for name in sorted(ADDRESS_SETTINGS):
        value, at = settings.get(name), f"settings.{name}"
        if value is None:
            continue
        if not platforms:
            raise InvalidInputError(
                f"The adapter {adapter} calls for a person and has no setting {name}: the adapter "
                "push sends to one of the person's push tokens.",
                at=at,
                setting=name,
            )
        if not isinstance(value, str) or not value.strip():
            raise InvalidInputError(f"{at} must be a text.", at=at)
    platform = settings.get("platform")
    if platform is not None and platform not in platforms:
        raise InvalidInputError(
            f"The adapter {adapter} has no push tokens of the platform {platform}: "
            f"settings.platform is one of {', '.join(sorted(platforms))}.",
            at="settings.platform",
        )
