"""A process's copy of a token: when it asks, when it waits, and what it does when nothing comes."""

import pytest

from service.core.ids import derived_key
from service.core.secret import Secret
from service.outbound.shared_tokens import Minted, SharedTokens, TokenUnavailableError
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.vendor_tokens import MemoryTokenStore

SCOPE = Scope(1, "prod")
KEY = derived_key("a-credential")


class Vendor:
    """Gives out numbered tokens; fails while ``trouble`` is set."""

    def __init__(self) -> None:
        self.asked = 0
        self.trouble: TokenUnavailableError | None = None

    def mint(self) -> Minted:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return Minted(Secret(f"token-{self.asked}"), 3600, 3300)


def test_the_hot_path_asks_nobody() -> None:
    clock = FixedClock()
    store, vendor = MemoryTokenStore(clock), Vendor()
    tokens = SharedTokens(store, clock)
    tokens.bearer(SCOPE, KEY, vendor.mint)
    store.rows.clear()
    clock.advance(3299)

    assert tokens.bearer(SCOPE, KEY, vendor.mint) == Secret("token-1")


def test_a_failure_is_told_to_a_whole_batch_without_asking_for_each_message() -> None:
    clock, vendor = FixedClock(), Vendor()
    tokens = SharedTokens(MemoryTokenStore(clock), clock)
    vendor.trouble = TokenUnavailableError("away", may_retry=True)

    for _ in range(5):
        with pytest.raises(TokenUnavailableError, match="away"):
            tokens.bearer(SCOPE, KEY, vendor.mint)
    asked_at_once = vendor.asked
    clock.advance(1)
    vendor.trouble = None

    assert asked_at_once == 1
    assert tokens.bearer(SCOPE, KEY, vendor.mint) == Secret("token-2")


def test_without_a_store_a_live_token_is_used_on_and_none_is_got() -> None:
    clock, vendor = FixedClock(), Vendor()
    store = MemoryTokenStore(clock)
    tokens = SharedTokens(store, clock)
    tokens.bearer(SCOPE, KEY, vendor.mint)
    store.is_away = True
    clock.advance(3400)

    meanwhile = tokens.bearer(SCOPE, KEY, vendor.mint)
    clock.advance(300)

    assert meanwhile == Secret("token-1")
    with pytest.raises(TokenUnavailableError, match="store") as caught:
        tokens.bearer(SCOPE, KEY, vendor.mint)
    assert caught.value.may_retry
    assert vendor.asked == 1


@pytest.mark.parametrize(("lost", "asked"), [(2, 1), (3, 2)])
def test_a_token_that_was_got_is_used_though_the_store_goes_away(lost: int, asked: int) -> None:
    clock, vendor = FixedClock(), Vendor()
    store = MemoryTokenStore(clock, lost_keeps=lost)
    tokens = SharedTokens(store, clock)

    got = [tokens.bearer(SCOPE, KEY, vendor.mint) for _ in range(2)]
    clock.advance(20)
    SharedTokens(store, clock).bearer(SCOPE, KEY, vendor.mint)

    assert got == [Secret("token-1")] * 2
    assert vendor.asked == asked


def test_a_young_token_stays_though_it_was_refused_where_a_vendor_bears_few() -> None:
    clock, vendor = FixedClock(), Vendor()
    tokens = SharedTokens(MemoryTokenStore(clock), clock)
    refused = tokens.bearer(SCOPE, KEY, vendor.mint)
    clock.advance(1199)

    tokens.refuse(SCOPE, KEY, refused, min_age_s=1200)
    young = tokens.bearer(SCOPE, KEY, vendor.mint)
    clock.advance(1)
    tokens.refuse(SCOPE, KEY, refused, min_age_s=1200)

    assert (young, tokens.bearer(SCOPE, KEY, vendor.mint)) == (refused, Secret("token-2"))


def test_a_vendor_that_refuses_every_token_is_given_a_new_one_now_and_then() -> None:
    clock, vendor = FixedClock(), Vendor()
    tokens = SharedTokens(MemoryTokenStore(clock), clock)

    for _ in range(100):
        tokens.refuse(SCOPE, KEY, tokens.bearer(SCOPE, KEY, vendor.mint))
        clock.advance(0.25)

    assert vendor.asked == 4


def test_afresh_asks_whatever_there_is_and_the_others_find_the_new_token() -> None:
    clock, vendor = FixedClock(), Vendor()
    store = MemoryTokenStore(clock)
    one, two = SharedTokens(store, clock), SharedTokens(store, clock)
    one.bearer(SCOPE, KEY, vendor.mint)

    renewed = two.bearer(SCOPE, KEY, vendor.mint, afresh=True)

    assert renewed == Secret("token-2")
    assert SharedTokens(store, clock).bearer(SCOPE, KEY, vendor.mint) == Secret("token-2")


def test_a_lease_that_nobody_ends_is_not_waited_for_forever() -> None:
    clock, vendor = FixedClock(), Vendor()
    store = MemoryTokenStore(clock)
    store.claim(SCOPE, KEY, refused=None, afresh=False, lease_s=3600)

    with pytest.raises(TokenUnavailableError, match="Another process"):
        SharedTokens(store, clock).bearer(SCOPE, KEY, vendor.mint)


def test_no_token_shows_in_a_repr() -> None:
    minted = Minted(Secret("s3cret"), 1, 1, Secret("s3cret"))

    assert "s3cret" not in repr([minted, KEY])
