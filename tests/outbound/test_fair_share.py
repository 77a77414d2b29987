"""Shares are whole, by max-min and weight, and never more than there is."""

from collections.abc import Mapping
from fractions import Fraction
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from service.outbound.fair_share import Claimant, Seen, allocate, permitted, share_out

NAMES = st.sampled_from("abcdefgh")
WANTED = st.dictionaries(NAMES, st.integers(0, 60), max_size=8)
WEIGHTS = st.dictionaries(NAMES, st.integers(1, 9))
CLAIMANTS = st.builds(
    Claimant, st.sampled_from([UUID(int=n) for n in range(4)]), st.booleans(), st.booleans()
)
ASKED = st.dictionaries(CLAIMANTS, st.integers(0, 60), max_size=10)


def one_by_one(count: int, wanted: Mapping[str, int], weights: Mapping[str, int]) -> dict[str, int]:
    """Give unit after unit to whoever has least by weight: what max-min means."""
    given_ = dict.fromkeys(wanted, 0)
    for _ in range(count):
        open_ = [key for key in wanted if given_[key] < wanted[key]]
        if not open_:
            break
        least = min(open_, key=lambda key: Fraction(given_[key] + 1, weights.get(key, 1)))
        given_[least] += 1
    return given_


@given(count=st.integers(0, 200), wanted=WANTED, weights=WEIGHTS)
def test_shares_are_what_giving_unit_by_unit_to_the_poorest_gives(
    count: int, wanted: dict[str, int], weights: dict[str, int]
) -> None:
    assert share_out(count, wanted, weights) == one_by_one(count, wanted, weights)


@given(count=st.integers(-5, 300), wanted=ASKED)
def test_everything_is_given_out_and_nobody_gets_more_than_they_ask(
    count: int, wanted: dict[Claimant, int]
) -> None:
    given_ = allocate(count, wanted, {})

    assert sum(given_.values()) == min(max(0, count), sum(wanted.values()))
    assert all(given_[key] <= wanted[key] for key in wanted)


@given(count=st.integers(0, 300), wanted=ASKED)
def test_a_larger_cap_takes_nothing_from_anybody(count: int, wanted: dict[Claimant, int]) -> None:
    smaller, larger = allocate(count, wanted, {}), allocate(count + 1, wanted, {})

    assert all(larger[key] >= smaller[key] for key in wanted)


@given(wanted=WANTED, weights=WEIGHTS, count=st.integers(0, 200), more=st.integers(1, 50))
def test_asking_for_more_never_gives_less_and_takes_only_from_others(
    wanted: dict[str, int], weights: dict[str, int], count: int, more: int
) -> None:
    before = share_out(count, {"me": 5, **wanted}, weights)
    after = share_out(count, {"me": 5 + more, **wanted}, weights)

    assert after["me"] >= before["me"]
    assert all(after[key] <= before[key] for key in wanted)


@given(wanted=ASKED, count=st.integers(0, 300))
def test_retries_get_a_fifth_where_first_attempts_want_the_rest(
    wanted: dict[Claimant, int], count: int
) -> None:
    given_ = allocate(count, wanted, {})
    first = sum(amount for key, amount in wanted.items() if not key.is_retry)
    retries = sum(amount for key, amount in given_.items() if key.is_retry)

    assert retries <= max(count // 5, count - first)


@given(wanted=ASKED, count=st.integers(0, 300))
def test_marketing_waits_for_transactional_but_for_its_twentieth(
    wanted: dict[Claimant, int], count: int
) -> None:
    asked = {key: amount for key, amount in wanted.items() if not key.is_retry}
    given_ = allocate(count, asked, {})
    urgent_refused = any(given_[key] < asked[key] for key in asked if not key.is_marketing)
    marketing = sum(amount for key, amount in given_.items() if key.is_marketing)

    assert not urgent_refused or marketing <= (count + 10) // 20


def test_weights_divide_what_does_not_suffice() -> None:
    assert share_out(100, {"a": 90, "b": 90, "c": 5}, {"a": 4}) == {"a": 76, "b": 19, "c": 5}


@given(
    cap=st.integers(1, 100),
    asked=ASKED,
    seen=st.dictionaries(CLAIMANTS, st.builds(Seen, st.integers(0, 50), st.integers(0, 50))),
)
def test_a_cap_that_suffices_for_all_refuses_nobody(
    cap: int, asked: dict[Claimant, int], seen: dict[Claimant, Seen]
) -> None:
    used = sum(each.granted for each in seen.values())
    demand = sum(max(each.asked, each.granted) for each in seen.values())
    enough = sum(asked.values()) + demand + cap

    assert permitted(enough, enough - used, asked, seen, {}) == asked


@given(
    cap=st.integers(0, 100),
    used=st.integers(0, 120),
    asked=ASKED,
    seen=st.dictionaries(CLAIMANTS, st.builds(Seen, st.integers(20, 50), st.integers(0, 20))),
)
def test_no_more_is_permitted_than_is_free(
    cap: int, used: int, asked: dict[Claimant, int], seen: dict[Claimant, Seen]
) -> None:
    free = max(0, cap - used)
    may = permitted(cap, free, asked, seen, {})

    assert sum(may.values()) <= free
    assert all(may[key] <= asked[key] for key in asked)


def test_who_comes_first_leaves_what_the_others_asked_for_a_moment_ago() -> None:
    hungry = Claimant(UUID(int=1), is_marketing=True)
    modest = Claimant(UUID(int=2), is_marketing=True)

    may = permitted(100, 100, {hungry: 1000}, {modest: Seen(30, 30)}, {})

    assert may == {hungry: 70}


def test_one_alone_may_use_the_whole_cap() -> None:
    alone = Claimant(UUID(int=1), is_marketing=True)

    assert permitted(100, 60, {alone: 500}, {alone: Seen(40, 40)}, {}) == {alone: 60}


@given(claimant=CLAIMANTS)
def test_a_claimants_name_names_it(claimant: Claimant) -> None:
    assert Claimant.of_name(claimant.name) == claimant
