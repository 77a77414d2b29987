"""Whatever a stranger sends, decoding it fails in one way."""

import msgspec
import pytest

from service.core.json import decode


@pytest.mark.parametrize("data", [b'{"m":"\xe9"}', b"[" * 8192, b"", b"{", b"\x00"])
def test_what_is_not_json_is_a_decode_error(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(data)
