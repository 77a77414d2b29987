"""Published keys are fetched seldom, outside the requests' way, and never waited for long."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from service.outbound.key_sets import (
    FAILURE_PAUSE_S,
    FRESH_S,
    RENEWED_AFTER_S,
    UNKNOWN_KEY_PAUSE_S,
    WAIT_S,
    KeySets,
    KeysUnavailableError,
)
from service.outbound.transport_form import FormError
from tests.support.clocks import FixedClock
from tests.support.login_proofs import EC, RSA, jwk_of, key_set

URL = "https://login.shop.test/keys"
PATIENCE_S = 5


class Publisher:
    """A place where keys are published; answers in turn, the last answer stays."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.asked: list[str] = []
        self.answered = Event()
        self._answers = list(answers)

    def __call__(self, url: str) -> bytes:
        """Answer one request."""
        self.asked.append(url)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        self.answered.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


class Held:
    """A place that answers when told."""

    def __init__(self) -> None:
        self.asked = 0
        self.began = Event()
        self.released = Event()

    def __call__(self, _url: str) -> bytes:
        """Answer once the test allows it."""
        self.asked += 1
        self.began.set()
        self.released.wait(PATIENCE_S)
        return key_set(jwk_of(EC, "a"))


A = key_set(jwk_of(EC, "a"))
A_AND_B = key_set(jwk_of(EC, "a"), jwk_of(RSA, "b"))
AWAY = FormError("away")


def settled(check: Callable[[], bool]) -> bool:
    """Wait for what another thread is about to do."""
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        if check():
            return True
        Event().wait(0.005)
    return False


def test_a_key_is_found_by_its_name_and_algorithm(clock: FixedClock) -> None:
    sets = KeySets(Publisher(A_AND_B), clock)

    assert sets.find(URL, "a", "ES256") == EC.public_key()
    assert sets.find(URL, "b", "RS256") == RSA.public_key()
    assert sets.find(URL, "a", "RS256") is None
    assert sets.find(URL, "c", "ES256") is None


def test_without_a_name_the_only_key_of_the_algorithm_is_meant(clock: FixedClock) -> None:
    several = key_set(jwk_of(EC, "a"), jwk_of(RSA, "b"), jwk_of(RSA, "c"))
    sets = KeySets(Publisher(several), clock)

    assert sets.find(URL, None, "ES256") == EC.public_key()
    assert sets.find(URL, None, "RS256") is None


def test_a_set_is_fetched_once_for_everybody(clock: FixedClock) -> None:
    publisher = Publisher(A)
    sets = KeySets(publisher, clock)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: sets.find(URL, "a", "ES256"), range(32)))

    assert found == [EC.public_key()] * 32
    assert publisher.asked == [URL]


def test_a_set_is_renewed_in_the_background_before_it_is_too_old(clock: FixedClock) -> None:
    held = Held()
    held.released.set()
    sets = KeySets(held, clock)
    sets.find(URL, "a", "ES256")
    held.released.clear()
    held.began.clear()

    clock.advance(RENEWED_AFTER_S)
    begun = time.monotonic()
    found = sets.find(URL, "a", "ES256")
    took_s = time.monotonic() - begun

    assert found == EC.public_key()
    assert took_s < WAIT_S / 2
    assert held.began.wait(PATIENCE_S)
    held.released.set()
    assert held.asked == 2


def test_a_renewed_set_counts_for_another_ten_minutes(clock: FixedClock) -> None:
    publisher = Publisher(A, A_AND_B)
    sets = KeySets(publisher, clock)
    sets.find(URL, "a", "ES256")

    clock.advance(RENEWED_AFTER_S)
    sets.find(URL, "a", "ES256")
    renewed = settled(lambda: sets.find(URL, "b", "RS256") is not None)
    clock.advance(FRESH_S - RENEWED_AFTER_S - 1)
    sets.find(URL, "b", "RS256")

    assert renewed
    assert len(publisher.asked) == 2


def test_a_set_of_ten_minutes_is_fetched_again_before_it_counts(clock: FixedClock) -> None:
    publisher = Publisher(A, key_set(jwk_of(RSA, "b")))
    sets = KeySets(publisher, clock)
    sets.find(URL, "a", "ES256")

    clock.advance(FRESH_S)

    assert sets.find(URL, "a", "ES256") is None
    assert len(publisher.asked) == 2


def test_a_set_of_ten_minutes_does_not_count_while_it_cannot_be_fetched(clock: FixedClock) -> None:
    sets = KeySets(Publisher(A, AWAY), clock)
    sets.find(URL, "a", "ES256")

    clock.advance(FRESH_S)

    with pytest.raises(KeysUnavailableError):
        sets.find(URL, "a", "ES256")


def test_an_unknown_key_is_looked_for_once_a_minute(clock: FixedClock) -> None:
    publisher = Publisher(A, A, A_AND_B)
    sets = KeySets(publisher, clock)

    found = []
    for after_s in (0, UNKNOWN_KEY_PAUSE_S - 1, 1, 0, UNKNOWN_KEY_PAUSE_S):
        clock.advance(after_s)
        found.append(sets.find(URL, "b", "RS256"))

    assert found == [None, None, None, None, RSA.public_key()]
    assert len(publisher.asked) == 3


def test_an_unknown_key_is_not_denied_while_the_set_cannot_be_fetched(clock: FixedClock) -> None:
    sets = KeySets(Publisher(A, AWAY), clock)
    sets.find(URL, "a", "ES256")
    clock.advance(UNKNOWN_KEY_PAUSE_S)

    with pytest.raises(KeysUnavailableError):
        sets.find(URL, "b", "RS256")

    assert sets.find(URL, "a", "ES256") == EC.public_key()


@pytest.mark.parametrize("answer", [AWAY, OSError(), ValueError(), b"{}", b"\xff"])
def test_a_failure_is_not_repeated_at_once(clock: FixedClock, answer: bytes | Exception) -> None:
    publisher = Publisher(answer, A)
    sets = KeySets(publisher, clock)

    for _ in range(3):
        with pytest.raises(KeysUnavailableError):
            sets.find(URL, "a", "ES256")
    clock.advance(FAILURE_PAUSE_S)

    assert sets.find(URL, "a", "ES256") == EC.public_key()
    assert len(publisher.asked) == 2


def test_nobody_waits_longer_than_two_seconds(clock: FixedClock) -> None:
    held = Held()
    sets = KeySets(held, clock)
    begun = time.monotonic()

    with pytest.raises(KeysUnavailableError):
        sets.find(URL, "a", "ES256")

    assert WAIT_S <= time.monotonic() - begun < WAIT_S + 1
    clock.advance(WAIT_S)
    begun = time.monotonic()
    with pytest.raises(KeysUnavailableError):
        sets.find(URL, "a", "ES256")
    assert time.monotonic() - begun < 1
    assert held.asked == 1
    held.released.set()
    assert settled(lambda: _is_found(sets))


def _is_found(sets: KeySets) -> bool:
    try:
        return sets.find(URL, "a", "ES256") is not None
    except KeysUnavailableError:
        return False
