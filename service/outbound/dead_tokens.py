"""Whether a vendor's verdict that a token is dead may be believed.

A wrong project or environment looks exactly like a mass uninstall, so verdicts hold only while few
of the last sends ended so; when too many do, they are held until somebody has decided.

Source: error atlas, ``token.guard``; service/decisions/0025-after-the-send.md.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.core.json import JsonObject
from service.outbound.atlas_rules import OutcomeKind, TokenEffect, TokenGuard
from service.outbound.outcomes import Outcome

CEILING = 0.2
_REMEMBERED = 500
_SUSPICIOUS_FROM = 20
_ALWAYS_BELIEVED = 5
_PROOF_LASTS = timedelta(minutes=5)
_VENDORS_PRECISION = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Alarm:
    """So many of an action's last sends ended with a dead token that none of them is believed."""

    rule_id: str
    dead: int
    last: int

    @property
    def facts(self) -> JsonObject:
        """What an operator is shown."""
        return {
            "rule": self.rule_id,
            "deadOfLast": self.dead,
            "last": self.last,
            "ceilingPercent": round(100 * CEILING),
        }


class DeadVerdicts:
    """The last verdicts about one action's sends; used by one thread."""

    def __init__(self) -> None:
        self._last: deque[bool] = deque(maxlen=_REMEMBERED)
        self._dead = 0
        self._accepted_at: datetime | None = None

    def judge(self, outcome: Outcome, *, now: datetime) -> bool | Alarm:
        """Take note of an outcome, and tell whether its token is dead.

        Returns:
            ``True`` to denylist it; an alarm to hold the verdict until somebody has decided.
            A verdict that only fears a later registration is believed: the writer compares the
            moments. One that wants proof is, where the vendor took a message of the action for
            another token in the last five minutes.
        """
        self._note(is_dead=outcome.token_effect is not TokenEffect.NONE)
        if outcome.kind is OutcomeKind.SENT:
            self._accepted_at = now
        if outcome.token_effect is not TokenEffect.DEAD:
            return False
        if outcome.token_guard is TokenGuard.PROOF_REQUIRED and not self._has_proof(now):
            return False
        share = CEILING * len(self._last)
        if self._dead >= _SUSPICIOUS_FROM and self._dead > share:
            return Alarm(outcome.rule_id, self._dead, len(self._last))
        if outcome.token_guard is TokenGuard.RATIO_CEILING:
            return self._dead <= max(_ALWAYS_BELIEVED, share)
        return True

    def _note(self, *, is_dead: bool) -> None:
        if len(self._last) == _REMEMBERED:
            self._dead -= self._last[0]
        self._last.append(is_dead)
        self._dead += is_dead

    def _has_proof(self, now: datetime) -> bool:
        return self._accepted_at is not None and now - self._accepted_at <= _PROOF_LASTS


def died_before(outcome: Outcome, called_at: datetime) -> datetime:
    """Return before when a token must have been registered to be dead by an outcome.

    That is when the call began, or earlier when the vendor says since when the token is gone; its
    moment stands for a whole millisecond.

    Source: Apple, handling notification responses from APNs, ``timestamp`` of a 410.
    """
    if outcome.dead_since is None:
        return called_at
    return min(called_at, outcome.dead_since + _VENDORS_PRECISION)
