"""One browser, one ECID: what the Web SDK keeps, asks for and sends back."""

from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from tests.browser.conftest import Shop
from tests.browser.stored import key_of
from tests.browser.visitors import HOME, IDENTITY_COOKIE, PAGE_VIEW

THIRD_PARTY_EDGE = "edge.other.test"


def logged_in(person: str) -> dict[str, Any]:
    """Return an event of somebody who is logged in."""
    item = {"id": person, "authenticatedState": "authenticated", "primary": True}
    return {"xdm": {"eventType": "userAccount.login", "identityMap": {"CRMID": [item]}}}


def test_case_48_the_first_event_makes_an_ecid_that_a_first_party_cookie_keeps(
    shop: Shop,
) -> None:
    visitor = shop.visitor()
    tab = visitor.visit()

    tab.alloy("sendEvent", PAGE_VIEW)

    (first,) = tab.exchanges("v1/interact")
    (event,) = shop.events()
    ecid = first.handles("identity:result")[0]["id"]
    (made,) = first.set_cookies
    assert made.startswith(f"{IDENTITY_COOKIE}={visitor.cookies()[IDENTITY_COOKIE]};")
    assert event.identity_id == key_of("ECID", ecid)
    assert event.event_type == "web.webpagedetails.pageViews"
    assert event.xdm["web"]["webPageDetails"]["URL"] == HOME
    assert [each["id"] for each in shop.profile(ecid)["identities"]] == [ecid]


def test_case_48_events_wait_for_the_identity_that_the_first_one_brings(shop: Shop) -> None:
    tab = shop.visitor().visit()

    tab.run(
        """() => Promise.all([1, 2, 3].map(number =>
             alloy("sendEvent", {xdm: {eventType: "view"}, data: {number}})))"""
    )

    first, *others = tab.exchanges("v1/interact")
    events = shop.events()
    assert IDENTITY_COOKIE not in first.cookies
    assert len(others) == 2
    assert all(IDENTITY_COOKIE in each.cookies for each in others)
    assert all(each.asked_at > first.answered_at for each in others)
    assert {each.data["number"] for each in events if each.data} == {1, 2, 3}
    assert len({each.identity_id for each in events}) == 1


def test_case_49_after_a_failed_first_event_the_second_one_gets_the_identity(shop: Shop) -> None:
    tab = shop.visitor().visit()

    outcomes = tab.run(
        """async nowhere => (await Promise.allSettled([
             alloy("sendEvent", {edgeConfigOverrides: {datastreamId: nowhere}}),
             alloy("sendEvent", {xdm: {eventType: "view"}}),
           ])).map(each => each.status)""",
        str(uuid4()),
    )

    failed, second = tab.exchanges("v1/interact")
    assert outcomes == ["rejected", "fulfilled"]
    assert (failed.status, second.status) == (400, 200)
    assert second.asked_at > failed.answered_at
    assert [each.event_type for each in shop.events()] == ["view"]


def test_a_reload_keeps_the_ecid_and_sends_the_cookie_in_the_header(shop: Shop) -> None:
    visitor = shop.visitor()
    tab = visitor.visit()
    tab.alloy("sendEvent", PAGE_VIEW)
    before = tab.ecid()

    tab.load(HOME)
    tab.alloy("sendEvent", PAGE_VIEW)

    first, second = tab.exchanges("v1/interact")
    assert tab.ecid() == before
    assert second.cookies == {IDENTITY_COOKIE: visitor.cookies()[IDENTITY_COOKIE]}
    assert (first.entries, second.entries) == ({}, {})
    assert {each.identity_id for each in shop.events()} == {key_of("ECID", before)}


def test_case_51_the_cookie_travels_from_every_site_over_tls_only(shop: Shop) -> None:
    visitor = shop.visitor()

    visitor.visit().alloy("sendEvent", PAGE_VIEW)

    (cookie,) = (each for each in visitor.context.cookies() if each["name"] == IDENTITY_COOKIE)
    assert (cookie["sameSite"], cookie["secure"]) == ("None", True)
    assert (cookie["domain"], cookie["httpOnly"]) == (".shop.test", False)


def test_case_63_get_identity_reads_the_cookie_without_a_request(shop: Shop) -> None:
    visitor = shop.visitor()
    tab = visitor.visit()
    tab.alloy("sendEvent", PAGE_VIEW)
    (first,) = tab.exchanges()

    again = visitor.visit()
    ecid = again.ecid()

    assert ecid == first.handles("identity:result")[0]["id"]
    assert again.exchanges() == []


