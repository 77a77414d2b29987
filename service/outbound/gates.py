"""The gates before a call: pure verdicts over facts that were read a moment ago.

They run in this order after a permit was given, and hold for two seconds: the message still has a
meaning, the person is known and allows it, and a push token belongs to the person right now.

Source: XDM consents and preferences (``consents.marketing``); design: one token, one owner.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from service.core.json import JsonObject
from service.outbound.channels import Channel

VALID_S = 2.0
"""How long a verdict may be relied on before the call starts."""

_REFUSING = frozenset({"n", "dn", "p"})


class Gate(StrEnum):
    """What is asked, in this order."""

    EXPIRY = "expiry"
    PERSON = "person"
    CONSENT = "consent"
    OWNER = "owner"
    ADDRESS = "address"
    CAP = "cap"
    BACKLOG = "backlog"
    HALT = "halt"


class Token(Protocol):
    """A push token that belongs to the person now."""

    @property
    def token_id(self) -> UUID:
        """Its key."""
        ...

    @property
    def app_id(self) -> str:
        """Its app."""
        ...

    @property
    def platform(self) -> str:
        """Its platform."""
        ...

    @property
    def registered_at(self) -> datetime:
        """When it was last announced."""
        ...

    @property
    def denylisted_at(self) -> datetime | None:
        """When the provider said it is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Addressing:
    """What an action asks of a recipient.

    ``app_id`` and ``platform`` choose among tokens; ``None`` takes any. ``channel`` is what
    marketing needs the person's consent for.
    """

    needs_token: bool
    is_marketing: bool
    app_id: str | None = None
    platform: str | None = None
    channel: Channel = Channel.PUSH


@dataclass(frozen=True, slots=True)
class Passed:
    """Every gate was passed; ``token_id`` is the one to send to, if the action needs one."""

    token_id: UUID | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The first gate that stayed shut, why, and the values it saw; never a token."""

    gate: Gate
    reason: str
    facts: JsonObject = field(default_factory=dict)


def judge(
    addressing: Addressing,
    *,
    expires_at: datetime,
    now: datetime,
    attributes: Mapping[str, Any] | None,
    tokens: Iterable[Token],
) -> Passed | Refused:
    """Return whether a message may go to a person now, and to which token.

    Args:
        addressing: What the action asks.
        expires_at: When the message loses its meaning.
        now: This moment.
        attributes: The person's merged view; ``None`` when nobody is known by the identity.
        tokens: Those that belong to the person now.
    """
    if now >= expires_at:
        return Refused(Gate.EXPIRY, "expired", {"expiresAt": expires_at.isoformat()})
    if attributes is None:
        return Refused(Gate.PERSON, "profileAbsent")
    if addressing.is_marketing:
        refusal = _consent_refusal(attributes, addressing.channel)
        if refusal is not None:
            return refusal
    if not addressing.needs_token:
        return Passed(None)
    return _choose_token(addressing, tuple(tokens))


def _consent_refusal(attributes: Mapping[str, Any], channel: Channel) -> Refused | None:
    """Return the refusal of the most specific consent that says anything."""
    for asked in (str(channel), "any"):
        path = ("consents", "marketing", asked, "val")
        value: Any = attributes
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, str):
            if value.lower() not in _REFUSING:
                return None
            return Refused(Gate.CONSENT, "consent", {"path": ".".join(path), "value": value})
    return None


def _choose_token(addressing: Addressing, tokens: tuple[Token, ...]) -> Passed | Refused:
    """Choose the newest usable token of the action's app and platform."""
    fitting = [
        token
        for token in tokens
        if addressing.app_id in {None, token.app_id}
        and addressing.platform in {None, token.platform}
    ]
    usable = [token for token in fitting if token.denylisted_at is None]
    if usable:
        newest = max(usable, key=lambda token: (token.registered_at, token.token_id))
        return Passed(newest.token_id)
    facts: JsonObject = {
        "appId": addressing.app_id,
        "platform": addressing.platform,
        "tokens": len(tokens),
        "fitting": len(fitting),
        "denylisted": len(fitting) - len(usable),
    }
    return Refused(Gate.OWNER, "tokenDenylisted" if fitting else "noToken", facts)
