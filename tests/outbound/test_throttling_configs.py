"""Throttling configs: Adobe's codes, updates that hold at once, and what they share with caps."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from service.core.errors import ConflictError, InvalidInputError, NotFoundError
from service.core.json import JsonObject
from service.db.session import SessionFactory, unit_of_work
from service.outbound import endpoint_configs, endpoint_overlaps
from service.outbound.endpoint_documents import ConfigKind
from service.outbound.endpoint_overlaps import CanDeploy
from service.sandboxes.scope import Scope
from tests.support.clocks import START

KIND = ConfigKind.THROTTLING
PATTERN = "https://push.example/v3/*"


def document(
    url: Any = PATTERN, throughput: Any = 400, methods: Any = ("POST",), **changes: Any
) -> JsonObject:
    listed = list(methods) if isinstance(methods, tuple) else methods
    return {"urlPattern": url, "methods": listed, "maxThroughput": throughput, **changes}


def cap_document(count: int, period: int = 1000, url: str = PATTERN) -> JsonObject:
    rating = {"maxCallsCount": count, "periodInMs": period}
    services = {"action": {"maxHttpConnections": 50, "rating": rating}}
    return {"url": url, "methods": ["POST"], "services": services}


def create(store: SessionFactory, scope: Scope, written: Any, kind: ConfigKind = KIND) -> UUID:
    with unit_of_work(store) as session:
        return endpoint_configs.create(session, scope, written, now=START, kind=kind).id


def deployed(store: SessionFactory, scope: Scope, written: Any, kind: ConfigKind = KIND) -> UUID:
    config_id = create(store, scope, written, kind)
    with unit_of_work(store) as session:
        endpoint_configs.deploy(session, scope, config_id, now=START, kind=kind)
    return config_id


def can_deploy(
    store: SessionFactory, scope: Scope, config_id: UUID, kind: ConfigKind = KIND
) -> CanDeploy:
    with unit_of_work(store) as session:
        return endpoint_overlaps.can_deploy(session, scope, config_id, kind=kind)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ([], 106),
        (document(url=None), 100),
        (document(url=""), 100),
        (document(url=1), 106),
        (document(url="push.example/v3"), 104),
        (document(url="https://u:p@push.example/v3"), 104),
        (document(url="https://*.example/v3"), 105),
        (document(url="https://push.example:*/v3"), 105),
        (document(methods=None), 100),
        (document(methods=[]), 100),
        (document(methods="POST"), 106),
        (document(methods=["FETCH"]), 106),
        (document(throughput=None), 101),
        (document(throughput=0), 101),
        (document(throughput=True), 101),
        (document(throughput=200.5), 101),
        (document(throughput="400"), 101),
        (document(_edgepost=1), 106),
        (document(_edgepost={"onExceed": "drop"}), 106),
        (document(_edgepost={"expireAfterMs": 8 * 24 * 3600 * 1000}), 106),
        (document(_edgepost={"weights": {"a": 1}}), 106),
    ],
)
def test_a_bad_config_is_refused_under_adobes_code(
    sqlite_store: SessionFactory, scope: Scope, written: Any, number: int
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        create(sqlite_store, scope, written)

    codes = [error["errorCode"] for error in refused.value.fields["errors"]]
    assert codes == [f"ERR_THROTTLING_CONFIG_{number}"]


def test_everything_that_is_missing_is_told_at_once(
    sqlite_store: SessionFactory, scope: Scope
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        create(sqlite_store, scope, {})

    said = [error["error"] for error in refused.value.fields["errors"]]
    assert len(said) == 3
    for attribute, message in zip(("urlPattern", "methods", "maxThroughput"), said, strict=True):
        assert attribute in message


@pytest.mark.parametrize(
    ("throughput", "warned"), [(1, True), (199, True), (200, False), (5000, False), (5001, True)]
)
def test_adobes_bounds_are_warnings(
    store: SessionFactory,
    scope: Scope,
    throughput: int,
    warned: bool,  # noqa: FBT001 - a table's column
) -> None:
    config_id = create(store, scope, document(throughput=throughput))

    found = can_deploy(store, scope, config_id)

    codes = [each.code for each in found.warnings]
    assert (found.validation_status, codes) == ("ok", ["ERR_THROTTLING_CONFIG_101"] * warned)


def test_the_two_kinds_do_not_see_each_other(store: SessionFactory, scope: Scope) -> None:
    throttle = create(store, scope, document())
    cap = create(store, scope, cap_document(500), ConfigKind.CAPPING)

    with unit_of_work(store) as session:
        listed = {
            kind: [each.id for each in endpoint_configs.list_all(session, scope, kind=kind)]
            for kind in ConfigKind
        }
        with pytest.raises(NotFoundError):
            endpoint_configs.get(session, scope, throttle)
        with pytest.raises(NotFoundError):
            endpoint_configs.get(session, scope, cap, kind=KIND)
    assert listed == {KIND: [throttle], ConfigKind.CAPPING: [cap]}


def test_a_deployed_config_takes_an_update_at_once(store: SessionFactory, scope: Scope) -> None:
    config_id = deployed(store, scope, document())

    with unit_of_work(store) as session:
        row = endpoint_configs.update(
            session, scope, config_id, document(throughput=900), now=START, kind=KIND
        )
        state, copy = row.state, row.deployed

    assert state == "deployed"
    assert copy is not None
    assert copy["maxThroughput"] == 900


def test_an_update_before_the_deployment_holds_nothing(store: SessionFactory, scope: Scope) -> None:
    config_id = create(store, scope, document())

    with unit_of_work(store) as session:
        row = endpoint_configs.update(
            session, scope, config_id, document(throughput=900), now=START, kind=KIND
        )
        state, copy = row.state, row.deployed

    assert (state, copy) == ("updated", None)


def test_states_that_do_not_allow_a_change_have_adobes_codes(
    store: SessionFactory, scope: Scope
) -> None:
    config_id = create(store, scope, document())

    def refused(change: Any, unknown: UUID | None = None) -> Any:
        with (
            pytest.raises((ConflictError, NotFoundError)) as caught,
            unit_of_work(store) as session,
        ):
            change(session, scope, unknown or config_id, kind=KIND)
        return caught.value.fields["code"]

    def deploy(session: Any, scope: Scope, config_id: UUID, kind: ConfigKind) -> None:
        endpoint_configs.deploy(session, scope, config_id, now=START, kind=kind)

    not_deployed = refused(endpoint_configs.undeploy)
    with unit_of_work(store) as session:
        deploy(session, scope, config_id, KIND)
    already, deletion = refused(deploy), refused(endpoint_configs.delete)

    assert (not_deployed, already, deletion) == (14468, 14466, 1456)
    assert refused(endpoint_configs.get, uuid4()) == 14467


def test_overlaps_are_warned_of_among_throttles(store: SessionFactory, scope: Scope) -> None:
    other = deployed(store, scope, document("https://push.example/*/send"))
    deployed(store, scope, cap_document(500, url="https://push.example/*"), ConfigKind.CAPPING)
    config_id = create(store, scope, document())

    [warning] = can_deploy(store, scope, config_id).warnings

    assert warning.code == "EDGEPOST_THROTTLING_CONFIG_OVERLAP"
    assert str(other) in warning.message


@pytest.mark.parametrize(
    ("count", "period", "code"),
    [
        (401, 1000, "EDGEPOST_CAP_ABOVE_THROTTLE"),
        (400, 1000, "EDGEPOST_CAP_BELOW_THROTTLE"),
        (24_001, 60_000, "EDGEPOST_CAP_ABOVE_THROTTLE"),
        (24_000, 60_000, "EDGEPOST_CAP_BELOW_THROTTLE"),
    ],
)
def test_a_cap_and_a_throttle_on_one_pattern_are_compared_from_both_sides(
    store: SessionFactory, scope: Scope, count: int, period: int, code: str
) -> None:
    throttle = deployed(store, scope, document("https://PUSH.example:443/v3/*"))
    cap = deployed(store, scope, cap_document(count, period), ConfigKind.CAPPING)

    of_cap = can_deploy(store, scope, cap, ConfigKind.CAPPING).warnings
    of_throttle = can_deploy(store, scope, throttle).warnings

    assert [each.code for each in (*of_cap, *of_throttle)] == [code, code]
    assert str(throttle) in of_cap[0].message
    assert str(cap) in of_throttle[0].message


def test_a_cap_of_data_sources_has_nothing_to_do_with_a_throttle(
    store: SessionFactory, scope: Scope
) -> None:
    throttle = deployed(store, scope, document())
    services = {"dataSource": cap_document(1)["services"]["action"]}
    deployed(store, scope, {**cap_document(1), "services": services}, ConfigKind.CAPPING)

    assert can_deploy(store, scope, throttle).warnings == ()