def test_get_identity_before_any_event_acquires_the_ecid_of_the_later_events(shop: Shop) -> None:
    tab = shop.visitor().visit()

    ecid = tab.ecid()
    tab.alloy("sendEvent", PAGE_VIEW)

    (acquired,) = tab.exchanges("v1/identity/acquire")
    (event,) = shop.events()
    assert "events" not in acquired.body
    assert event.identity_id == key_of("ECID", ecid)


def test_a_login_makes_one_person_of_the_visits_before_and_after(shop: Shop) -> None:
    person = f"C-{uuid4().hex[:8]}"
    tab = shop.visitor().visit()
    tab.alloy("sendEvent", PAGE_VIEW)

    tab.alloy("sendEvent", logged_in(person))

    ecid = tab.ecid()
    identities = {(each["namespace"], each["id"]) for each in shop.profile(ecid)["identities"]}
    before, after = shop.events()
    assert identities == {("ECID", ecid), ("CRMID", person)}
    assert before.identity_id == key_of("ECID", ecid)
    assert after.identity_id == key_of("CRMID", person)


def test_a_third_party_edge_host_gets_its_cookies_in_the_body(shop: Shop) -> None:
    visitor = shop.visitor(edgeDomain=THIRD_PARTY_EDGE)
    tab = visitor.visit()
    tab.alloy("sendEvent", PAGE_VIEW)
    before = tab.ecid()

    tab.load(HOME)
    tab.alloy("sendEvent", PAGE_VIEW)

    first, second = tab.exchanges("v1/interact")
    assert {first.host, second.host} == {THIRD_PARTY_EDGE}
    assert (first.cookies, second.cookies) == ({}, {})
    assert (first.set_cookies, second.set_cookies) == ((), ())
    assert second.entries == {IDENTITY_COOKIE: visitor.cookies()[IDENTITY_COOKIE]}
    assert tab.ecid() == before
    assert {each.identity_id for each in shop.events()} == {key_of("ECID", before)}


def test_case_50_without_the_third_party_host_the_page_turns_to_its_own(shop: Shop) -> None:
    tab = shop.visitor(thirdPartyCookiesEnabled=True).visit()

    with tab.page.expect_event("requestfailed") as failed:
        tab.alloy("sendEvent", PAGE_VIEW)

    (only,) = tab.exchanges("v1/interact")
    (event,) = shop.events()
    assert urlsplit(failed.value.url).netloc == "adobedc.demdex.net"
    assert only.body["query"]["identity"]["fetch"] == ["ECID", "CORE"]
    assert event.identity_id == key_of("ECID", tab.ecid())


def test_case_53_a_first_party_id_gives_every_browser_the_same_ecid(shop: Shop) -> None:
    fpid = str(uuid4())
    event = {"xdm": {"eventType": "view", "identityMap": {"FPID": [{"id": fpid}]}}}
    tabs = [shop.visitor().visit() for _ in range(2)]

    for tab in tabs:
        tab.alloy("sendEvent", event)

    first, second = (tab.ecid() for tab in tabs)
    assert first == second
    assert {each.identity_id for each in shop.events()} == {key_of("ECID", first)}


def test_case_53_the_cookie_wins_over_a_first_party_id(shop: Shop) -> None:
    tab = shop.visitor().visit()
    tab.alloy("sendEvent", PAGE_VIEW)
    before = tab.ecid()

    other = {"FPID": [{"id": str(uuid4())}]}
    tab.alloy("sendEvent", {"xdm": {"eventType": "view", "identityMap": other}})

    assert tab.exchanges()[-1].handles("identity:result")[0]["id"] == before
    assert {each.identity_id for each in shop.events()} == {key_of("ECID", before)}


def test_a_first_party_id_of_the_sites_own_cookie_gives_the_same_ecid(shop: Shop) -> None:
    fpid = str(uuid4())
    ecids = set()

    for _ in range(2):
        visitor = shop.visitor()
        visitor.set_cookie("FPID", fpid)
        tab = visitor.visit()
        tab.alloy("sendEvent", PAGE_VIEW)
        ecids.add(tab.ecid())

    assert len(ecids) == 1


def test_case_54_the_page_can_read_why_its_datastream_was_refused(shop: Shop) -> None:
    tab = shop.visitor().visit(datastreamId=str(uuid4()))

    refusal = tab.refusal("sendEvent", PAGE_VIEW)

    assert "EXEG-0003-400" in refusal
    assert shop.events() == []
