"""What a row of the error atlas says: its words, and its shape as msgspec checks it."""

from enum import StrEnum
from typing import Any

import msgspec

from service.outbound.transport import ReplyKind, Trouble

_RULE = {"frozen": True, "forbid_unknown_fields": True}


class OutcomeKind(StrEnum):
    """What became of an attempt."""

    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    RETRY = "retry"


class Scope(StrEnum):
    """Who is at fault."""

    NONE = "none"
    RECIPIENT = "recipient"
    PAYLOAD = "payload"
    DESTINATION = "destination"
    ACCOUNT = "account"
    VENDOR = "vendor"
    TRANSPORT = "transport"


class Processed(StrEnum):
    """Whether the vendor acted on the request; ``UNKNOWN``: a repetition may be a duplicate."""

    NO = "no"
    YES = "yes"
    UNKNOWN = "unknown"


class RetryKind(StrEnum):
    """What to do with the same request.

    ``FIX``: an operator must act first. ``REAUTH1``: once, with a fresh credential. ``WAIT``: as
    long as the vendor says, never less. ``RECONNECT``: at once over another connection, once, then
    as ``BACKOFF``.
    """

    NEVER = "never"
    FIX = "fix"
    REAUTH1 = "reauth1"
    WAIT = "wait"
    BACKOFF = "backoff"
    RECONNECT = "reconnect"


class RetryUnit(StrEnum):
    """What waits."""

    REQUEST = "request"
    DESTINATION = "destination"


class TokenEffect(StrEnum):
    """What is known of the push token now; only ``DEAD`` denylists."""

    NONE = "none"
    DEAD = "dead"
    WRONG_APP = "wrong_app"


class TokenGuard(StrEnum):
    """What must hold before a token effect is applied.

    ``PROOF_REQUIRED``: the same payload was accepted for another token. ``REGISTERED_LATER``: the
    token was not registered again after the send began. ``RATIO_CEILING``: not too many of the
    destination's last sends ended so.
    """

    NONE = "none"
    PROOF_REQUIRED = "proof_required"
    REGISTERED_LATER = "registered_later"
    RATIO_CEILING = "ratio_ceiling"


class When(msgspec.Struct, **_RULE):
    """Conditions beyond status and code; all must hold.

    Attributes:
        has: Error details of these types are there.
        lacks: Error details of these types are not there.
        field: A field violation names one of these.
        subject: A quota violation speaks of one of these words.
        trouble: The call was not answered for one of these reasons.
        message_id: Whether the vendor's id for the message is there.
        says: The body holds one of these texts, whatever their letter case; only for vendors that
            give no code.
    """

    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    field: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    trouble: tuple[Trouble, ...] = ()
    message_id: bool | None = None
    says: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many conditions there are."""
        lists = (self.has, self.lacks, self.field, self.subject, self.trouble, self.says)
        return sum(map(bool, lists)) + (self.message_id is not None)


class Match(msgspec.Struct, **_RULE):
    """Which replies a rule is about; ``status`` holds numbers and classes such as ``4xx``."""

    reply: ReplyKind = ReplyKind.ANSWERED
    status: tuple[int | str, ...] = ()
    code: tuple[str, ...] = ()
    when: When = When()

    @property
    def specificity(self) -> int:
        """How narrow the match is."""
        exact = sum(isinstance(status, int) for status in self.status)
        by_status = 10 if exact else len(self.status[:1])
        return by_status + 10 * bool(self.code) + 10 * self.when.count

    def fits(self, reply: ReplyKind, status: int) -> bool:
        """Tell whether kind and status match; code and conditions are not looked at."""
        if reply is not self.reply:
            return False
        return not self.status or status in self.status or f"{status // 100}xx" in self.status


class Retry(msgspec.Struct, **_RULE):
    """How the same request may be repeated; ``max_attempts`` counts the first."""

    kind: RetryKind
    min_s: float = 0.0
    cap_s: float = 0.0
    max_attempts: int = 1
    unit: RetryUnit = RetryUnit.REQUEST


class Token(msgspec.Struct, **_RULE):
    """What a rule says of the push token."""

    effect: TokenEffect = TokenEffect.NONE
    guard: TokenGuard = TokenGuard.NONE


class Sample(msgspec.Struct, **_RULE):
    """A reply that the rule decides; the tests hold each rule to its samples."""

    status: int = 0
    headers: dict[str, str] = {}
    body: Any = None
    trouble: Trouble | None = None


class Rule(msgspec.Struct, **_RULE):
    """One row of the atlas."""

    id: str
    match: Match
    outcome: OutcomeKind
    scope: Scope
    processed: Processed
    retry: Retry
    advice: str
    sim: tuple[Sample, ...]
    token: Token = Token()


class Vendor(msgspec.Struct, **_RULE):
    """Where a vendor's answers hold what rules ask for.

    Attributes:
        page: The vendor's own description.
        message_id: Keys of the body on the way to the message's id.
        message_id_header: The header that has the id, where no key leads to it.
        code: Keys of the body on the way to the error's code, a text or a whole number.
        code_header: The header that has the code, where no key leads to it.
        code_detail: The type of error detail that has a more precise code, and its field.
        details: Keys of the body on the way to the list of typed error details.
        reset_header: The header that has the epoch second from which the vendor takes calls again,
            for vendors that send no ``Retry-After``.
        since_ms: Keys of the body on the way to when a token died, in milliseconds.
        extends: Whose rules hold where this vendor has none.
    """

    page: str
    message_id: tuple[str, ...] = ()
    message_id_header: str | None = None
    code: tuple[str, ...] = ()
    code_header: str | None = None
    code_detail: tuple[str, str] | None = None
    details: tuple[str, ...] = ()
    reset_header: str | None = None
    since_ms: tuple[str, ...] = ()
    extends: str | None = None
