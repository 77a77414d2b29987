"""What the Web SDK does on a page, against answers that a test decides."""

import json
import threading
from urllib.parse import parse_qs

import pytest

from mobile_stub import page as pages
from mobile_stub.browser import Browser
from mobile_stub.fetch import NetworkError, PageError
from mobile_stub.gateway_http import Ending, ServerThread
from tests.mobile_stub.pages import (
    ECID,
    ORG_PREFIX,
    OpenPage,
    entries_of,
    identity_value,
    known_as,
    stored,
)
from tests.mobile_stub.phones import VirtualTime
from tests.mobile_stub.scripted_edge import ScriptedEdge, for_pages

FIRST_PARTY = "edge.example.com"
KEYS = {"p256dh": "B" * 87, "auth": "A" * 22}
ENDPOINT = "https://push.example.net/send/1"


def paths(edge: ScriptedEdge) -> list[str]:
    return [request.path for request in edge.requests]


def config_ids(edge: ScriptedEdge) -> list[str]:
    return [parse_qs(request.query)["configId"][0] for request in edge.requests]


def test_case_48_the_first_request_goes_alone_and_the_rest_together_once_known(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(200, *known_as())]
    edge.usual = for_pages()._replace(delay_s=0.4)
    browser = open_page()

    results = browser.send_together([{"path": f"/{number}"} for number in range(4)])

    arrivals = [request.arrived_ns for request in edge.requests]
    assert len(set(results)) == 4
    assert entries_of(edge.requests[0].body) == {}
    assert all(entries_of(each.body) for each in edge.requests[1:])
    assert max(arrivals[1:]) - min(arrivals[1:]) < 0.35e9


def test_case_49_after_a_first_failure_the_second_goes_without_identity_and_alone(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(400), for_pages(200, *known_as())]
    browser = open_page()

    first, second, third = browser.send_together([{}, {}, {}])

    assert isinstance(first, PageError)
    assert browser.acknowledged == [second, third]
    assert [bool(entries_of(each.body)) for each in edge.requests] == [False, False, True]


def test_a_first_party_endpoint_gets_cookies_in_the_header_and_none_in_the_body(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(200, *known_as())]
    browser = open_page(edge_domain=FIRST_PARTY)

    browser.send()
    browser.send()

    first, second = edge.requests
    assert first.headers[b"host"] == FIRST_PARTY.encode()
    assert b"cookie" not in first.headers
    assert second.headers[b"cookie"].decode() == f"{ORG_PREFIX}identity={identity_value()}"
    assert "entries" not in json.loads(second.body)["meta"]["state"]


