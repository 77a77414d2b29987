"""The channels that people consent to, one by one.

Source: XDM, consents and preferences (``consents.marketing``).
"""

from enum import StrEnum


class Channel(StrEnum):
    """How a message reaches a person, as XDM spells it under ``consents.marketing``."""

    PUSH = "push"
    SMS = "sms"
    EMAIL = "email"
    WHATS_APP = "whatsApp"
