"""The identities that one event or record carries, as XDM's ``identityMap`` spells them.

Source: XDM ``identityitem``; Experience Platform, Identity Service guardrails (ECID has exactly
38 digits, other values at most 1,024 characters).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from service.core.ids import derived_key

ECID = "ECID"
MAX_VALUE_LENGTH = 1024
MAX_IDENTITIES_PER_EVENT = 20
_ECID = re.compile(r"\d{38}")
# in lower case; a value of nothing but zeros, dashes and dots is junk without being listed
_JUNK = frozenset(
    {
        # no value, as languages and databases spell it
        *("", "null", "none", "nil", "nul", "nan", "undefined", "void", "<null>", "<nil>"),
        *("(null)", "(nil)", "(none)", "n/a", "na", "#n/a", "not set", "(not set)"),
        # numbers, booleans and empty collections that took the place of a value
        *("-1", "true", "false", "{}", "[]", "[object object]", "object object"),
        # words for somebody whom the sender does not know
        *("anon", "anonymous", "guest", "unknown", "invalid", "not_authenticated"),
        # names of the field itself, sent in place of its content
        *("id", "userid", "user_id", "distinctid", "distinct_id", "email"),
    },
)
_QUOTES = "\"'`"


class AuthenticatedState(StrEnum):
    """How far an identity is proven. XDM ``authenticatedState``."""

    AMBIGUOUS = "ambiguous"
    AUTHENTICATED = "authenticated"
    LOGGED_OUT = "loggedOut"


@dataclass(frozen=True, slots=True)
class ClaimedIdentity:
    """One identity as a client claims it; whether it counts is decided by the graph."""

    namespace: str
    value: str
    state: AuthenticatedState = AuthenticatedState.AMBIGUOUS
    is_primary: bool = False

    @property
    def key(self) -> UUID:
        """The identity's key in every sandbox."""
        return identity_key(self.namespace, self.value)


@dataclass(frozen=True, slots=True)
class RefusedIdentity:
    """An identity that must not enter the graph, and why."""

    namespace: str
    value: str
    reason: str


def identity_key(namespace: str, value: str) -> UUID:
    """Return the key of ``namespace:value``."""
    return derived_key(namespace, value)


def refusal(namespace: str, value: str) -> str | None:
    """Return why a value cannot be an identity, or ``None`` when it can.

    Junk such as ``null`` or a zero UUID would stitch strangers into one person; it is junk in any
    case, in quotes and between spaces.

    Source: Identity Service guardrails (``null``, ``anonymous``, ``invalid``, empty); what Segment
    (zeroes and dashes, ``-1``), Mixpanel and PostHog refuse as the id of a person.
    """
    bare = value.strip().strip(_QUOTES).strip().lower()
    if bare in _JUNK or not bare.strip("0-."):
        return "junkIdentity"
    if "\x00" in value:
        return "nulCharacter"
    if namespace == ECID and not _ECID.fullmatch(value):
        return "ecidNot38Digits"
    if len(value) > MAX_VALUE_LENGTH:
        return "valueTooLong"
    return None


def read_identity_map(
    document: Mapping[str, Any],
) -> tuple[tuple[ClaimedIdentity, ...], tuple[RefusedIdentity, ...]]:
    """Split a well-formed ``identityMap`` into what may be used and what is refused.

    ``document`` maps namespace codes to lists of ``{id, authenticatedState, primary}``; its types
    were checked by the protocol. A refused identity never fails the event.
    """
    claimed: list[ClaimedIdentity] = []
    refused: list[RefusedIdentity] = []
    for namespace, items in document.items():
        for item in items:
            value = item["id"]
            reason = refusal(namespace, value)
            if reason is None:
                claimed.append(
                    ClaimedIdentity(
                        namespace,
                        value,
                        AuthenticatedState(item.get("authenticatedState", "ambiguous")),
                        bool(item.get("primary", False)),
                    ),
                )
            else:
                refused.append(RefusedIdentity(namespace, value, reason))
    refused.extend(
        RefusedIdentity(surplus.namespace, surplus.value, "tooManyIdentities")
        for surplus in claimed[MAX_IDENTITIES_PER_EVENT:]
    )
    return tuple(claimed[:MAX_IDENTITIES_PER_EVENT]), tuple(refused)


def merged(*parts: Iterable[ClaimedIdentity]) -> tuple[ClaimedIdentity, ...]:
    """Join the identities of request and event; the later claim of one identity wins."""
    by_key = {each.key: each for part in parts for each in part}
    return tuple(by_key.values())
