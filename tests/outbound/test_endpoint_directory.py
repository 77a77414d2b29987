"""Which limits hold for a URL: the most specific pattern, throttling beside it, built-in ones."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.ids import derived_key
from service.core.json import JsonObject
from service.db.session import SessionFactory, unit_of_work
from service.outbound import endpoint_configs
from service.outbound.capping import Cap
from service.outbound.endpoint_choice import Entry, matching
from service.outbound.endpoint_directory import (
    EndpointDirectory,
    Limits,
    OnExceed,
    Rate,
    RateKind,
)
from service.outbound.endpoint_documents import ConfigKind
from service.outbound.endpoint_patterns import Pattern
from service.outbound.models import Destination
from service.sandboxes.scope import Scope
from tests.support.clocks import START, FixedClock
from tests.support.globs import is_named, words

HOST = "https://push.example"
URL = f"{HOST}/v3/messages/42/send"
JOURNEY = UUID("0197c000-0000-7000-8000-0000000000a1")


def capping(url: str = f"{HOST}/*", count: int = 500, **changes: Any) -> JsonObject:
    service = {"maxHttpConnections": 50, "rating": {"maxCallsCount": count, "periodInMs": 1000}}
    return {"url": url, "methods": ["POST"], "services": {"action": service}, **changes}


def throttling(url: str = f"{HOST}/*", throughput: int = 400, **changes: Any) -> JsonObject:
    return {"urlPattern": url, "methods": ["POST"], "maxThroughput": throughput, **changes}


def deployed(store: SessionFactory, scope: Scope, document: JsonObject, after_s: int = 0) -> UUID:
    kind = ConfigKind.THROTTLING if "urlPattern" in document else ConfigKind.CAPPING
    now = START + timedelta(seconds=after_s)
    with unit_of_work(store) as session:
        row = endpoint_configs.create(session, scope, document, now=now, kind=kind)
        endpoint_configs.deploy(session, scope, row.id, now=now, kind=kind)
        return row.id


def limits(
    store: SessionFactory, scope: Scope, url: str = URL, service: str = "action", **options: Any
) -> Limits:
    directory = EndpointDirectory(FixedClock(), **options)
    with unit_of_work(store) as session:
        return directory.limits(session, scope, method="POST", url=url, service=service)


def by_kind(found: Limits) -> dict[str, Rate]:
    rates = {each.kind.value: each for each in found.rates}
    assert len(rates) == len(found.rates)
    return rates


def test_a_cap_and_a_throttle_hold_beside_each_other_in_the_order_of_their_ids(
    store: SessionFactory, scope: Scope
) -> None:
    cap_id = deployed(store, scope, capping())
    throttle_id = deployed(store, scope, throttling())

    found = limits(store, scope)

    rates = by_kind(found)
    assert rates["capping"].cap == Cap(cap_id, 500, 1000)
    assert rates["throttling"].cap == Cap(throttle_id, 400, 1000)
    ids = [each.cap.id for each in found.rates]
    assert ids == sorted(ids)
    assert [each.cap_id for each in found.connections] == [cap_id]


def test_a_throttle_queues_for_six_hours_and_a_cap_drops(
    store: SessionFactory, scope: Scope
) -> None:
    deployed(store, scope, capping())
    deployed(store, scope, throttling())

    rates = by_kind(limits(store, scope))

    assert (rates["capping"].on_exceed, rates["capping"].expire_after) == (OnExceed.DROP, None)
    queued = rates["throttling"]
    assert (queued.on_exceed, queued.expire_after) == (OnExceed.QUEUE, timedelta(hours=6))


@pytest.mark.parametrize(
    ("own", "on_exceed", "expire_after"),
    [
        ({"onExceed": "queue"}, OnExceed.QUEUE, timedelta(hours=6)),
        ({"onExceed": "queue", "expireAfterMs": 5}, OnExceed.QUEUE, timedelta(milliseconds=5)),
        ({"onExceed": "errorPath"}, OnExceed.ERROR_PATH, None),
        ({"onExceed": None, "expireAfterMs": None}, OnExceed.DROP, None),
    ],
)
def test_a_cap_says_what_becomes_of_what_exceeds_it(
    store: SessionFactory,
    scope: Scope,
    own: JsonObject,
    on_exceed: OnExceed,
    expire_after: timedelta | None,
) -> None:
    weights = {str(JOURNEY).upper(): 7}
    deployed(store, scope, capping(_edgepost={**own, "weights": weights}))

    [rate] = limits(store, scope).rates

    assert (rate.on_exceed, rate.expire_after) == (on_exceed, expire_after)
    assert rate.weights == {JOURNEY: 7}


def test_each_kind_has_its_own_most_specific_pattern(store: SessionFactory, scope: Scope) -> None:
    deployed(store, scope, capping(f"{HOST}/*"))
    cap_id = deployed(store, scope, capping(f"{HOST}/v3/*"))
    throttle_id = deployed(store, scope, throttling(f"{HOST}/v3/messages/*"))
    deployed(store, scope, throttling(f"{HOST}/v*"))

    found = limits(store, scope)

    assert {each.config_id for each in found.rates} == {cap_id, throttle_id}
    assert len(found.connections) == 2


def test_the_built_in_cap_queues_where_a_throttle_does(store: SessionFactory, scope: Scope) -> None:
    deployed(store, scope, throttling(throughput=5000, _edgepost={"expireAfterMs": 1000}))

    built_in = by_kind(limits(store, scope))["builtIn"]

    assert (built_in.cap.max_calls_count, built_in.config_id) == (300_000, None)
    assert (built_in.on_exceed, built_in.expire_after) == (OnExceed.QUEUE, timedelta(seconds=1))


def test_a_url_with_unknown_parts_needs_a_permit_of_all_that_may_decide(
    store: SessionFactory, scope: Scope
) -> None:
    exact = deployed(store, scope, capping(f"{HOST}/v3/messages/42/send"))
    whole = deployed(store, scope, capping(f"{HOST}/v3/messages/*"))
    deployed(store, scope, capping(f"{HOST}/v3/*"))
    deployed(store, scope, capping(f"{HOST}/v3/messages/*/cancel"))

    found = limits(store, scope, f"{HOST}/v3/messages/*/send?ttl=*")

    assert {each.config_id for each in found.rates} == {exact, whole}
    assert len(found.connections) == 3


def test_the_built_in_cap_holds_too_where_no_config_covers_all_unknown_parts(
    store: SessionFactory, scope: Scope
) -> None:
    exact = deployed(store, scope, capping(URL))

    found = limits(store, scope, f"{HOST}/v3/messages/*/send")

    assert {each.config_id for each in found.rates} == {exact, None}


def test_where_the_host_varies_every_cap_it_may_fall_under_is_asked(
    store: SessionFactory, scope: Scope
) -> None:
    first = deployed(store, scope, capping("https://push.example/*"))
    second = deployed(store, scope, capping("https://other.example/wpush/*"))
    deployed(store, scope, capping("http://plain.example/*"))

    found = limits(store, scope, "https://*/*")

    assert {each.config_id for each in found.rates} == {first, second, None}


def test_a_data_source_has_its_own_cap_and_a_built_in_one(
    store: SessionFactory, scope: Scope
) -> None:
    deployed(store, scope, throttling())
    [built_in] = limits(store, scope, service="dataSource").rates
    services = {
        "action": {"rating": {"maxCallsCount": 1, "periodInMs": 1000}},
        "dataSource": {
            "maxHttpConnections": 3,
            "rating": {"maxCallsCount": 2, "periodInMs": 500},
        },
    }
    config_id = deployed(store, scope, capping(services=services))

    of_source, of_action = limits(store, scope, service="dataSource"), limits(store, scope)

    assert (built_in.cap.max_calls_count, built_in.cap.period_in_ms) == (15, 1000)
    [rate] = of_source.rates
    assert rate.cap == Cap(derived_key(str(config_id), "dataSource"), 2, 500)
    [limit] = of_source.connections
    assert (limit.cap_id, limit.max_http_connections) == (rate.cap.id, 3)
    assert by_kind(of_action)["capping"].cap == Cap(config_id, 1, 1000)
    assert of_action.connections == ()


def destination(scope: Scope, host: str, latency_ms: int | None) -> Destination:
    return Destination(
        sandbox_id=scope.sandbox_id,
        id=derived_key(host),
        host=host,
        breaker="closed",
        pace=1.0,
        latency_ms=latency_ms,
        updated_at=START,
    )


@pytest.mark.parametrize(
    ("latency_ms", "is_on", "kinds"),
    [
        (751, True, {"builtIn", "slowEndpoint"}),
        (750, True, {"builtIn"}),
        (None, True, {"builtIn"}),
        (2000, False, {"builtIn"}),
    ],
)
def test_a_slow_host_has_a_second_built_in_cap_where_the_operator_wants_it(
    store: SessionFactory,
    scope: Scope,
    latency_ms: int | None,
    is_on: bool,  # noqa: FBT001 - a table's column
    kinds: set[str],
) -> None:
    with unit_of_work(store) as session:
        session.add(destination(scope, "push.example", latency_ms))
        session.add(destination(scope, "other.example", 9000))

    rates = by_kind(limits(store, scope, slow_endpoint_rule=is_on))

    assert set(rates) == kinds
    if "slowEndpoint" in rates:
        slow = rates["slowEndpoint"].cap
        assert (slow.max_calls_count, slow.period_in_ms) == (150_000, 30_000)


def test_a_slow_host_with_a_cap_of_its_own_has_that_one_only(
    store: SessionFactory, scope: Scope
) -> None:
    deployed(store, scope, capping())
    with unit_of_work(store) as session:
        session.add(destination(scope, "push.example", 9000))

    assert set(by_kind(limits(store, scope, slow_endpoint_rule=True))) == {"capping"}


def test_headroom_is_taken_off_every_rate(store: SessionFactory, scope: Scope) -> None:
    deployed(store, scope, throttling(throughput=1000))

    rates = by_kind(limits(store, scope, headroom_percent=10))

    counts = {kind: rate.cap.max_calls_count for kind, rate in rates.items()}
    assert counts == {"throttling": 900, "builtIn": 270_000}


def test_configs_of_another_sandbox_hold_nothing_here(store: SessionFactory, scope: Scope) -> None:
    deployed(store, Scope(2, "dev"), capping())
    deployed(store, Scope(2, "dev"), throttling())

    assert set(by_kind(limits(store, scope))) == {"builtIn"}


def test_an_update_of_a_deployed_throttle_holds_at_once(
    store: SessionFactory, scope: Scope
) -> None:
    config_id = deployed(store, scope, throttling(throughput=10))

    with unit_of_work(store) as session:
        endpoint_configs.update(
            session,
            scope,
            config_id,
            throttling(throughput=20),
            now=START,
            kind=ConfigKind.THROTTLING,
        )

    assert by_kind(limits(store, scope))["throttling"].cap.max_calls_count == 20


def test_what_is_no_url_has_no_limits(sqlite_store: SessionFactory, scope: Scope) -> None:
    with pytest.raises(ValueError, match="URL"):
        limits(sqlite_store, scope, "push.example/v3")


WORDS = words(4)


def entry(number: int, glob: str, kind: ConfigKind, after_s: int) -> Entry:
    config_id = UUID(int=number)
    return Entry(
        config_id=config_id,
        kind=kind,
        service="action",
        url=f"{HOST}/{glob}",
        pattern=Pattern(HOST, f"/{glob}"),
        methods=frozenset({"POST"}),
        rate=Rate(Cap(config_id, 1, 1000), config_id, kind=RateKind(kind)),
        connections=None,
        deployed_at=START + timedelta(seconds=after_s),
    )


def beats(one: Entry, other: Entry) -> bool:
    """Tell by the words of the decision page which of two configs goes first."""
    mine, theirs = one.pattern.path, other.pattern.path
    if ("*" in mine) != ("*" in theirs):
        return "*" in theirs
    prefix, their_prefix = mine.split("*")[0], theirs.split("*")[0]
    if len(prefix) != len(their_prefix):
        return len(prefix) > len(their_prefix)
    if one.deployed_at != other.deployed_at:
        return one.deployed_at > other.deployed_at
    return one.config_id > other.config_id


def naive_choice(entries: Sequence[Entry], word: str) -> set[UUID]:
    """Return who decides for one URL, by comparing each with each."""
    covering = [each for each in entries if is_named(each.pattern.path[1:], word)]
    return {
        one.config_id
        for one in covering
        if all(beats(one, other) for other in covering if other != one and other.kind == one.kind)
    }


entry_lists = st.lists(
    st.tuples(st.text("ab*", max_size=4), st.sampled_from(list(ConfigKind)), st.integers(0, 2)),
    max_size=6,
).map(lambda made: [entry(number, *each) for number, each in enumerate(made)])


@given(entry_lists, st.sampled_from(WORDS))
def test_the_chosen_pattern_is_the_most_specific(entries: list[Entry], word: str) -> None:
    found = matching(entries, service="action", method="POST", target=Pattern(HOST, f"/{word}"))

    assert {each.entry.config_id for each in found if each.decides} == naive_choice(entries, word)
    assert all(each.is_whole for each in found)


@given(entry_lists, st.text("ab*", max_size=4))
def test_who_may_decide_for_an_unknown_url_is_always_asked(entries: list[Entry], glob: str) -> None:
    target = Pattern(HOST, f"/{glob}")

    found = matching(entries, service="action", method="POST", target=target)

    decides = {each.entry.config_id for each in found if each.decides}
    for word in WORDS:
        if is_named(glob, word):
            assert naive_choice(entries, word) <= decides
    for kind in ConfigKind:
        if not any(each.is_whole and each.entry.kind is kind for each in found):
            continue
        unknown = glob.replace("*", "c")
        assert any(
            is_named(each.pattern.path[1:], unknown) for each in entries if each.kind is kind
        )


def test_other_methods_and_services_do_not_match() -> None:
    one = entry(1, "*", ConfigKind.CAPPING, 0)
    source = replace(entry(2, "*", ConfigKind.CAPPING, 0), service="dataSource")
    target = Pattern(HOST, "/a")

    found = matching([one, source], service="action", method="POST", target=target)

    assert [each.entry for each in found] == [one]
    assert matching([one, source], service="action", method="PUT", target=target) == ()
