"""The ECID in the value of the ``kndctr_<ORG>_identity`` cookie, decoded as the Web SDK decodes it.

Source: alloy ``createDecodeKndctrCookie``: base64 of a protobuf, of which field 1 alone is read.
"""

import base64
import binascii
from urllib.parse import unquote

_ECID_FIELD = 1
_VARINT, _FIXED64, _BYTES, _START, _END, _FIXED32 = range(6)
_SKIPPED = {_FIXED64: 8, _START: 0, _END: 0, _FIXED32: 4}
_CONTINUES = 0x80
_MAX_VARINT = 10


def ecid_of(value: str) -> str | None:
    """Return the ECID, or ``None`` where alloy would warn and go on without one."""
    text = unquote(value).replace("_", "/").replace("-", "+").rstrip("=")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        return _ecid_in(data)
    except (binascii.Error, ValueError, IndexError, UnicodeDecodeError):
        return None


def _ecid_in(data: bytes) -> str:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        field, wire = tag >> 3, tag & 7
        if field == _ECID_FIELD and wire == _BYTES:
            size, at = _varint(data, at)
            return data[at : at + size].decode()
        if wire == _VARINT:
            _, at = _varint(data, at)
        elif wire == _BYTES:
            size, at = _varint(data, at)
            at += size
        elif wire in _SKIPPED:
            at += _SKIPPED[wire]
        else:
            raise ValueError(f"unknown wire type {wire}")
    raise ValueError("no ECID")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for length in range(_MAX_VARINT):
        byte = data[at + length]
        value |= (byte & ~_CONTINUES) << (7 * length)
        if not byte & _CONTINUES:
            return value, at + length + 1
    raise ValueError("a number is too long")
