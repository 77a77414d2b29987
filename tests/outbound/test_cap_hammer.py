"""Four real processes hammer one cap; their starts are swept over CLOCK_MONOTONIC."""

import pytest

from service.db.session import SessionFactory
from tests.support.cap_hammer import Hammer, hammer_together, sweep


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("max_calls_count", "period_in_ms", "bulk"), [(100, 200, 10), (2000, 1000, 100)]
)
def test_four_processes_never_exceed_a_cap_and_use_most_of_it(
    postgres_store: SessionFactory, max_calls_count: int, period_in_ms: int, bulk: int
) -> None:
    url = postgres_store.engine.url.render_as_string(hide_password=False)
    hammer = Hammer(url, max_calls_count, period_in_ms, bulk, seconds=3)

    starts = hammer_together(hammer, processes=4)

    swept = sweep([start for each in starts for start in each], hammer.cap)
    assert swept.over == 0
    assert swept.starts >= max_calls_count
    assert min(len(each) for each in starts) > 0
