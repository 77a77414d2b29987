"""A permit lives as long as calls need, and no shorter than its share of the period."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from service.outbound.capping import Cap
from service.outbound.permit_life import PermitLife

SHORT = Cap(UUID(int=1), 100, 200)
LONG = Cap(UUID(int=1), 100, 60_000)


def test_a_long_period_gives_its_share() -> None:
    assert PermitLife().next_ms(LONG, 2.0) == 1200


def test_the_life_shrinks_to_what_calls_need() -> None:
    life = PermitLife()
    at_first = life.next_ms(SHORT, 2.0)

    for _ in range(60):
        life.observe(0.005)
        life.observe(0.02)
        shrunk = life.next_ms(SHORT, 2.0)

    assert (at_first, shrunk) == (375, 30)


def test_one_late_start_lengthens_the_next_life_at_once() -> None:
    life = PermitLife()
    for _ in range(60):
        life.observe(0.02)
        life.next_ms(SHORT, 2.0)

    life.observe(0.4)

    assert life.next_ms(SHORT, 2.0) == 600


@given(st.lists(st.floats(0, 100), max_size=50))
def test_no_life_is_longer_than_gates_hold(ages: list[float]) -> None:
    life = PermitLife()

    lives = [life.next_ms(SHORT, 2.0)]
    for age in ages:
        life.observe(age)
        lives.append(life.next_ms(SHORT, 2.0))

    assert all(10 <= each <= 2000 for each in lives)
