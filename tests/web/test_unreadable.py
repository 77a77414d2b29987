"""What is wrong with a body is told with its place and without its content."""

import msgspec
import pytest

from service.web.body import BodyError, decode
from service.web.edge.documents import REQUESTS
from service.web.unreadable import fault_of


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b" ", "the body is empty"),
        (b"{", "it ends too early, at line 1, column 2"),
        (b'{"a" 1}', "expected ':' at line 1, column 6"),
        (b'{\n "a": 1,\n b}', "object keys must be strings at line 3, column 2"),
        ('{"ü": s3cret}'.encode(), "invalid character at line 1, column 7"),
        (b'{"a": "\xff"}', "it is not UTF-8"),
    ],
)
def test_a_fault_is_named_with_its_place(body: bytes, fault: str) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)) as caught:
        msgspec.json.decode(body)

    assert fault_of(body, caught.value) == fault


def test_the_hot_paths_tell_it_too() -> None:
    with pytest.raises(BodyError) as caught:
        decode(b'{"events": [}', REQUESTS)

    assert caught.value.problem == (
        "the body is not valid JSON: invalid character at line 1, column 13"
    )
