"""Where a phone sends, how it spells the address, and what an app can change of it."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
import requests
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NameResolutionError

from mobile_stub import edge_url, sdk
from mobile_stub.device import Device, Hit, Kind
from mobile_stub.edge_client import Action, Edge
from mobile_stub.sdk import Route
from mobile_stub.verdicts import Verdict, verdict_of_failure
from tests.mobile_stub.phones import Open, VirtualTime, event
from tests.mobile_stub.scripted_edge import ScriptedEdge
from tests.support.certificates import loopback_certificate
from tests.support.sinks import running_sink

OVERRIDES = {"com_adobe_experience_platform": {"datasets": {"event": {"datasetId": "d"}}}}


def routed(route: Route) -> Action:
    def act(device: Device, now: Any) -> tuple[Device, Hit | None]:
        return sdk.event(device, "a.b", now, route=route)

    return act


def with_hint(hint: str) -> Action:
    def act(device: Device, now: Any) -> tuple[Device, Hit | None]:
        return sdk.event(sdk.set_location_hint(device, hint, now), "a.b", now)

    return act


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("hint", ["or 2", "über", '{"a": "b/c"}', "100%"])
def test_case_09_any_hint_reaches_the_service_as_one_piece_of_the_path(
    edge: ScriptedEdge, open_phone: Open, kind: Kind, hint: str
) -> None:
    phone = open_phone(kind)

    phone.act(with_hint(hint))
    phone.drain()

    (request,) = edge.requests
    assert unquote(request.path) == f"/ee/{hint}/v1/interact"
    assert len(phone.acknowledged) == 1


def test_a_hint_that_is_cleared_is_gone(edge: ScriptedEdge, open_phone: Open) -> None:
    phone = open_phone()

    phone.act(with_hint("or2"))
    phone.act(with_hint(""))
    phone.drain()

    assert [request.path for request in edge.requests] == ["/ee/v1/interact"] * 2


@pytest.mark.parametrize(
    ("environment", "path", "host"),
    [
        ("prod", "/ee/v1/interact", b"edge.shop.test"),
        ("pre-prod", "/ee-pre-prd/v1/interact", b"edge.shop.test"),
        ("PRE-PROD", "/ee-pre-prd/v1/interact", b"edge.shop.test"),
        ("int", "/ee/v1/interact", b"edge-int.adobedc.net"),
        ("", "/ee/v1/interact", b"edge.shop.test"),
        ("junk", "/ee/v1/interact", b"edge.shop.test"),
    ],
)
@pytest.mark.parametrize("kind", list(Kind))
def test_case_28_the_environment_decides_path_and_host(
    edge: ScriptedEdge, open_phone: Open, kind: Kind, environment: str, path: str, host: bytes
) -> None:
    phone = open_phone(kind, domain="edge.shop.test", environment=environment)

    phone.act(event())
    phone.drain()

    (request,) = edge.requests
    assert (request.path, request.headers[b"host"]) == (path, host)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/va/v1/sessionstart", "/ee/va/v1/sessionstart"),
        ("/own-path/~1_2.3", "/ee/own-path/~1_2.3"),
        ("va/v1/play", "/ee/v1/interact"),
        ("/va//play", "/ee/v1/interact"),
        ("/va/v1/play?x=1", "/ee/v1/interact"),
        ("", "/ee/v1/interact"),
    ],
)
def test_case_29_an_apps_own_path_stands_in_for_interact_and_not_in_the_body(
    edge: ScriptedEdge, open_phone: Open, path: str, expected: str
) -> None:
    phone = open_phone()

    phone.act(routed(Route(path=path)))
    phone.drain()

    assert [request.path for request in edge.requests] == [expected]
    assert set(edge.bodies[0]) == {"meta", "xdm", "events"}
    assert set(edge.bodies[0]["events"][0]) == {"xdm"}


def test_case_30_overrides_change_the_url_and_say_what_was_configured(
    edge: ScriptedEdge, open_phone: Open
) -> None:
    phone = open_phone()

    phone.act(routed(Route(datastream="other", overrides=OVERRIDES)))
    phone.act(event())
    phone.drain()

    asked = [parse_qs(request.query)["configId"] for request in edge.requests]
    first, second = (body["meta"] for body in edge.bodies)
    assert asked == [["other"], ["ds-1"]]
    assert first["sdkConfig"] == {"datastream": {"original": "ds-1"}}
    assert first["configOverrides"] == OVERRIDES
    assert set(second) == {"konductorConfig"}


def test_an_event_names_its_own_dataset(edge: ScriptedEdge, open_phone: Open) -> None:
    phone = open_phone()

    phone.act(routed(Route(dataset="d-1")))
    phone.drain()

    assert edge.bodies[0]["events"][0]["meta"] == {"collect": {"datasetId": "d-1"}}


def test_case_36_an_event_without_any_identity_is_sent_without_a_map(
    edge: ScriptedEdge, open_phone: Open
) -> None:
    phone = open_phone()
    phone.change(lambda device: replace(device, ecid=""))

    phone.act(event())
    phone.drain()

    assert set(edge.bodies[0]["xdm"]) == {"implementationDetails"}
    assert len(phone.acknowledged) == 1


def test_case_37_hits_wait_until_the_app_knows_where_to_send(
    edge: ScriptedEdge, open_phone: Open
) -> None:
    phone = open_phone(configured=False)

    phone.act(event("one"))
    phone.act(event("two"))
    early = phone.drain()
    phone.configure(Edge(edge.url, "ds-9"))
    late = phone.drain()

    assert (early, late) == (False, True)
    assert [parse_qs(request.query)["configId"] for request in edge.requests] == [["ds-9"]] * 2


def test_an_empty_datastream_drops_the_hit_without_a_request(
    edge: ScriptedEdge, open_phone: Open
) -> None:
    phone = open_phone(datastream_id="")

    phone.act(event())
    drained = phone.drain()

    assert drained
    assert edge.requests == []
    assert [attempt.verdict for attempt in phone.attempts] == [Verdict.DROPPED]


def unknown_name() -> requests.RequestException:
    name = NameResolutionError("edge.test", HTTPConnection("edge.test"), socket.gaierror())
    return requests.ConnectionError(MaxRetryError(HTTPConnectionPool("edge.test"), "/", name))


@pytest.mark.parametrize(
    ("kind", "error", "verdict"),
    [
        (Kind.IOS, requests.ReadTimeout(), Verdict.RETRY),
        (Kind.IOS, requests.ConnectionError(), Verdict.RETRY),
        (Kind.IOS, unknown_name(), Verdict.DROPPED),
        (Kind.IOS, requests.exceptions.SSLError(), Verdict.DROPPED),
        (Kind.ANDROID, unknown_name(), Verdict.RETRY),
        (Kind.ANDROID, requests.exceptions.SSLError(), Verdict.RETRY),
    ],
)
def test_case_39_ios_gives_up_where_name_or_certificate_is_wrong(
    kind: Kind, error: Exception, verdict: Verdict
) -> None:
    assert verdict_of_failure(kind, error) is verdict


@pytest.mark.parametrize(("kind", "left"), [(Kind.ANDROID, 1), (Kind.IOS, 0)])
def test_case_39_an_untrusted_certificate_is_tried_again_by_android_only(
    open_phone: Open, time: VirtualTime, tmp_path: Path, kind: Kind, left: int
) -> None:
    _, tls = loopback_certificate(tmp_path)
    time.waits_left = 0

    with running_sink(tls=tls) as sink:
        phone = open_phone(kind, url=sink.url(""))
        phone.act(event())
        phone.drain()

    assert sink.received == []
    assert len(phone.device.queue) == left


@pytest.mark.parametrize(
    ("kind", "domain", "count"),
    [
        (Kind.ANDROID, "edge.shop.test:8443", 1),
        (Kind.ANDROID, "edge.shop.test/prefix", 1),
        (Kind.ANDROID, "edge.shop.test:port", 0),
        (Kind.ANDROID, ":8443", 0),
        (Kind.IOS, "edge.shop.test", 1),
        (Kind.IOS, "edge.shop.test:8443", 0),
        (Kind.IOS, "edge.shop.test/prefix", 0),
        (Kind.IOS, "https://edge.shop.test", 0),
    ],
)
def test_case_40_a_malformed_address_drops_the_hit_without_a_request(
    edge: ScriptedEdge, open_phone: Open, kind: Kind, domain: str, count: int
) -> None:
    phone = open_phone(kind, domain=domain)

    phone.act(event())
    drained = phone.drain()

    assert drained
    assert len(edge.requests) == len(phone.acknowledged) == count


@pytest.mark.parametrize("kind", list(Kind))
def test_case_41_an_assurance_session_names_itself_in_a_header(
    edge: ScriptedEdge, open_phone: Open, kind: Kind
) -> None:
    with_session, without = open_phone(kind, assurance="int-1"), open_phone(kind)
    for phone in (with_session, without):
        phone.act(event())
        phone.drain()

    named, unnamed = (request.headers for request in edge.requests)
    assert named[b"x-adobe-aep-validation-token"] == b"int-1"
    assert b"x-adobe-aep-validation-token" not in unnamed


def test_a_domain_of_the_app_is_named_as_the_host(edge: ScriptedEdge, open_phone: Open) -> None:
    phone = open_phone(domain="edge.shop.test")

    phone.act(event())
    phone.drain()

    assert edge.requests[0].headers[b"host"] == b"edge.shop.test"
    assert phone.acknowledged


def test_ios_encodes_the_datastream_and_android_does_not() -> None:
    joined = [edge_url.joined(kind, "ee/v1/interact", "a b", "r") for kind in Kind]

    assert joined == [
        "/ee/v1/interact?configId=a b&requestId=r",
        "/ee/v1/interact?configId=a%20b&requestId=r",
    ]
