"""Live activity tokens: the newest of a device, on one device, for whoever is logged in there."""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from service.db.session import SessionFactory, unit_of_work
from service.flows.ingest import ingest
from service.flows.open_sandbox import open_sandbox
from service.identity.identity_map import AuthenticatedState, ClaimedIdentity
from service.identity.linking import Order
from service.identity.models import Identity
from service.profiles import live_activities, live_activity_targets
from service.profiles.incoming import AnnouncedLiveActivity, IncomingEvent
from service.profiles.live_activities import Kind
from service.profiles.models import LiveActivityOwner, LiveActivityToken
from service.sandboxes.scope import Scope
from tests.support.builders import PROD, ecid, event, person, request, source
from tests.support.clocks import START
from tests.support.database import until_somebody_waits

NOW = START + timedelta(days=1)
FOOD = "FoodDeliveryAttributes"
RIDE = "RideAttributes"
Said = tuple[AnnouncedLiveActivity, Order]


def start(
    number: int, text: str, at: float, *, name: str = FOOD, app: str = "com.example.shop"
) -> Said:
    """Return what device ``number`` says of a type of activity ``at`` seconds after the start."""
    announced = AnnouncedLiveActivity("start", name, text, ecid(number), app, "apns")
    return announced, Order(START + timedelta(seconds=at), f"{number}:{at}")


def update(number: int, activity: str, text: str, at: float = 0) -> Said:
    """Return what device ``number`` says of one running activity."""
    announced = AnnouncedLiveActivity("update", activity, text, ecid(number))
    return announced, Order(START + timedelta(seconds=at), f"{number}:{at}")


def say(store: SessionFactory, *said: Said, scope: Scope = PROD, now: datetime = NOW) -> None:
    with unit_of_work(store) as session:
        live_activities.register(session, scope, said, now=now)


def keep(store: SessionFactory, *events: IncomingEvent) -> None:
    with unit_of_work(store) as session:
        ingest(session, [request(each) for each in events], now=NOW)


def held(store: SessionFactory, scope: Scope = PROD) -> set[tuple[Any, str, str | None]]:
    """Return device, name and token of every token, on the device that has it."""
    query = select(LiveActivityToken).join(
        LiveActivityOwner,
        (LiveActivityOwner.sandbox_id == scope.sandbox_id)
        & (LiveActivityOwner.token_id == LiveActivityToken.token_id)
        & (LiveActivityOwner.device_id == LiveActivityToken.device_id),
    )
    with store.opened() as session:
        rows = session.scalars(query.where(LiveActivityToken.sandbox_id == scope.sandbox_id)).all()
    return {(each.device_id, each.name, each.token) for each in rows}


def rows(store: SessionFactory) -> tuple[int, int]:
    """Return how many places of devices there are, and how many tokens have a device."""
    places = select(LiveActivityToken.device_id).where(LiveActivityToken.sandbox_id == 1)
    owners = select(LiveActivityOwner.token_id).where(LiveActivityOwner.sandbox_id == 1)
    with store.opened() as session:
        return len(session.scalars(places).all()), len(session.scalars(owners).all())


def reached(
    store: SessionFactory, identity: ClaimedIdentity, kind: Kind = Kind.START, name: str = FOOD
) -> list[str]:
    """Return the tokens by which a person's activities of this name are reached."""
    with store.opened() as session:
        found = live_activity_targets.of_named(session, PROD, kind, [(identity.key, name)])
    tokens = found.get((identity.key, name), ())
    return [each.token for each in tokens if each.denylisted_at is None]


def test_the_newest_token_of_a_device_and_name_wins_whatever_arrives_last(
    store: SessionFactory,
) -> None:
    say(store, start(1, "new", at=2), update(1, "order-1", "u"))
    say(store, start(1, "old", at=1), start(1, "ride", at=1, name=RIDE))

    one = ecid(1).key
    assert held(store) == {(one, FOOD, "new"), (one, RIDE, "ride"), (one, "order-1", "u")}


