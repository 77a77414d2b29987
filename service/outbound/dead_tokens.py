"""Whether a vendor's verdict that a token is dead may be believed.

A wrong project or environment looks exactly like a mass uninstall, so a verdict that depends on the
ratio holds only while few of the last sends ended so.

Source: error atlas, ``token.guard``.
"""

from collections import deque

from service.outbound.atlas_rules import TokenEffect, TokenGuard
from service.outbound.outcomes import Outcome

_REMEMBERED = 500
_CEILING = 0.2
_ALWAYS_BELIEVED = 5


class DeadVerdicts:
    """The last verdicts of one destination; used by one thread."""

    def __init__(self) -> None:
        self._last: deque[bool] = deque(maxlen=_REMEMBERED)

    def should_denylist(self, outcome: Outcome) -> bool:
        """Take note of an outcome, and tell whether its token is to be denylisted.

        A verdict that wants proof (the same message accepted for another token) is not believed.
        One that only fears a later registration is: the writer compares the moments.
        """
        is_dead = outcome.token_effect is TokenEffect.DEAD
        self._last.append(outcome.token_effect is not TokenEffect.NONE)
        if not is_dead or outcome.token_guard is TokenGuard.PROOF_REQUIRED:
            return False
        if outcome.token_guard is TokenGuard.RATIO_CEILING:
            return sum(self._last) <= max(_ALWAYS_BELIEVED, _CEILING * len(self._last))
        return True
