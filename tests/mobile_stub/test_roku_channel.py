import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from mobile_stub.edge_client import Edge
from mobile_stub.gateway_http import Reply, answer
from mobile_stub.roku import QUEUE_LENGTH, RETRY_S, Roku
from tests.mobile_stub.pages import ECID
from tests.mobile_stub.phones import VirtualTime
from tests.mobile_stub.scripted_edge import ScriptedEdge


def plain(*handles: dict[str, Any], status: int = 200) -> Reply:
    return answer(status, json.dumps({"requestId": "r", "handle": handles}).encode())


NAMED = plain({"type": "identity:result", "payload": [{"id": ECID, "namespace": {"code": "ECID"}}]})


@pytest.fixture
def roku(edge: ScriptedEdge, time: VirtualTime) -> Iterator[Roku]:
    edge.usual = plain()
    channel = Roku(Edge(edge.url, "ds-1"), 1, wait=time.wait, clock=time.clock)
    with closing(channel) as one:
        yield one


def test_case_64_the_first_answer_names_the_device_and_later_requests_do(
    edge: ScriptedEdge, roku: Roku
) -> None:
    edge.replies = [NAMED]

    roku.send("media.play")
    roku.send("media.play")
    roku.drain()

    first, second = edge.bodies
    assert first["query"] == {"identity": {"fetch": ["ECID"]}}
    assert set(first["xdm"]) == {"implementationDetails"}
    assert "query" not in second
    assert second["xdm"]["identityMap"] == {
        "ECID": [{"id": ECID, "authenticatedState": "ambiguous", "primary": False}]
    }
    assert "meta" not in first
    assert "_id" not in first["events"][0]["xdm"]
    assert len(roku.acknowledged) == 2


def test_case_64_the_id_is_asked_for_by_an_event_without_xdm(
    edge: ScriptedEdge, roku: Roku
) -> None:
    edge.replies = [NAMED]

    names = [roku.ask_ecid(), roku.ask_ecid()]

    assert names == [ECID, ECID]
    assert [body["events"] for body in edge.bodies] == [
        [{"query": {"identity": {"fetch": ["ECID"]}}}]
    ]


def test_the_first_id_is_kept_whatever_a_later_answer_says(edge: ScriptedEdge, roku: Roku) -> None:
    other = {"type": "identity:result", "payload": [{"id": "1", "namespace": {"code": "ECID"}}]}
    edge.replies = [NAMED, plain(other)]

    roku.send("a.b")
    roku.send("a.b")
    roku.drain()
    kept = roku.ecid
    roku.reset_identities()

    assert kept == ECID
    assert roku.ecid is None


@pytest.mark.parametrize("status", [408, 503, 504])
def test_trouble_that_passes_is_tried_again_after_half_a_minute(
    edge: ScriptedEdge, roku: Roku, time: VirtualTime, status: int
) -> None:
    edge.replies = [answer(status, headers=("Retry-After: 5",))]

    roku.send("a.b")
    roku.drain()

    assert time.waited == [RETRY_S]
    assert len({request.query for request in edge.requests}) == 1
    assert len(roku.acknowledged) == 1


@pytest.mark.parametrize("status", [400, 404, 429, 500, 502, 507])
def test_everything_else_is_dropped(
    edge: ScriptedEdge, roku: Roku, time: VirtualTime, status: int
) -> None:
    edge.replies = [answer(status)]

    roku.send("a.b")
    roku.send("a.b")
    roku.drain()

    assert roku.dropped == [status]
    assert len(roku.acknowledged) == 1
    assert time.waited == []


def test_any_2xx_is_a_success(edge: ScriptedEdge, roku: Roku) -> None:
    edge.replies = [plain(status=202), answer(204)]

    roku.send("a.b")
    roku.send("a.b")
    roku.drain()

    assert len(roku.acknowledged) == 2


def test_a_framed_answer_breaks_the_channel(edge: ScriptedEdge, roku: Roku) -> None:
    edge.replies = [answer(200, b'\0{"handle": []}\n')]
    roku.send("a.b")

    with pytest.raises(ValueError, match="Expecting value"):
        roku.drain()


def test_the_oldest_is_forgotten_when_the_queue_is_full(roku: Roku) -> None:
    first = roku.send("a.b")
    rest = [roku.send("a.b") for _ in range(QUEUE_LENGTH)]

    assert [each.id for each in roku.queue] == rest
    assert first not in rest


def test_state_is_echoed_until_it_ends_and_deleted_without_max_age(
    edge: ScriptedEdge, roku: Roku, time: VirtualTime
) -> None:
    kept = {"key": "a", "value": "1", "maxAge": 10}
    gone = {"key": "b", "value": "2"}
    edge.replies = [plain({"type": "state:store", "payload": [kept, gone]})]

    for pause in (0, 9, 1):
        time.wait(pause)
        roku.send("a.b")
        roku.drain()

    metas = [body.get("meta") for body in edge.bodies]
    assert metas == [None, {"state": {"entries": [kept]}}, None]


def test_a_login_stands_on_the_event(edge: ScriptedEdge, roku: Roku) -> None:
    roku.send_as("a.b", "CRMID", "C-1")
    roku.drain()

    xdm = edge.bodies[0]["events"][0]["xdm"]
    assert xdm["identityMap"]["CRMID"][0]["id"] == "C-1"


def test_an_unquoted_script_spells_its_own_xdm_in_lower_case(
    edge: ScriptedEdge, time: VirtualTime
) -> None:
    edge.usual = plain()
    channel = Roku(Edge(edge.url, "ds-1"), 1, lower_case=True, wait=time.wait, clock=time.clock)
    channel.ecid = ECID

    with closing(channel) as roku:
        roku.send("a.b", {"mediaCollection": {}})
        roku.drain()

    (body,) = edge.bodies
    assert set(body["xdm"]) == {"identitymap", "implementationdetails"}
    assert body["xdm"]["identitymap"]["ecid"][0]["authenticatedstate"] == "ambiguous"
    assert "mediaCollection" in body["events"][0]["xdm"]


def test_a_consent_has_its_identities_in_xdm_and_goes_before_what_waits(
    edge: ScriptedEdge, roku: Roku
) -> None:
    edge.replies = [plain({"type": "consent:preferences", "payload": [{"collect": {"val": "y"}}]})]
    roku.ecid, roku.collect = ECID, "p"

    roku.send("a.b")
    roku.set_consent("y")
    roku.drain()

    consent = edge.bodies[0]
    assert [request.path for request in edge.requests] == [
        "/ee/v1/privacy/set-consent",
        "/ee/v1/interact",
    ]
    assert set(consent["xdm"]) == {"identityMap", "implementationDetails"}
    assert consent["query"] == {"consent": {"operation": "update"}}
    assert consent["consent"][0]["value"]["collect"] == {"val": "y"}


def test_a_no_of_the_server_drops_what_waits(edge: ScriptedEdge, roku: Roku) -> None:
    edge.replies = [plain({"type": "consent:preferences", "payload": [{"collect": {"val": "n"}}]})]
    roku.ecid = ECID

    roku.set_consent("n")
    roku.send("a.b")
    roku.drain()

    assert len(edge.requests) == 1
    assert roku.queue == []
