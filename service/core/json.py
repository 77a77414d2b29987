"""JSON in and out: one encoder and one decoder for everything that is stored or sent."""

from typing import Any, TypeAlias

import msgspec

JsonObject: TypeAlias = dict[str, Any]
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder()


def encode(value: Any) -> bytes:
    """Return compact UTF-8 JSON; datetimes and UUIDs become strings."""
    return _ENCODER.encode(value)


def encode_text(value: Any) -> str:
    """Return compact JSON as text."""
    return _ENCODER.encode(value).decode()


def decode(data: bytes | str) -> Any:
    """Return the value that ``data`` spells.

    Raises:
        msgspec.DecodeError: ``data`` is not JSON, not UTF-8, or nested too deep.
    """
    try:
        return _DECODER.decode(data)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError("not UTF-8, or nested too deep") from error
