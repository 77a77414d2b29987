import json
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from mobile_stub import service_worker
from mobile_stub.edge_client import Edge
from mobile_stub.gateway_http import Ending
from mobile_stub.notifications import Button
from mobile_stub.service_worker import WebPush, Worker
from tests.mobile_stub.pages import ECID
from tests.mobile_stub.scripted_edge import PAGE, ScriptedEdge, for_pages

NOW = datetime(2026, 7, 1, 11, 2, 10, 412000, tzinfo=UTC)
JOURNEY = {"messageExecution": {"messageExecutionID": "camp-12"}}
WEB: dict[str, Any] = {
    "title": "Your order shipped",
    "body": "Tap to follow",
    "media": "https://img.example.com/p.png",
    "actions": {"buttons": [{"label": "Track", "type": "WEBURL", "uri": "https://example.com/t"}]},
    "interaction": {"type": "WEBURL", "uri": "https://example.com/o"},
    "identity": {"namespace": "ECID", "id": ECID},
    "_xdm": {"mixins": {"_experience": {"customerJourneyManagement": JOURNEY}}},
}


def worker_of(edge: ScriptedEdge) -> Worker:
    return Worker(ECID, Edge(edge.url, "web-1", domain="edge.example.com"), "d-1", PAGE)


def shown(worker: Worker, **change: Any) -> WebPush | None:
    return service_worker.show(worker, json.dumps({"web": WEB | change}).encode())


def clicked(worker: Worker, push: WebPush | None, button: int | None = None) -> bool:
    assert push is not None
    return service_worker.click(worker, push, Random(1), NOW, button)


def test_a_web_push_is_shown_with_its_buttons(edge: ScriptedEdge) -> None:
    push = shown(worker_of(edge))

    assert push is not None
    assert push.notification.title == "Your order shipped"
    assert push.notification.uri == "https://example.com/o"
    assert push.notification.buttons == (Button("Track", "WEBURL", "https://example.com/t"),)


@pytest.mark.parametrize(
    "payload",
    [b"", b"text", b"[]", b"{}", b'{"web": []}', b'{"web": {"body": "no title"}}'],
)
def test_what_has_no_title_is_not_shown(edge: ScriptedEdge, payload: bytes) -> None:
    assert service_worker.show(worker_of(edge), payload) is None


def test_a_push_for_another_visitor_is_not_shown_and_one_for_anybody_is(
    edge: ScriptedEdge,
) -> None:
    worker = replace(worker_of(edge), ecid="1" * 38)

    assert shown(worker) is None
    assert shown(worker, identity=None) is not None


def test_a_click_is_reported_as_the_documentation_says(edge: ScriptedEdge) -> None:
    edge.usual = for_pages()
    worker = worker_of(edge)

    took = clicked(worker, shown(worker), button=0)

    (request,) = edge.requests
    ((event,),) = (body["events"] for body in edge.bodies)
    message_id = event["xdm"]["pushNotificationTracking"].pop("pushProviderMessageID")
    assert took
    assert request.path == "/ee/v1/interact"
    assert request.headers[b"content-type"] == b"text/plain; charset=UTF-8"
    assert request.headers[b"host"] == b"edge.example.com"
    assert b"cookie" not in request.headers
    assert len(message_id) == 36
    assert set(edge.bodies[0]) == {"events"}
    assert event == {
        "xdm": {
            "identityMap": {"ECID": [{"id": ECID}]},
            "timestamp": "2026-07-01T11:02:10.412Z",
            "eventType": "pushTracking.customAction",
            "pushNotificationTracking": {
                "customAction": {"actionID": "Track"},
                "pushProvider": "chrome",
            },
            "application": {"launches": {"value": 1}},
            "_experience": {
                "customerJourneyManagement": JOURNEY
                | {
                    "pushChannelContext": {"platform": "web"},
                    "messageProfile": {
                        "channel": {"_id": "https://ns.adobe.com/xdm/channels/push"}
                    },
                }
            },
        },
        "meta": {"collect": {"datasetId": "d-1"}},
    }


def test_a_click_on_the_body_is_an_open(edge: ScriptedEdge) -> None:
    edge.usual = for_pages()
    worker = worker_of(edge)

    clicked(worker, shown(worker))

    xdm = edge.bodies[0]["events"][0]["xdm"]
    assert xdm["eventType"] == "pushTracking.applicationOpened"
    assert "customAction" not in xdm["pushNotificationTracking"]


@pytest.mark.parametrize("missing", ["ecid", "edge", "dataset_id"])
def test_without_everything_in_the_workers_store_nothing_is_sent(
    edge: ScriptedEdge, missing: str
) -> None:
    worker = worker_of(edge)
    push = shown(worker)
    values: dict[str, Any] = {"ecid": "", "edge": None, "dataset_id": ""}

    took = clicked(replace(worker, **{missing: values[missing]}), push)

    assert not took
    assert edge.requests == []


@pytest.mark.parametrize("blob", [None, {}, {"cjm": {"_experience": {}}}, {"mixins": {}}])
def test_a_push_without_mixins_is_not_tracked(edge: ScriptedEdge, blob: Any) -> None:
    worker = worker_of(edge)

    took = clicked(worker, shown(worker, _xdm=blob))

    assert not took
    assert edge.requests == []


@pytest.mark.parametrize(
    "reply",
    [
        for_pages(400),
        for_pages(origin="https://other.test"),
        for_pages()._replace(ending=Ending.RESET),
    ],
    ids=["refused", "hidden", "reset"],
)
def test_a_report_has_one_try(edge: ScriptedEdge, reply: Any) -> None:
    edge.usual = reply
    worker = worker_of(edge)

    took = clicked(worker, shown(worker))

    assert not took
    assert len(edge.requests) == 1
