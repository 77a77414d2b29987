"""Whether the Web SDK may send now: what its cookie says, what its configuration says without one.

Source: alloy ``Consent/createComponent``, ``createConsentStateMachine``, ``parseConsentCookie``
and ``createConsentHashStore`` (https://github.com/adobe/alloy).
"""

import hashlib
import json
from enum import StrEnum
from typing import Any

_GENERAL = "general"
Consent = dict[str, Any]


class Gate(StrEnum):
    """Whether requests leave, wait, or are refused."""

    IN = "in"
    PENDING = "pending"
    OUT = "out"


def adobe(general: str) -> Consent:
    """Return an Adobe 1.0 consent: ``in`` or ``out``."""
    return {"standard": "Adobe", "version": "1.0", "value": {_GENERAL: general}}


def preferences(collect: str, **more: Any) -> Consent:
    """Return an Adobe 2.0 consent: ``y`` or ``n`` to collecting, and other purposes beside it."""
    return {"standard": "Adobe", "version": "2.0", "value": {"collect": {"val": collect}} | more}


def iab(consent_string: str, *, gdpr_applies: bool = True) -> Consent:
    """Return an IAB TCF 2.0 consent."""
    return {
        "standard": "IAB TCF",
        "version": "2.0",
        "value": consent_string,
        "gdprApplies": gdpr_applies,
    }


def gate_of(cookie: str | None) -> Gate | None:
    """Return what the consent cookie says, of the form ``name=value;name=value``."""
    pairs = dict(pair.partition("=")[::2] for pair in (cookie or "").split(";"))
    value = pairs.get(_GENERAL)
    return Gate(value) if value in {Gate.IN, Gate.OUT} else None


def fingerprints(consents: list[Consent]) -> dict[str, str]:
    """Return what tells each standard's consent from another, to send none twice in a row."""
    return {
        f"{each.get('standard')}.{each.get('version')}": hashlib.sha256(
            json.dumps(each, sort_keys=True).encode()
        ).hexdigest()
        for each in consents
    }
