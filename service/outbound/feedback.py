"""What a vendor says of a message after it took it, in Adobe's words.

Source: Journey Optimizer, Message Feedback dataset, ``feedbackStatus``.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from service.outbound.interactions import Interaction

LONGEST_REASON = 64


class FeedbackStatus(StrEnum):
    """Where a message stands; a later member is not replaced by an earlier one."""

    SENT = "sent"
    DELAY = "delay"
    ERROR = "error"
    BOUNCE = "bounce"
    DENYLIST = "denylist"
    DELIVERED = "delivered"
    READ = "read"

    @property
    def rank(self) -> int:
        """How much it says: receipts come in any order and more than once."""
        return _RANKS[self]


_RANKS = {status: rank for rank, status in enumerate(FeedbackStatus)}


@dataclass(frozen=True, slots=True)
class Receipt:
    """One thing that a vendor says of one message.

    Attributes:
        event_id: The vendor's own name for it; the same when it says it again.
        delivery_id: Our own id as the vendor gives it back; ``None`` when it is none of ours.
        status: ``None`` when it says nothing of the message's way.
        reason: The vendor's code, when it says why.
        opts_out: Whether the person wants no more of these.
    """

    event_id: str
    delivery_id: UUID | None
    at: datetime
    status: FeedbackStatus | None = None
    reason: str | None = None
    interaction: Interaction | None = None
    opts_out: bool = False


def text_of(value: Any) -> str | None:
    """Return a vendor's code or word as a reason: a text or number, cut."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return None
    return str(value).replace("\0", "")[:LONGEST_REASON]
