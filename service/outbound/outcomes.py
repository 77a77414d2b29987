"""What a reply means: one classifier, its rules as data in ``error_atlas/``.

No vendor's code is named here. A rule says which replies it matches, who is at fault, whether the
same request may be repeated, and what it means for the push token; the most specific match wins.

Source: ``error_atlas/`` names each vendor's page; service/decisions/0008-attempt-states.md.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from service.core import json
from service.outbound.atlas import load_atlas
from service.outbound.atlas_rules import (
    OutcomeKind,
    Processed,
    RetryKind,
    RetryUnit,
    Rule,
    Scope,
    TokenEffect,
    TokenGuard,
    Vendor,
)
from service.outbound.transport import Reply, ReplyKind

_LONGEST_WAIT_S = 24 * 3600.0
_NAME_LENGTH = 256
_DETAIL_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the vendor said, in our words.

    ``RETRY`` says that the same request may be repeated and certainly was not acted on or is
    allowed to be repeated by the vendor's contract; whether time and budget allow it is the
    dispatcher's to decide. ``UNKNOWN`` is repeated only by the action's own policy.

    Attributes:
        rule_id: The rule of the atlas that matched; stable, shown to operators.
        token_effect: What is now known of the push token.
        token_guard: What must hold before ``token_effect`` is applied.
        retry_kind: How to repeat; ``REAUTH1`` means once, after forgetting the bearer.
        retry_after_s: Seconds the vendor asked for, at most a day; ``None`` when it did not.
        backoff_min_s: The shortest wait by our own table, in seconds.
        backoff_cap_s: The longest wait by our own table, in seconds.
        max_attempts: Attempts in all, the first included.
        retry_unit: Whether only this request waits, or everything for the destination.
        dead_since: When the vendor says that the token died; ``None`` when it does not say.
        vendor_message_id: What the vendor calls the message; ``None`` when it did not say.
        detail: Status, code and field: enough to search for, never a body.
    """

    kind: OutcomeKind
    rule_id: str
    scope: Scope
    processed: Processed
    token_effect: TokenEffect
    token_guard: TokenGuard
    retry_kind: RetryKind
    retry_after_s: float | None
    backoff_min_s: float
    backoff_cap_s: float
    max_attempts: int
    retry_unit: RetryUnit
    dead_since: datetime | None
    vendor_message_id: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a reply holds that a rule can ask for."""

    code: str = ""
    message_id: str | None = None
    details: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    subjects: str = ""
    since: datetime | None = None


def classify(vendor: str, reply: Reply, *, now: datetime) -> Outcome:
    """Return what a reply means by the vendor's table.

    Args:
        vendor: A name in the atlas.
        reply: How the call ended.
        now: Against which a ``Retry-After`` date is reckoned when the reply has no ``Date``.

    Raises:
        KeyError: The atlas does not know the vendor.
    """
    atlas = load_atlas()
    table = atlas.vendors[vendor]
    facts = _facts(table, reply)
    candidates = atlas.candidates(vendor, reply.kind, reply.status)
    rule = next(rule for rule in candidates if _holds(rule, reply, facts))
    retry = rule.retry
    return Outcome(
        kind=rule.outcome,
        rule_id=rule.id,
        scope=rule.scope,
        processed=rule.processed,
        token_effect=rule.token.effect,
        token_guard=rule.token.guard,
        retry_kind=retry.kind,
        retry_after_s=_asked_wait(table, reply, now) if retry.kind is RetryKind.WAIT else None,
        backoff_min_s=retry.min_s,
        backoff_cap_s=retry.cap_s,
        max_attempts=retry.max_attempts,
        retry_unit=retry.unit,
        dead_since=facts.since,
        vendor_message_id=facts.message_id,
        detail=_detail(reply, facts),
    )


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Return the seconds a ``Retry-After`` header asks for, 0 to a day.

    Takes whole or broken seconds and HTTP dates in all three spellings; a date or number in the
    past is 0, an absurd one a day. ``None``: absent or unreadable, so the table's own wait holds.

    Source: RFC 9110, 10.2.3.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (aware - now).total_seconds()
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT_S)


def _holds(rule: Rule, reply: Reply, facts: _Facts) -> bool:
    when = rule.match.when
    return (
        (not rule.match.code or facts.code in rule.match.code)
        and facts.details.issuperset(when.has)
        and facts.details.isdisjoint(when.lacks)
        and (not when.field or not facts.fields.isdisjoint(when.field))
        and (not when.subject or any(word in facts.subjects for word in when.subject))
        and (not when.trouble or reply.trouble in when.trouble)
        and (when.message_id is None or when.message_id == (facts.message_id is not None))
        and (not when.says or _says(reply.body, when.says))
    )


def _says(body: bytes, texts: Sequence[str]) -> bool:
    said = body.decode("utf-8", "replace").lower()
    return any(text.lower() in said for text in texts)


def _facts(vendor: Vendor, reply: Reply) -> _Facts:
    if reply.kind is not ReplyKind.ANSWERED:
        return _NOTHING
    body = _body(reply)
    details = _at(body, vendor.details) if vendor.details else None
    typed = tuple(_typed(details))
    message_id = _at(body, vendor.message_id)
    if not isinstance(message_id, str):
        message_id = _header(reply, vendor.message_id_header)
    code = _code(_at(body, vendor.code)) or _header(reply, vendor.code_header)
    if vendor.code_detail is not None:
        kind, field = vendor.code_detail
        code = next(
            (detail[field] for name, detail in typed if name == kind and field in detail), code
        )
    return _Facts(
        code=code if isinstance(code, str) else "",
        message_id=message_id[:_NAME_LENGTH] or None,
        details=frozenset(name for name, _ in typed),
        fields=frozenset(
            str(violation.get("field")) for violation in _violations(typed, "fieldViolations")
        ),
        subjects=" ".join(
            str(violation.get("subject")) for violation in _violations(typed, "violations")
        ).lower(),
        since=_moment(_at(body, vendor.since_ms)),
    )


def _body(reply: Reply) -> Any:
    if not reply.body:
        return None
    try:
        return json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _code(value: Any) -> str:
    """Return a text or whole number as a code; empty when it is neither."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_whole else value if isinstance(value, str) else ""


