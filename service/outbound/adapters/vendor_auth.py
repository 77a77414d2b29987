"""Whether an action proves who sends in a way that its vendor takes."""

import re
from collections.abc import Sequence

from service.core.errors import InvalidInputError
from service.outbound.adapters.contract import ActionSpec
from service.outbound.adapters.vendor_document import Auth
from service.outbound.auth import ApiKeyAuth, AuthSpec, BasicAuth, KeyLocation

_FIELD_VALUE = re.compile(r"[ -~\x80-\U0010ffff]*")


def check(vendor: str, action: ActionSpec, rules: Sequence[Auth]) -> None:
    """Let an action pass whose authentication is one of the vendor's.

    Raises:
        InvalidInputError: It is none of them, or lacks the setting that goes with it.
    """
    fitting = [each for each in rules if _fits(action.auth, each)]
    if not fitting:
        ways = ", or ".join(map(_said, rules))
        raise InvalidInputError(f"The adapter {vendor} authenticates with {ways}.", at="auth")
    for each in fitting:
        if each.setting is not None and not action.settings.get(each.setting):
            raise InvalidInputError(
                f"The adapter {vendor} needs the setting {each.setting} with this authentication.",
                at=f"settings.{each.setting}",
                setting=each.setting,
            )


def _said(rule: Auth) -> str:
    if rule.type == "basic":
        return "basic"
    return f"an API key in the header {rule.name} whose value is `{rule.prefix}…`"


def _fits(auth: AuthSpec, rule: Auth) -> bool:
    if isinstance(auth, BasicAuth):
        return rule.type == "basic"
    if not isinstance(auth, ApiKeyAuth) or auth.location is not KeyLocation.HEADER:
        return False
    value = auth.value.reveal()
    return (
        rule.type == "apiKey"
        and auth.name.lower() == rule.name.lower()
        and value.startswith(rule.prefix)
        and len(value) > len(rule.prefix)
        and _FIELD_VALUE.fullmatch(value) is not None
    )
