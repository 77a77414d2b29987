"""Consent as pages give it: what waits, what is sent then, and what never leaves."""

from typing import Any

import pytest

from tests.browser.conftest import Shop
from tests.browser.stored import key_of
from tests.browser.visitors import CONSENT_COOKIE, HOME, PAGE_VIEW

IN = {"standard": "Adobe", "version": "1.0", "value": {"general": "in"}}
OUT = {"standard": "Adobe", "version": "1.0", "value": {"general": "out"}}
COLLECT = {"standard": "Adobe", "version": "2.0", "value": {"collect": {"val": "y"}}}
REFUSE = {"standard": "Adobe", "version": "2.0", "value": {"collect": {"val": "n"}}}
# IAB's own example strings: every purpose allowed, and none.
TCF_ALL = (
    "CO1Z4yuO1Z4yuAcABBENArCsAP_AAH_AACiQGCNX_T5eb2vj-3Zdt_tkaYwf55y3o-wzhheIs-8NyZeH_B4Wv2MyvBX4"
    "JiQKGRgksjLBAQdtHGlcTQgBwIlViTLMYk2MjzNKJrJEilsbO2dYGD9Pn8HT3ZCY70-vv__7v3ff_3g"
)


def saying(*consent: dict[str, Any]) -> dict[str, Any]:
    """Return the options of ``setConsent``."""
    return {"consent": list(consent)}


@pytest.mark.parametrize("consent", [IN, COLLECT], ids=["1.0", "2.0"])
def test_case_55_what_waited_for_consent_is_sent_once_it_is_given(
    shop: Shop, consent: dict[str, Any]
) -> None:
    visitor = shop.visitor(defaultConsent="pending")
    tab = visitor.visit()

    tab.run("() => { window.waiting = alloy('sendEvent', {xdm: {eventType: 'view'}}) }")
    before = list(tab.exchanges())
    tab.alloy("setConsent", saying(consent))
    tab.run("() => window.waiting")

    assert before == []
    assert [each.action for each in tab.exchanges()] == ["v1/privacy/set-consent", "v1/interact"]
    (event,) = shop.events()
    ecid = tab.ecid()
    assert visitor.cookies()[CONSENT_COOKIE] == "general=in"
    assert event.identity_id == key_of("ECID", ecid)
    assert tab.exchanges()[0].handles("identity:result")[0]["id"] == ecid
    assert shop.consent(ecid) == "in"


@pytest.mark.parametrize("consent", [OUT, REFUSE], ids=["1.0", "2.0"])
def test_case_55_what_waited_is_dropped_when_consent_is_refused(
    shop: Shop, consent: dict[str, Any]
) -> None:
    visitor = shop.visitor(defaultConsent="pending")
    tab = visitor.visit()

    tab.run("() => { window.waiting = alloy('sendEvent', {xdm: {eventType: 'view'}}) }")
    tab.alloy("setConsent", saying(consent))
    answer = tab.run("() => window.waiting")

    (only,) = tab.exchanges()
    assert answer == {}
    assert visitor.cookies()[CONSENT_COOKIE] == "general=out"
    assert shop.events() == []
    assert shop.consent(only.handles("identity:result")[0]["id"]) == "out"


def test_consent_is_remembered_on_the_next_page(shop: Shop) -> None:
    visitor = shop.visitor(defaultConsent="pending")
    tab = visitor.visit()
    tab.alloy("setConsent", saying(IN))
    ecid = tab.ecid()

    tab.load(HOME)
    tab.alloy("setConsent", saying(IN))
    tab.alloy("sendEvent", PAGE_VIEW)

    actions = [each.action for each in tab.exchanges()]
    assert actions == ["v1/privacy/set-consent", "v1/interact"], "the same consent was sent twice"
    assert tab.ecid() == ecid
    assert len(shop.events()) == 1


def test_somebody_who_changes_their_mind_is_collected_only_before(shop: Shop) -> None:
    visitor = shop.visitor()
    tab = visitor.visit()
    tab.alloy("sendEvent", {"xdm": {"eventType": "before"}})
    ecid = tab.ecid()

    tab.alloy("setConsent", saying(OUT))
    tab.alloy("sendEvent", {"xdm": {"eventType": "between"}})
    between = shop.consent(ecid)
    tab.alloy("setConsent", saying(IN))
    tab.alloy("sendEvent", {"xdm": {"eventType": "after"}})

    assert between == "out"
    assert shop.consent(ecid) == "in"
    assert [each.event_type for each in shop.events()] == ["before", "after"]
    assert tab.ecid() == ecid


def test_a_page_that_forgets_the_refusal_still_has_nothing_kept(shop: Shop) -> None:
    visitor = shop.visitor()
    tab = visitor.visit()
    tab.alloy("setConsent", saying(OUT))

    visitor.forget(CONSENT_COOKIE)
    tab.load(HOME)
    tab.alloy("sendEvent", PAGE_VIEW)

    answer = tab.exchanges()[-1]
    (warning,) = answer.answer["warnings"]
    assert (answer.action, answer.status) == ("v1/interact", 200)
    assert warning["type"].endswith("EXEG-0301-200")
    assert shop.events() == []


def test_a_datastream_that_waits_for_consent_keeps_only_what_comes_after_it(shop: Shop) -> None:
    careful = shop.another(defaultConsent="pending")
    tab = careful.visitor().visit()

    tab.alloy("sendEvent", {"xdm": {"eventType": "before"}})
    tab.alloy("setConsent", saying(IN))
    tab.alloy("sendEvent", {"xdm": {"eventType": "after"}})

    first, *_ = tab.exchanges("v1/interact")
    assert first.answer["warnings"][0]["type"].endswith("EXEG-0301-200")
    assert [each.event_type for each in careful.events()] == ["after"]


def test_a_tcf_string_that_allows_purpose_one_is_consent(shop: Shop) -> None:
    visitor = shop.visitor(defaultConsent="pending")
    tab = visitor.visit()
    consent = {"standard": "IAB TCF", "version": "2.0", "value": TCF_ALL, "gdprApplies": True}

    tab.alloy("setConsent", saying(consent))
    tab.alloy("sendEvent", PAGE_VIEW)

    assert visitor.cookies()[CONSENT_COOKIE] == "general=in"
    assert len(shop.events()) == 1


def test_case_56_a_consent_that_is_no_consent_is_refused_and_leaves_nothing(shop: Shop) -> None:
    visitor = shop.visitor()
    tab = visitor.visit()

    refusal = tab.refusal("setConsent", saying({**IN, "version": "9.9"}))
    left = visitor.cookies()
    tab.load(HOME)
    tab.alloy("sendEvent", PAGE_VIEW)

    assert "EXEG-0104-422" in refusal
    assert "Allowed Adobe version" in refusal
    assert left == {}
    assert len(shop.events()) == 1


def test_case_60_the_time_that_an_event_waited_for_consent_is_told(shop: Shop) -> None:
    tab = shop.visitor(defaultConsent="pending").visit()

    tab.run("() => { window.waiting = alloy('sendEvent', {xdm: {eventType: 'view'}}) }")
    tab.alloy("setConsent", saying(IN))
    tab.run("() => window.waiting")

    assert tab.exchanges("v1/interact")[0].body["meta"]["queueTimeMillis"] > 0
    assert len(shop.events()) == 1
