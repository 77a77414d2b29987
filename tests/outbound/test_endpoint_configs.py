"""Capping configs: Adobe's codes, two copies, and which of them holds for a URL."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from service.core.errors import ConflictError, InvalidInputError, NotFoundError
from service.core.json import JsonObject
from service.db.session import SessionFactory, unit_of_work
from service.outbound import capping, endpoint_configs, endpoint_overlaps
from service.outbound.endpoint_directory import EndpointDirectory, Limits, Rate
from service.outbound.endpoint_overlaps import CanDeploy
from service.outbound.models import PermitGrant
from service.sandboxes.scope import Scope
from tests.support.clocks import START, FixedClock

URL = "https://push.example/v3/messages/42/send"
JOURNEY = "0197c000-0000-7000-8000-0000000000a1"


def document(
    url: str = "https://push.example/v3/messages/*/send",
    count: Any = 500,
    period: Any = 1000,
    connections: Any = 50,
    **changes: Any,
) -> JsonObject:
    service: JsonObject = {"rating": {"maxCallsCount": count, "periodInMs": period}}
    if connections is not None:
        service["maxHttpConnections"] = connections
    return {"url": url, "methods": ["POST"], "services": {"action": service}, **changes}


def create(store: SessionFactory, scope: Scope, written: Any) -> UUID:
    with unit_of_work(store) as session:
        return endpoint_configs.create(session, scope, written, now=START).id


def deployed(store: SessionFactory, scope: Scope, written: Any, after_s: int = 0) -> UUID:
    config_id = create(store, scope, written)
    with unit_of_work(store) as session:
        endpoint_configs.deploy(session, scope, config_id, now=START + timedelta(seconds=after_s))
    return config_id


def limits(store: SessionFactory, scope: Scope, url: str = URL, method: str = "POST") -> Limits:
    with unit_of_work(store) as session:
        return EndpointDirectory(FixedClock()).limits(session, scope, method=method, url=url)


def rate(store: SessionFactory, scope: Scope, url: str = URL, method: str = "POST") -> Rate:
    [only] = limits(store, scope, url, method).rates
    return only


def can_deploy(store: SessionFactory, scope: Scope, config_id: UUID) -> CanDeploy:
    with unit_of_work(store) as session:
        return endpoint_overlaps.can_deploy(session, scope, config_id)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ([], "ERR_ENDPOINTCONFIG_112"),
        (document(url=""), "ERR_ENDPOINTCONFIG_100"),
        (document(url="push.example/v3"), "ERR_ENDPOINTCONFIG_101"),
        (document(url="ftp://push.example/v3"), "ERR_ENDPOINTCONFIG_101"),
        (document(url="https://push.example:x/v3"), "ERR_ENDPOINTCONFIG_101"),
        (document(url="https://u:p@push.example/v3"), "ERR_ENDPOINTCONFIG_101"),
        (document(url="https://*.example/v3"), "ERR_ENDPOINTCONFIG_102"),
        (document(url="https://push.example:*/v3"), "ERR_ENDPOINTCONFIG_102"),
        (document(methods=[]), "ERR_ENDPOINTCONFIG_103"),
        (document(methods=None), "ERR_ENDPOINTCONFIG_103"),
        (document(methods="POST"), "ERR_ENDPOINTCONFIG_111"),
        (document(methods={}), "ERR_ENDPOINTCONFIG_111"),
        (document(methods=["FETCH"]), "ERR_ENDPOINTCONFIG_111"),
        (document(methods=[{}]), "ERR_ENDPOINTCONFIG_111"),
        (document(services={}), "ERR_ENDPOINTCONFIG_104"),
        (document(services={"action": {}}), "ERR_ENDPOINTCONFIG_104"),
        (document(services={"action": 1}), "ERR_ENDPOINTCONFIG_111"),
        (document(services={"push": {}}), "ERR_AUTHORING_ENDPOINTCONFIG_1"),
        (document(count=0), "ERR_ENDPOINTCONFIG_107"),
        (document(count=True), "ERR_ENDPOINTCONFIG_107"),
        (document(count=1.5), "ERR_ENDPOINTCONFIG_107"),
        (document(period=0), "ERR_ENDPOINTCONFIG_108"),
        (document(period="1000"), "ERR_ENDPOINTCONFIG_108"),
        (document(connections=401), "ERR_ENDPOINTCONFIG_111"),
        (document(_edgepost=[]), "ERR_ENDPOINTCONFIG_111"),
        (document(_edgepost={"onexceed": "drop"}), "ERR_ENDPOINTCONFIG_111"),
        (document(_edgepost={"onExceed": "wait"}), "ERR_ENDPOINTCONFIG_111"),
        (document(_edgepost={"onExceed": ["queue"]}), "ERR_ENDPOINTCONFIG_111"),
        (document(_edgepost={"expireAfterMs": 1000}), "ERR_ENDPOINTCONFIG_111"),
        (document(_edgepost={"onExceed": "queue", "expireAfterMs": 0}), "ERR_ENDPOINTCONFIG_111"),
        (document(_edgepost={"weights": []}), "ERR_ENDPOINTCONFIG_111"),
        (document(_edgepost={"weights": {"a": 1}}), "ERR_ENDPOINTCONFIG_111"),
        (document(_edgepost={"weights": {JOURNEY: 0}}), "ERR_ENDPOINTCONFIG_111"),
        (document(_edgepost={"weights": {JOURNEY: 1001}}), "ERR_ENDPOINTCONFIG_111"),
    ],
)
def test_a_bad_config_is_refused_under_adobes_code(
    sqlite_store: SessionFactory, scope: Scope, written: Any, code: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        create(sqlite_store, scope, written)

    assert [error["errorCode"] for error in refused.value.fields["errors"]] == [code]


@pytest.mark.parametrize("methods", ["POST", [], None, ["FETCH"]])
def test_the_refusal_of_methods_shows_what_is_expected(
    sqlite_store: SessionFactory, scope: Scope, methods: Any
) -> None:
    with pytest.raises(InvalidInputError, match=r'\["POST"\]|POST, PUT') as refused:
        create(sqlite_store, scope, document(methods=methods))

    assert ("list" in refused.value.detail) == (methods != ["FETCH"])


def test_a_cap_of_one_call_is_allowed(store: SessionFactory, scope: Scope) -> None:
    config_id = deployed(store, scope, document(count=1))

    assert rate(store, scope).cap == capping.Cap(config_id, 1, 1000)


def test_nothing_holds_before_it_is_deployed(store: SessionFactory, scope: Scope) -> None:
    create(store, scope, document())

    found = rate(store, scope)

    assert (found.config_id, limits(store, scope).connections) == (None, ())
    assert (found.cap.max_calls_count, found.cap.period_in_ms) == (300_000, 60_000)


def test_an_update_holds_only_after_it_is_deployed_again(
    store: SessionFactory, scope: Scope
) -> None:
    config_id = deployed(store, scope, document(count=10))
    with unit_of_work(store) as session:
        updated = endpoint_configs.update(
            session, scope, config_id, document(count=20), now=START
        ).state
    before = rate(store, scope).cap.max_calls_count

    with unit_of_work(store) as session:
        state = endpoint_configs.deploy(session, scope, config_id, now=START).state

    assert (updated, before) == ("updated", 10)
    assert (state, rate(store, scope).cap.max_calls_count) == ("deployed", 20)


def test_undeploying_returns_to_the_built_in_cap(store: SessionFactory, scope: Scope) -> None:
    config_id = deployed(store, scope, document())

    with unit_of_work(store) as session:
        state = endpoint_configs.undeploy(session, scope, config_id).state

    assert state == "created"
    assert rate(store, scope).config_id is None


def test_a_deployed_config_is_deleted_only_by_force(store: SessionFactory, scope: Scope) -> None:
    config_id = deployed(store, scope, document())

    with pytest.raises(ConflictError) as refused, unit_of_work(store) as session:
        endpoint_configs.delete(session, scope, config_id)
    with unit_of_work(store) as session:
        endpoint_configs.delete(session, scope, config_id, is_forced=True)
        left = endpoint_configs.list_all(session, scope)

    assert refused.value.fields["code"] == 1451
    assert left == ()


def test_a_config_of_another_sandbox_is_not_found(store: SessionFactory, scope: Scope) -> None:
    config_id = deployed(store, Scope(2, "dev"), document())

    with pytest.raises(NotFoundError), unit_of_work(store) as session:
        endpoint_configs.get(session, scope, config_id)
    assert rate(store, scope).config_id is None


def test_an_exact_url_beats_a_wildcard_and_the_longer_prefix_the_shorter(
    store: SessionFactory, scope: Scope
) -> None:
    shorter = deployed(store, scope, document("https://push.example/*", 1, connections=40))
    longer = deployed(store, scope, document("https://push.example/v3/*", 2, connections=30))
    exact = deployed(store, scope, document(URL, 3, connections=20))

    chosen = [
        rate(store, scope, url).config_id
        for url in (URL, "https://push.example/v3/x", "https://push.example/v4/x")
    ]

    assert chosen == [exact, longer, shorter]


def test_the_connection_limits_of_all_matches_hold(store: SessionFactory, scope: Scope) -> None:
    deployed(store, scope, document("https://push.example/*", connections=40))
    deployed(store, scope, document(URL, connections=20))
    deployed(store, scope, document("https://push.example/v3/*", connections=None))

    found = sorted(each.max_http_connections for each in limits(store, scope).connections)

    assert found == [20, 40]


def test_the_latest_deployed_of_two_equal_patterns_holds(
    store: SessionFactory, scope: Scope
) -> None:
    latest = deployed(store, scope, document(count=1), after_s=10)
    deployed(store, scope, document(count=2), after_s=5)

    assert rate(store, scope).config_id == latest


def test_another_method_is_not_covered(store: SessionFactory, scope: Scope) -> None:
    deployed(store, scope, document())

    assert rate(store, scope, method="PUT").config_id is None


def test_the_built_in_cap_is_one_per_host(store: SessionFactory, scope: Scope) -> None:
    one, same, other = (
        rate(store, scope, url).cap.id
        for url in ("https://a.example/1", "https://A.example/2", "https://b.example/1")
    )

    assert one == same != other


def test_deploying_warns_of_overlaps_and_unlimited_connections(
    store: SessionFactory, scope: Scope
) -> None:
    other = deployed(store, scope, document(URL))
    config_id = create(store, scope, document(connections=None))

    found = can_deploy(store, scope, config_id)

    assert found.validation_status == "ok"
    assert [warning.code for warning in found.warnings] == [
        "ERR_ENDPOINTCONFIG_106",
        "EDGEPOST_ENDPOINTCONFIG_OVERLAP",
    ]
    assert str(other) in found.warnings[1].message


def test_wildcards_overlap_where_a_url_falls_under_both(
    store: SessionFactory, scope: Scope
) -> None:
    deployed(store, scope, document("https://push.example/v3/*/send"))
    deployed(store, scope, document("https://push.example/v2/*"))
    deployed(store, scope, {**document(URL), "methods": ["PUT"]})
    config_id = create(store, scope, document("https://push.example/v3/messages/*"))

    [found] = can_deploy(store, scope, config_id).warnings

    assert "https://push.example/v3/*/send" in found.message


def test_a_config_does_not_overlap_with_itself(store: SessionFactory, scope: Scope) -> None:
    config_id = deployed(store, scope, document())

    assert can_deploy(store, scope, config_id).warnings == ()


def test_a_deployed_copy_spells_out_unlimited_connections(
    store: SessionFactory, scope: Scope
) -> None:
    config_id = deployed(store, scope, document(connections=None))

    with unit_of_work(store) as session:
        copy = endpoint_configs.get(session, scope, config_id).deployed
    assert copy is not None
    assert copy["services"]["action"]["maxHttpConnections"] == -1  # type: ignore[index]


def test_a_longer_period_counts_what_was_started_before(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    config_id = deployed(store, scope, document(count=5, period=1))
    with unit_of_work(store) as session:
        cap = EndpointDirectory(clock).limits(session, scope, method="POST", url=URL).rates[0].cap
        capping.take_permits(session, scope, cap, wanted=5, clock=clock)

    with unit_of_work(store) as session:
        longer = document(count=5, period=60_000)
        endpoint_configs.update(session, scope, config_id, longer, now=START)
        endpoint_configs.deploy(session, scope, config_id, now=START)

    with unit_of_work(store) as session:
        cap = EndpointDirectory(clock).limits(session, scope, method="POST", url=URL).rates[0].cap
        grant = capping.take_permits(session, scope, cap, wanted=1, clock=clock)
    assert grant.count == 0


def test_a_longer_period_of_a_data_source_counts_what_was_started_before(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    def services(period: int) -> JsonObject:
        return {"dataSource": {"rating": {"maxCallsCount": 5, "periodInMs": period}}}

    def grant() -> int:
        with unit_of_work(store) as session:
            [held] = (
                EndpointDirectory(clock)
                .limits(session, scope, method="POST", url=URL, service="dataSource")
                .rates
            )
            return capping.take_permits(session, scope, held.cap, wanted=5, clock=clock).count

    config_id = deployed(store, scope, document(services=services(1)))
    first = grant()
    with unit_of_work(store) as session:
        longer = document(services=services(60_000))
        endpoint_configs.update(session, scope, config_id, longer, now=START)
        endpoint_configs.deploy(session, scope, config_id, now=START)

    assert (first, grant()) == (5, 0)


@pytest.mark.parametrize(("count", "period_ms"), [(2, 1000), (5, 60_000)])
def test_a_process_that_knows_the_copy_before_grants_no_more_than_the_one_deployed_since(
    store: SessionFactory, scope: Scope, clock: FixedClock, count: int, period_ms: int
) -> None:
    config_id = deployed(store, scope, document(count=5, period=1000))
    before = rate(store, scope).cap
    with unit_of_work(store) as session:
        tighter = document(count=count, period=period_ms)
        endpoint_configs.update(session, scope, config_id, tighter, now=START)
        endpoint_configs.deploy(session, scope, config_id, now=START)

    with unit_of_work(store) as session:
        given = capping.take_permits(session, scope, before, wanted=9, clock=clock)
        ends = select(PermitGrant.counted_until).where(PermitGrant.sandbox_id == scope.sandbox_id)
        counted_until = session.scalars(ends).one()

    assert given.count == count
    assert counted_until - given.granted_at > timedelta(milliseconds=period_ms)


def test_the_directory_reads_again_after_its_life(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    directory = EndpointDirectory(clock, headroom_percent=10, life_s=1.0)

    def allowed() -> int:
        with unit_of_work(store) as session:
            [found] = directory.limits(session, scope, method="POST", url=URL).rates
            return found.cap.max_calls_count

    at_first = allowed()
    deployed(store, scope, document(count=500))
    kept = allowed()
    clock.advance(1.0)
    later = allowed()

    assert (at_first, kept, later) == (270_000, 270_000, 450)
