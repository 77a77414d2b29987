"""What a TC string says of purpose 1, "store and/or access information on a device".

Only the core segment is read, and of it only the version and that one bit.

Source: IAB Tech Lab, "Transparency and Consent String with Global Vendor & CMP List Formats",
version 2.2, "The Core String"; the fields before ``PurposesConsent`` take 152 bits.
"""

import base64
import binascii
import re

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_VERSION = 2
_VERSION_BITS = 6
_PURPOSES_AT = 152
# the fields of fixed length, up to the country of the publisher
_FIXED_BITS = 213


class MalformedTcStringError(ValueError):
    """The text is no TC string of version 2."""


def allows_storage(text: str) -> bool:
    """Return whether purpose 1 is consented to.

    Raises:
        MalformedTcStringError: It cannot be told.
    """
    core = text.partition(".")[0]
    if not _SEGMENT.fullmatch(core):
        raise MalformedTcStringError("not base64url")
    try:
        data = base64.urlsafe_b64decode(core + "=" * (-len(core) % 4))
    except binascii.Error as error:
        raise MalformedTcStringError("not base64url") from error
    length = len(data) * 8
    if length < _FIXED_BITS:
        raise MalformedTcStringError("too short")
    bits = int.from_bytes(data, "big")
    if bits >> (length - _VERSION_BITS) != _VERSION:
        raise MalformedTcStringError("not version 2")
    return bool(bits >> (length - _PURPOSES_AT - 1) & 1)
