"""The value of the ``kndctr_<ORG>_identity`` cookie: a small protobuf in base64.

The Web SDK reads field 1, the ECID, and nothing else; when it cannot, it asks for a new identity.
We read field 1 and field 30, the moment of writing.

Source: alloy ``createGetEcidFromCookie`` / ``decodeKndctrProtobuf``.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime

MAX_AGE_S = 34_128_000
_ECID_FIELD = 1
_ABOUT_FIELD = 10
_WRITTEN_FIELD = 30
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_CONTINUES = 0x80
_LOW_BITS = 0x7F
_MAX_SHIFT = 63
_MAX_LENGTH = 1024
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_BROWSER = 1


@dataclass(frozen=True, slots=True)
class IdentityCookie:
    """What the cookie says; ``written_at`` is ``None`` when it does not say."""

    ecid: str
    written_at: datetime | None


def cookie_name(org_id: str, suffix: str = "identity") -> str:
    """Return the name under which the Web SDK keeps a value of this organisation."""
    return f"kndctr_{org_id.replace('@', '_')}_{suffix}"


def encode_cookie(ecid: str, now: datetime, *, is_new: bool) -> str:
    """Return the cookie's value for a browser; field 1 comes first."""
    now_ms = round(now.timestamp() * 1000)
    about = _number(1, now_ms) + (_number(2, 1) if is_new else b"") + _number(3, _BROWSER)
    parts = (
        _blob(_ECID_FIELD, ecid.encode()),
        _blob(_ABOUT_FIELD, about),
        _number(_WRITTEN_FIELD, now_ms),
    )
    return base64.b64encode(b"".join(parts)).decode()


def decode_cookie(value: str) -> IdentityCookie | None:
    """Return what a cookie says, or ``None`` when it cannot be read.

    Takes standard and url-safe base64, padded or not.
    """
    if len(value) > _MAX_LENGTH:
        return None
    text = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        fields = _fields(data)
        ecid = fields.get(_ECID_FIELD)
        if not isinstance(ecid, bytes):
            return None
        return IdentityCookie(ecid.decode(), _moment(fields.get(_WRITTEN_FIELD)))
    except (binascii.Error, ValueError, IndexError, OverflowError):
        return None


def _moment(milliseconds: int | bytes | None) -> datetime | None:
    if not isinstance(milliseconds, int):
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _fields(data: bytes) -> dict[int, int | bytes]:
    """Return the fields of one message, the last of each number winning, as protobuf asks."""
    fields: dict[int, int | bytes] = {}
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            fields[number], at = _read_varint(data, at)
            continue
        if wire == _BYTES:
            size, at = _read_varint(data, at)
        else:
            size = _FIXED_SIZES[wire] if wire in _FIXED_SIZES else len(data) + 1
        if at + size > len(data):
            raise ValueError("a field is longer than the message")
        fields[number] = data[at : at + size]
        at += size
    return fields


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & _LOW_BITS) << shift
        if not byte & _CONTINUES:
            return value, at
        shift += 7
        if shift > _MAX_SHIFT:
            raise ValueError("a number is longer than 64 bits")


def _varint(value: int) -> bytes:
    written = bytearray()
    while value >= _CONTINUES:
        written.append(value & _LOW_BITS | _CONTINUES)
        value >>= 7
    written.append(value)
    return bytes(written)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _blob(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(value)) + value