def _header(reply: Reply, name: str | None) -> str:
    return (reply.header(name) or "") if name is not None else ""


def _moment(milliseconds: Any) -> datetime | None:
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool):
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


_NOTHING = _Facts()


def _at(body: Any, path: Sequence[str]) -> Any:
    found = body if path else None
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _typed(details: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """Return error details by the last part of their type's name."""
    if not isinstance(details, list):
        return []
    return [
        (str(detail.get("@type", "")).rpartition(".")[2], detail)
        for detail in details
        if isinstance(detail, Mapping)
    ]


def _violations(
    typed: Sequence[tuple[str, Mapping[str, Any]]], key: str
) -> list[Mapping[str, Any]]:
    lists = (detail.get(key) for _, detail in typed)
    return [
        violation
        for violations in lists
        if isinstance(violations, list)
        for violation in violations
        if isinstance(violation, Mapping)
    ]


def _asked_wait(table: Vendor, reply: Reply, now: datetime) -> float | None:
    """Return what the vendor asks for; a moment is reckoned by the vendor's own clock."""
    sent_at = reply.header("date")
    if sent_at is not None:
        try:
            vendor_now = parsedate_to_datetime(sent_at)
        except (ValueError, OverflowError):
            vendor_now = now
        now = vendor_now if vendor_now.tzinfo else vendor_now.replace(tzinfo=UTC)
    asked = parse_retry_after(reply.header("retry-after"), now=now)
    if asked is not None or table.reset_header is None:
        return asked
    return _until(reply.header(table.reset_header), now)


def _until(epoch_s: str | None, now: datetime) -> float | None:
    """Return the seconds until a moment; ``None`` when it is unreadable or not ahead."""
    try:
        left_s = float(epoch_s or "") - now.timestamp()
    except ValueError:
        return None
    return min(left_s, _LONGEST_WAIT_S) if left_s > 0 else None


def _detail(reply: Reply, facts: _Facts) -> str:
    words = (
        str(reply.status) if reply.status else "",
        reply.trouble or "",
        facts.code,
        *sorted(facts.fields),
    )
    return " ".join(word for word in words if word)[:_DETAIL_LENGTH]