def test_a_start_token_that_is_announced_for_a_new_ecid_leaves_the_old_one(
    store: SessionFactory,
) -> None:
    say(store, start(1, "80f3c1", at=1), start(1, "ride", at=1, name=RIDE))

    say(store, start(2, "80f3c1", at=2))

    assert held(store) == {(ecid(2).key, FOOD, "80f3c1"), (ecid(1).key, RIDE, "ride")}


@pytest.mark.parametrize(
    "other",
    [
        start(2, "80F3C1", at=2),
        start(2, "80f3c1", at=2, app="com.example.other"),
        start(2, "80f3c1", at=2, name=RIDE),
        update(2, FOOD, "80f3c1", at=2),
    ],
)
def test_only_the_same_app_kind_name_and_token_is_the_same(
    store: SessionFactory, other: Said
) -> None:
    say(store, start(1, "80f3c1", at=1))

    say(store, other)

    assert len(held(store)) == 2


def test_a_token_announced_for_two_devices_at_once_is_on_one(store: SessionFactory) -> None:
    first, second = start(1, "80f3c1", at=1)[0], start(2, "80f3c1", at=1)[0]
    order = Order(START, "same")

    say(store, (first, order), (second, order))

    assert len(held(store)) == 1


def test_sandboxes_hold_the_same_token_apart(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        dev = open_sandbox(session, name="dev", title="Dev", type_="development", now=START)
    say(store, start(1, "80f3c1", at=1))

    say(store, start(2, "80f3c1", at=2), scope=dev)

    assert held(store) == {(ecid(1).key, FOOD, "80f3c1")}
    assert held(store, dev) == {(ecid(2).key, FOOD, "80f3c1")}


def test_an_older_token_does_not_fill_the_place_of_one_that_moved(store: SessionFactory) -> None:
    say(store, start(1, "moving", at=2))
    say(store, start(2, "moving", at=3))

    say(store, start(1, "older", at=1))

    assert held(store) == {(ecid(2).key, FOOD, "moving")}


STORIES = st.lists(
    st.tuples(
        st.integers(1, 3), st.sampled_from([FOOD, RIDE]), st.sampled_from("ab"), st.integers(0, 9)
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda each: each[3],
)


@settings(max_examples=30, phases=(Phase.explicit, Phase.generate))
@given(story=STORIES, chance=st.randoms(use_true_random=False))
def test_a_token_is_on_one_device_at_most_and_the_last_word_always_holds(
    store: SessionFactory, story: Sequence[tuple[int, str, str, int]], chance: random.Random
) -> None:
    shuffled = list(story)
    chance.shuffle(shuffled)
    with unit_of_work(store) as session:
        session.execute(delete(LiveActivityToken).where(LiveActivityToken.sandbox_id == 1))
        session.execute(delete(LiveActivityOwner).where(LiveActivityOwner.sandbox_id == 1))

    for number, name, text, at in shuffled:
        say(store, start(number, text, at=at, name=name))

    holding = held(store)
    number, name, text, _ = max(story, key=lambda each: each[3])
    assert (ecid(number).key, name, text) in holding
    assert len({(each, token) for _, each, token in holding}) == len(holding)


def test_a_persons_activities_are_reached_on_the_devices_they_are_logged_in_on(
    store: SessionFactory,
) -> None:
    keep(store, event(ecid(1), person("ada"), at=1), event(ecid(2), person("ada"), at=2))
    keep(store, event(ecid(3), person("bob"), at=3))
    say(store, start(1, "a1", at=1), start(2, "a2", at=2), start(3, "b3", at=3))

    assert sorted(reached(store, person("ada"))) == ["a1", "a2"]
    assert reached(store, ecid(2)) == reached(store, person("ada"))
    assert reached(store, person("bob")) == ["b3"]
    assert reached(store, person("eve")) == []


def test_a_login_takes_the_devices_activities_and_a_logout_leaves_them_to_nobody(
    store: SessionFactory,
) -> None:
    people = (ecid(1), person("ada"), person("bob"))
    keep(store, event(ecid(1), at=0))
    say(store, update(1, "order-1", "u"))

    owners = []
    for step in (None, event(ecid(1), person("ada"), at=1), event(ecid(1), person("bob"), at=2)):
        keep(store, *([step] if step else []))
        owners.append([each for each in people if reached(store, each, Kind.UPDATE, "order-1")])
    keep(store, event(ecid(1), at=3))
    after = [each for each in people if reached(store, each, Kind.UPDATE, "order-1")]

    assert owners == [[ecid(1)], [ecid(1), person("ada")], [ecid(1), person("bob")]]
    assert after == []


def test_whoever_claims_to_be_somebody_does_not_start_their_activities(
    store: SessionFactory,
) -> None:
    guess = person("ada", AuthenticatedState.AMBIGUOUS)
    keep(store, event(ecid(1), person("ada"), at=1), event(ecid(2), guess, at=2))

    say(store, start(1, "hers", at=1), start(2, "stranger", at=2))

    assert reached(store, person("ada")) == ["hers"]


def test_a_token_that_a_vendor_declared_gone_is_good_again_when_announced_again(
    store: SessionFactory,
) -> None:
    keep(store, event(ecid(1), at=0))
    say(store, start(1, "80f3c1", at=1))
    with unit_of_work(store) as session:
        row = session.get(LiveActivityToken, (1, ecid(1).key, "start", FOOD))
        assert row is not None
        row.denylisted_at = NOW

    gone = reached(store, ecid(1))
    say(store, start(1, "80f3c1", at=2))

    assert (gone, reached(store, ecid(1))) == ([], ["80f3c1"])


def test_an_update_token_goes_when_its_activity_must_have_ended(store: SessionFactory) -> None:
    say(store, update(1, "order-1", "ended"), start(1, "80f3c1", at=0))
    say(store, update(1, "order-2", "running"), now=NOW + timedelta(seconds=2))

    moment = NOW + live_activities.UPDATE_LIFE + timedelta(seconds=1)
    with unit_of_work(store) as session:
        gone = live_activities.remove_ended(session, PROD, now=moment, limit=10)

    assert gone == 1
    assert {token for _, _, token in held(store)} == {"running", "80f3c1"}
    assert rows(store) == (2, 2)


def test_a_phone_whose_clock_is_slow_keeps_its_update_tokens(store: SessionFactory) -> None:
    say(store, update(1, "order-1", "running", at=-30 * 86400))

    with unit_of_work(store) as session:
        live_activities.remove_ended(session, PROD, now=NOW, limit=10)

    assert {token for _, _, token in held(store)} == {"running"}


def test_a_token_that_is_not_announced_any_more_goes_later_and_in_bounded_steps(
    store: SessionFactory,
) -> None:
    say(store, *(start(number, f"t{number}", at=0) for number in (1, 2, 3)))
    say(store, start(4, "t4", at=0), now=NOW + timedelta(days=1))

    counts = []
    for seconds in (0, 1, 1, 1):
        moment = NOW + live_activities.LIFE + timedelta(seconds=seconds)
        with unit_of_work(store) as session:
            counts.append(live_activities.remove_ended(session, PROD, now=moment, limit=2))

    assert counts == [0, 2, 1, 0]
    assert {token for _, _, token in held(store)} == {"t4"}
    assert rows(store) == (1, 1)


@pytest.mark.parametrize("order", [1, -1])
def test_a_device_has_the_names_that_it_announced_last(store: SessionFactory, order: int) -> None:
    most = live_activities.MOST_OF_A_DEVICE
    numbers = range(most + 10)[::order]
    said = [start(1, f"t{each}", at=each, name=f"Type{each}") for each in numbers]
    say(store, start(2, "other", at=0))

    for begin in (0, most):
        say(store, *said[begin : begin + most])

    mine = {token for device, _, token in held(store) if device == ecid(1).key}
    assert mine == {f"t{each}" for each in range(10, most + 10)}
    assert len(held(store)) == most + 1


def test_two_transactions_at_once_give_a_token_to_one_device(
    postgres_store: SessionFactory,
) -> None:
    with unit_of_work(postgres_store) as first:
        live_activities.register(first, PROD, [start(1, "80f3c1", at=1)], now=NOW)
        with ThreadPoolExecutor(1) as other:
            second = other.submit(say, postgres_store, start(2, "80f3c1", at=2))
            until_somebody_waits(postgres_store)
            first.commit()
            second.result(10)

    assert held(postgres_store) == {(ecid(2).key, FOOD, "80f3c1")}


def test_two_tokens_that_change_places_at_once_wait_for_each_other_in_no_circle(
    postgres_store: SessionFactory,
) -> None:
    say(postgres_store, start(1, "one", at=1), start(2, "two", at=1))
    together = Barrier(2)

    def move(number: int, text: str, at: float) -> None:
        together.wait(10)
        say(postgres_store, start(number, text, at=at))

    with ThreadPoolExecutor(2) as threads:
        for at in range(2, 12):
            texts = ("one", "two") if at % 2 else ("two", "one")
            moves = [threads.submit(move, *each, at) for each in zip((1, 2), texts, strict=True)]
            for each in moves:
                each.result(10)

    assert held(postgres_store) == {(ecid(1).key, FOOD, "one"), (ecid(2).key, FOOD, "two")}


@pytest.mark.parametrize(
    ("announced", "changes", "reason"),
    [
        (start(1, "t", at=0), {}, None),
        (update(1, "order-1", "t"), {}, None),
        (start(1, "t", at=0), {"app_ids": frozenset({"com.example.shop"})}, None),
        (update(1, "order-1", "t"), {"app_ids": frozenset({"com.example.shop"})}, None),
        (start(1, "t", at=0), {"app_ids": frozenset({"com.other"})}, "appNotOnDatastream"),
        (start(1, "t", at=0), {"platform": "web"}, "tokenPlatformNotOnDatastream"),
        (update(1, "order-1", "t"), {"platform": "web"}, "tokenPlatformNotOnDatastream"),
        (start(1, " ", at=0), {}, "tokenEmpty"),
    ],
)
def test_a_datastream_takes_what_can_be_started_on_it(
    announced: Said, changes: dict[str, Any], reason: str | None
) -> None:
    assert live_activities.refusal(source(**changes), announced[0]) == reason


@pytest.mark.parametrize("platform", ["fcm", "web", "APNS"])
def test_only_apns_has_live_activities(platform: str) -> None:
    announced = AnnouncedLiveActivity("start", FOOD, "t", ecid(1), "com.example.shop", platform)

    assert live_activities.refusal(source(), announced) == "platformWithoutLiveActivities"


def test_a_live_activity_is_a_devices_and_no_persons() -> None:
    announced = AnnouncedLiveActivity("start", FOOD, "t", person("ada"), "com.example.shop", "apns")

    assert live_activities.refusal(source(), announced) == "tokenNotOnDevice"


def test_a_live_activity_token_is_in_no_repr(store: SessionFactory) -> None:
    keep(store, event(ecid(1), at=0))
    say(store, start(1, "SECRET", at=0))

    with store.opened() as session:
        found = live_activity_targets.of_named(session, PROD, Kind.START, [(ecid(1).key, FOOD)])
        key = session.get_one(Identity, (1, ecid(1).key)).graph_id
        shown = live_activities.held_by(session, PROD, key, [ecid(1).key])

    assert "SECRET" not in repr((found, shown, start(1, "SECRET", at=0)))
