"""Where the Web SDK sends its events, by which way, and what is kept of them."""

from typing import Any

import pytest

from tests.browser.conftest import Shop
from tests.browser.stored import key_of
from tests.browser.visitors import HOME, PAGE_VIEW, PATIENCE_S
from tests.e2e.patience import eventually


def overriding_dataset(dataset: str) -> dict[str, Any]:
    return {"com_adobe_experience_platform": {"datasets": {"event": {"datasetId": dataset}}}}


def test_case_58_an_event_goes_to_the_datastream_that_overrides_the_configured_one(
    shop: Shop,
) -> None:
    other = shop.another()
    tab = shop.visitor().visit()

    tab.alloy("sendEvent", {**PAGE_VIEW, "edgeConfigOverrides": {"datastreamId": other.id}})

    (sent,) = tab.exchanges("v1/interact")
    assert sent.parameters["configId"] == other.id
    assert sent.body["meta"]["sdkConfig"] == {"datastream": {"original": shop.id}}
    assert len(other.events()) == 1
    assert shop.events() == []


def test_case_58_an_event_goes_to_the_allowed_dataset_that_the_page_names(shop: Shop) -> None:
    further = shop.another().datastream["eventDatasetId"]
    own = shop.another(eventDatasetIds=[further])
    tab = own.visitor(edgeConfigOverrides=overriding_dataset(further)).visit()

    tab.alloy("sendEvent", PAGE_VIEW)

    (event,) = own.events()
    assert str(event.dataset_id) == further


def test_case_58_a_dataset_that_is_not_allowed_is_refused_and_nothing_is_kept(shop: Shop) -> None:
    further = shop.another().datastream["eventDatasetId"]
    tab = shop.visitor().visit()

    refusal = tab.refusal(
        "sendEvent", {**PAGE_VIEW, "edgeConfigOverrides": overriding_dataset(further)}
    )

    assert "EXEG-0113-400" in refusal
    assert shop.events() == []


def test_case_59_a_click_that_leaves_the_page_is_kept_although_nobody_reads_the_answer(
    shop: Shop,
) -> None:
    tab = shop.visitor().visit()
    tab.alloy("sendEvent", PAGE_VIEW)
    ecid = tab.ecid()

    tab.page.click("text=Next")

    (beacon,) = eventually(
        lambda: tab.exchanges("v1/collect"), within_s=PATIENCE_S, what="the beacon"
    )
    _, last = shop.events()
    assert beacon.status == 204
    assert last.event_type == "web.webinteraction.linkClicks"
    assert last.xdm["web"]["webInteraction"]["URL"] == HOME + "next"
    assert last.identity_id == key_of("ECID", ecid)


def test_without_an_identity_the_last_event_is_an_ordinary_one(shop: Shop) -> None:
    tab = shop.visitor().visit()

    tab.alloy("sendEvent", {**PAGE_VIEW, "documentUnloading": True})

    assert [each.action for each in tab.exchanges()] == ["v1/interact"]
    assert len(shop.events()) == 1


def test_an_event_is_kept_with_its_own_time_and_what_the_page_said(shop: Shop) -> None:
    tab = shop.visitor().visit()
    said = {"cart": {"value": 59.9, "lines": [1, None, "zwei"]}, "näme": "Ünïcode ✓"}

    tab.alloy("sendEvent", {"xdm": {"eventType": "commerce.purchases"}, "data": said})

    (event,) = shop.events()
    (sent,) = tab.exchanges()
    assert event.data == said
    assert event.xdm["timestamp"] == sent.events[0]["xdm"]["timestamp"]
    assert event.xdm["implementationDetails"]["name"] == "https://ns.adobe.com/experience/alloy"
    assert "Chrome/" in event.xdm["environment"]["browserDetails"]["userAgent"]


@pytest.mark.parametrize(
    ("cookie", "value", "hint"),
    [("kndctr_EDGEPOST_AdobeOrg_cluster", "or2", "or2"), ("mboxEdgeCluster", "38", "t38")],
)
def test_case_57_a_location_hint_of_earlier_days_is_served(
    shop: Shop, cookie: str, value: str, hint: str
) -> None:
    visitor = shop.visitor(targetMigrationEnabled=True)
    visitor.set_cookie(cookie, value)
    tab = visitor.visit()

    tab.alloy("sendEvent", PAGE_VIEW)

    assert [each.path for each in tab.exchanges()] == [f"/ee/{hint}/v1/interact"]
    assert len(shop.events()) == 1


def test_any_base_path_is_served(shop: Shop) -> None:
    tab = shop.visitor(edgeBasePath="shop/data").visit()

    tab.alloy("sendEvent", PAGE_VIEW)

    assert [each.path for each in tab.exchanges()] == ["/shop/data/v1/interact"]
    assert len(shop.events()) == 1


def test_a_page_of_an_origin_that_is_not_listed_gets_no_answer_and_leaves_nothing(
    shop: Shop,
) -> None:
    listed = shop.another(origins=["https://www.brand.test"])
    tab = listed.visitor().visit()

    refusal = tab.refusal("sendEvent", PAGE_VIEW)

    assert "Failed to fetch" in refusal
    assert listed.events() == []
