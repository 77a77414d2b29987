from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.web.edge.identity_cookie import cookie_name, decode_cookie, encode_cookie

ECID = "41861666193140161934276845651148876988"
RECORDED = (
    "CiY0MTg2MTY2NjE5MzE0MDE2MTkzNDI3Njg0NTY1MTE0ODg3Njk4OFIQCM68vcXoMhgBKgNPUjIwAaAB0ry9xegy"
    "sAHCqAHwAc68vcXoMg=="
)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2199, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis takes naive bounds and adds the zone


def test_a_cookie_that_adobes_server_wrote_is_read() -> None:
    cookie = decode_cookie(RECORDED)

    assert cookie is not None
    assert cookie.ecid == ECID
    assert cookie.written_at == datetime(2025, 4, 30, 21, 51, 56, 494000, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [RECORDED.rstrip("="), RECORDED.replace("+", "-").replace("/", "_")],
    ids=["without padding", "url-safe"],
)
def test_both_alphabets_and_missing_padding_are_read(text: str) -> None:
    cookie = decode_cookie(text)

    assert cookie is not None
    assert cookie.ecid == ECID


@given(now=MOMENTS, is_new=st.booleans())
def test_what_is_written_is_read_back(now: datetime, *, is_new: bool) -> None:
    cookie = decode_cookie(encode_cookie(ECID, now, is_new=is_new))

    assert cookie is not None
    assert cookie.ecid == ECID
    assert cookie.written_at is not None
    assert abs(cookie.written_at - now) <= timedelta(milliseconds=1)


def test_the_ecid_is_the_first_field_because_the_web_sdk_reads_no_further() -> None:
    value = encode_cookie(ECID, datetime(2026, 7, 1, tzinfo=UTC), is_new=True)

    assert value.startswith("CiY0MTg2MTY2NjE5MzE0MDE2MTkzNDI3Njg0NTY1MTE0ODg3Njk4O")


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.hex()))
def test_junk_in_the_cookie_is_no_cookie_and_no_error(text: str) -> None:
    cookie = decode_cookie(text)

    assert cookie is None or isinstance(cookie.ecid, str)


@given(st.binary(max_size=60))
def test_any_bytes_in_base64_are_no_error(data: bytes) -> None:
    cookie = decode_cookie(b64encode(data).decode())

    assert cookie is None or isinstance(cookie.ecid, str)


def test_the_cookie_is_named_after_the_organisation() -> None:
    name = cookie_name("972C898555E9F7BC7F000101@AdobeOrg")

    assert name == "kndctr_972C898555E9F7BC7F000101_AdobeOrg_identity"