def test_a_cookie_that_the_endpoint_sets_itself_counts_for_the_page(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    cookie = f"{ORG_PREFIX}identity={identity_value()}; Domain=example.com; Secure; SameSite=None"
    edge.replies = [for_pages(200, headers=(f"Set-Cookie: {cookie}; Path=/; Max-Age=60",))]
    browser = open_page(edge_domain=FIRST_PARTY)

    browser.send()

    assert browser.ecid_of_cookie() == ECID


def test_a_reload_keeps_the_visitor_and_forgets_the_pages_memory(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(200, *known_as())]
    browser = open_page()
    browser.send()

    browser.reload()
    browser.send()

    assert entries_of(edge.requests[1].body) == {"identity": identity_value()}
    assert browser.ecid_of_cookie() == ECID


def test_foreign_cookies_of_the_site_stay_at_home(edge: ScriptedEdge, open_page: OpenPage) -> None:
    browser = open_page()
    browser.jar.take(["theirs=1; Domain=example.com"], "www.example.com", "www.example.com")

    browser.reload()
    browser.send()

    assert entries_of(edge.requests[0].body) == {}


def test_case_50_the_third_party_domain_is_asked_first_while_nobody_is_known(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    third = ScriptedEdge(replies=[for_pages(200, *known_as())])
    with ServerThread(lambda _url: third) as server:
        browser = open_page(third_party_url=server.url)
        browser.send()
        browser.send()

    assert third.requests[0].headers[b"host"] == b"adobedc.demdex.net"
    assert third.bodies[0]["query"] == {"identity": {"fetch": ["ECID", "CORE"]}}
    assert len(third.requests) == len(edge.requests) == 1


def test_case_50_a_blocked_third_party_domain_is_given_up(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    third = ScriptedEdge(replies=[for_pages()._replace(ending=Ending.CLOSED)])
    with ServerThread(lambda _url: third) as server:
        browser = open_page(third_party_url=server.url)
        browser.send()
        browser.send()

    assert len(third.requests) == 1
    assert len(edge.requests) == 2
    assert edge.bodies[0]["query"] == {"identity": {"fetch": ["ECID", "CORE"]}}


def test_case_52_a_landing_carries_the_id_of_its_link_in_every_request(
    edge: ScriptedEdge, open_page: OpenPage, time: VirtualTime
) -> None:
    edge.replies = [for_pages(200, *known_as())]
    edge.usual = for_pages(origin="https://www.example.net")
    browser = open_page()
    link = browser.link_to("https://www.example.net/landing")

    browser.open(link)
    browser.send()
    time.wait(301)
    browser.send()

    acquired, landed, later = edge.bodies
    assert paths(edge)[0] == "/ee/v1/identity/acquire"
    assert "events" not in acquired
    assert landed["xdm"] == {"identityMap": {"ECID": [{"id": ECID}]}}
    assert landed["meta"]["state"] == {"domain": "example.net", "cookiesEnabled": True}
    assert edge.requests[1].headers[b"origin"] == b"https://www.example.net"
    assert "xdm" not in later


def test_case_57_a_cluster_cookie_is_a_piece_of_the_path(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(200, stored("cluster", "or2", 60))]
    browser = open_page()

    browser.send()
    browser.send()

    assert paths(edge) == ["/ee/v1/interact", "/ee/or2/v1/interact"]


def test_case_57_an_older_librarys_cluster_counts_without_one(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    browser = open_page()
    browser.jar.take(["mboxEdgeCluster=38"], "www.example.com", "www.example.com")

    browser.reload()
    browser.send()

    assert paths(edge) == ["/ee/t38/v1/interact"]


def test_case_58_overrides_go_into_meta_and_a_datastream_into_the_url(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    suites = {"com_adobe_analytics": {"reportSuites": ["rs1"]}}
    browser = open_page()

    browser.send(overrides=suites | {"datastreamId": "web-2"})
    browser.send(overrides={"datastreamId": "web-1"})

    first, second = (body["meta"] for body in edge.bodies)
    assert config_ids(edge) == ["web-2", "web-1"]
    assert first["configOverrides"] == suites
    assert first["sdkConfig"] == {"datastream": {"original": "web-1"}}
    assert not {"configOverrides", "sdkConfig"} & set(second)


def test_case_59_a_beacon_of_a_known_visitor_goes_to_collect_and_is_not_read(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(200, *known_as()), for_pages(204, origin="https://nobody.test")]
    browser = open_page()
    browser.send()

    sent = browser.beacon()

    assert paths(edge)[1] == "/ee/v1/collect"
    assert browser.acknowledged[1] == sent


def test_case_59_a_beacon_of_an_unknown_visitor_is_an_ordinary_request(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    browser = open_page()

    browser.beacon()

    assert paths(edge) == ["/ee/v1/interact"]


def test_a_beacon_that_is_too_large_is_fetched_and_its_answer_read(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(200, *known_as()), for_pages(202, body=b'{"requestId": "r"}')]
    browser = open_page()
    browser.send()

    with pytest.raises(PageError, match="no handle array"):
        browser.beacon(data={"large": "x" * 65_536})

    assert paths(edge)[1] == "/ee/v1/collect"


def test_case_63_a_known_visitor_is_named_without_a_request(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(200, known_as()[1])]
    browser = open_page()
    browser.send()
    browser.reload()

    assert browser.get_identity() == ECID
    assert len(edge.requests) == 1


def test_an_unknown_visitor_is_acquired_once(edge: ScriptedEdge, open_page: OpenPage) -> None:
    edge.replies = [for_pages(200, *known_as())]
    browser = open_page()

    names = [browser.get_identity(), browser.get_identity()]

    assert names == [ECID, ECID]
    assert paths(edge) == ["/ee/v1/identity/acquire"]


def test_a_cookie_that_cannot_be_read_is_asked_again(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(200, stored("identity", "junk")), for_pages(200, *known_as())]
    browser = open_page()
    browser.send()
    browser.reload()

    assert browser.get_identity() == ECID
    assert len(edge.requests) == 2


def test_a_link_without_an_identity_is_left_as_it_was(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(400)]

    assert open_page().link_to("https://www.example.net/") == "https://www.example.net/"


def test_a_subscription_is_data_alone_and_is_announced_once(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(200, *known_as())]
    browser = open_page(app_id="my-web-app", tracking_dataset="d-1")
    browser.send()

    first = browser.subscribe(ENDPOINT, KEYS)
    again = browser.subscribe(ENDPOINT, KEYS)
    other = browser.subscribe(f"{ENDPOINT}/2", KEYS)

    (event,) = edge.bodies[1]["events"]
    (details,) = event["data"]["pushNotificationDetails"]
    assert set(event) == {"data"}
    assert details["token"] == (
        f'{{"endpoint":"{ENDPOINT}","keys":{{"auth":"{"A" * 22}","p256dh":"{"B" * 87}"}}}}'
    )
    assert (details["platform"], details["appID"]) == ("web", "my-web-app")
    assert details["identity"] == {"namespace": {"code": "ECID"}, "id": ECID}
    assert first is not None
    assert again is None
    assert other is not None
    assert (browser.worker.ecid, browser.worker.dataset_id) == (ECID, "d-1")


def test_a_subscription_waits_for_an_identity(edge: ScriptedEdge, open_page: OpenPage) -> None:
    with pytest.raises(PageError, match="identity"):
        open_page().subscribe(ENDPOINT, KEYS)

    assert edge.requests == []


def test_an_answer_that_the_browser_hides_is_no_answer_though_it_was_kept(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(200, *known_as(), origin="*")]

    with pytest.raises(NetworkError, match="CORS"):
        open_page().send()

    assert len(edge.requests) == 1


def test_a_retry_after_that_is_not_exposed_is_not_seen(
    edge: ScriptedEdge, open_page: OpenPage, time: VirtualTime
) -> None:
    busy = for_pages(503, headers=("Retry-After: 30",))
    edge.replies = [busy._replace(payload=busy.payload.replace(b", Retry-After", b""))]

    open_page().send()

    assert len(time.waited) == 1
    assert 0.7 <= time.waited[0] <= 1.3


def test_a_retry_after_may_be_a_date(
    edge: ScriptedEdge, open_page: OpenPage, time: VirtualTime
) -> None:
    edge.replies = [for_pages(429, headers=("Retry-After: Wed, 01 Jul 2026 00:00:20 GMT",))]

    open_page().send()

    assert time.waited == [20]


def test_a_page_on_localhost_has_no_domain_and_keeps_its_cookies(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(200, *known_as(), origin="https://localhost")]
    edge.usual = for_pages(origin="https://localhost")
    browser = open_page()
    browser.open("https://localhost/")

    browser.send()
    browser.send()

    assert edge.bodies[0]["meta"]["state"]["domain"] == ""
    assert entries_of(edge.requests[1].body) == {"identity": identity_value()}


def test_two_threads_may_send_at_once(edge: ScriptedEdge, open_page: OpenPage) -> None:
    edge.replies = [for_pages(200, *known_as())]
    browser: Browser = open_page()
    browser.send()

    threads = [threading.Thread(target=browser.send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(browser.acknowledged)) == 5
    assert browser.page.cookies[0][0] == pages.Page().cookie_name("identity")
