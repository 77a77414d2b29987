import pytest

from mobile_stub.verdicts import Verdict, retry_delay_s, verdict_of


@pytest.mark.parametrize("status", [200, 204, 207])
def test_success_is_200_204_and_207(status: int) -> None:
    assert verdict_of(status) is Verdict.KEPT


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504, 507, None])
def test_case_12_trouble_that_passes_is_retried(status: int | None) -> None:
    assert verdict_of(status) is Verdict.RETRY


@pytest.mark.parametrize(
    "status",
    [201, 202, 203, 205, 206, 301, 302, 400, 401, 403, 404, 409, 413, 415, 422, 500, 501, 505],
)
def test_everything_else_loses_the_hit(status: int) -> None:
    assert verdict_of(status) is Verdict.DROPPED


@pytest.mark.parametrize(
    ("header", "expected"),
    [("1", 1), ("30", 30), ("180", 180), ("300", 300), ("007", 7)]
    + [(text, 5) for text in (None, "", "0", "00", "-1", "1.5", "soon", "+3", " 3", "٣")]
    + [("Wed, 01 Jul 2026 10:00:00 GMT", 5)],
)
def test_case_13_and_14_retry_after_counts_only_as_a_positive_integer(
    header: str | None, expected: int
) -> None:
    assert retry_delay_s(header) == expected
