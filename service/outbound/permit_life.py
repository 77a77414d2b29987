"""How long permits must live, learned from how late their calls start.

Between a grant and a start lie a commit, the gates, rendering and perhaps a new connection. A life
shorter than that would waste every permit, a longer one wastes a share of the cap.

Source: service/decisions/0005-permit-life.md.
"""

from service.outbound.capping import LONGEST_LIFE_MS, Cap

_AT_FIRST_S = 0.25
_LONGEST_S = LONGEST_LIFE_MS / 1000
_SPARE = 1.5
_WEIGHT = 0.2


class PermitLife:
    """What one lane has learned; used by one thread."""

    def __init__(self) -> None:
        self._needed_s = _AT_FIRST_S
        self._latest_s: float | None = None

    def observe(self, age_s: float) -> None:
        """Take note of how old a permit was when its call was about to start."""
        self._latest_s = max(age_s, self._latest_s or 0.0)

    def next_ms(self, cap: Cap, percent: float) -> int:
        """Return the life of the next grant: the cap's share, or what calls need if that is more.

        Follows the latest start of the last grant at once when it was late, slowly when early.
        """
        if self._latest_s is not None:
            eased = self._needed_s + _WEIGHT * (self._latest_s - self._needed_s)
            self._needed_s = min(_LONGEST_S, max(self._latest_s, eased))
            self._latest_s = None
        needed_ms = round(min(_LONGEST_S, self._needed_s * _SPARE) * 1000)
        return max(cap.life_ms(percent), needed_ms)
