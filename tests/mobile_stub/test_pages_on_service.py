"""Pages against the real service: each answer is read, and all is kept."""

from contextlib import ExitStack, closing
from random import Random
from typing import Any
from uuid import uuid4

import pytest
import requests

from mobile_stub import (
    identities,
    sdk,
    service_worker,
    web_consent,
)
from mobile_stub import page as pages
from mobile_stub.device import Kind
from mobile_stub.edge_client import Phone
from mobile_stub.fetch import PageError
from mobile_stub.web_consent import Gate
from tests.mobile_stub.running_service import (
    KINDS,
    RisingClock,
    Running,
    browser_of,
    phone_of,
    send,
)

SITE = "https://www.example.com/"
KEYS = {"p256dh": "B" + "A" * 86, "auth": "A" * 22}


@pytest.mark.parametrize("domain", ["", "edge.example.com"], ids=["third party", "first party"])
def test_case_48_a_page_gets_one_identity_and_keeps_it_over_a_reload(
    service: Running, web: str, opened: ExitStack, domain: str
) -> None:
    browser = opened.enter_context(closing(browser_of(service, web, domain)))

    browser.send()
    first = browser.ecid_of_cookie()
    browser.reload()
    results = browser.send_together([{}, {}, {}])

    assert first is not None
    assert browser.ecid_of_cookie() == browser.page.ecid == first
    assert not [each for each in results if isinstance(each, PageError)]


def test_a_visitor_who_logs_in_is_one_person_with_the_phone(
    service: Running, mobile: str, web: str, opened: ExitStack
) -> None:
    person = f"C-{uuid4().hex}"
    phone = opened.enter_context(closing(phone_of(Kind.ANDROID, service, mobile)))
    browser = opened.enter_context(closing(browser_of(service, web)))

    phone.change(lambda device: sdk.login(device, person))
    send(phone)
    browser.send()
    browser.change(lambda held: pages.log_in(held, person))
    browser.send()

    ids = {each["id"] for each in service.person("CRMID", person)["identities"]}
    assert ids == {person, phone.device.ecid, browser.ecid_of_cookie()}


@pytest.mark.parametrize(
    ("consent", "gate"),
    [
        (web_consent.adobe("in"), Gate.IN),
        (web_consent.adobe("out"), Gate.OUT),
        (web_consent.preferences("y"), Gate.IN),
        (web_consent.preferences("n"), Gate.OUT),
    ],
)
@pytest.mark.parametrize("domain", ["", "edge.example.com"], ids=["third party", "first party"])
def test_case_55_a_visitors_choice_opens_or_shuts_the_page(
    service: Running, web: str, opened: ExitStack, domain: str, consent: Any, gate: Gate
) -> None:
    config = {"default_consent": Gate.PENDING}
    browser = opened.enter_context(closing(browser_of(service, web, domain, **config)))
    name = f"waited.{uuid4().hex}"

    browser.send(name)
    browser.set_consent(consent)
    browser.reload()

    assert browser.gate is gate
    assert browser.ecid_of_cookie() is not None
    assert (name in service.event_types(web)) is (gate is Gate.IN)


@pytest.mark.parametrize(
    ("consent", "code"),
    [
        ({"standard": "Other", "version": "1.0", "value": {"general": "in"}}, "0104-422"),
        ({"standard": "Adobe", "version": "9.0", "value": {"general": "in"}}, "0104-422"),
        ({"standard": "Adobe", "version": "1.0"}, "0103-400"),
        ({"standard": "IAB TCF", "version": "2.0", "value": 7}, "0102-400"),
    ],
)
def test_case_56_a_wrong_consent_is_refused_and_the_default_counts(
    service: Running, web: str, opened: ExitStack, consent: Any, code: str
) -> None:
    browser = opened.enter_context(closing(browser_of(service, web)))

    with pytest.raises(PageError, match=code):
        browser.set_consent(consent)

    assert browser.gate is Gate.IN


def test_case_52_an_identity_follows_a_link_to_another_site(
    service: Running, web: str, opened: ExitStack
) -> None:
    browser = opened.enter_context(closing(browser_of(service, web)))
    link = browser.link_to("https://www.example.net/landing")
    ecid = browser.ecid_of_cookie()

    browser.open(link)
    browser.send()

    assert ecid is not None
    assert f"MCMID%3D{ecid}" in link
    assert browser.ecid_of_cookie() == ecid


@pytest.mark.parametrize("phone", KINDS, indirect=True)
def test_case_52_an_identity_follows_a_link_from_the_app(
    service: Running, web: str, opened: ExitStack, phone: Phone
) -> None:
    browser = opened.enter_context(closing(browser_of(service, web)))
    org, now = browser.page.org_id, RisingClock()()
    send(phone)

    browser.open(f"{SITE}?{identities.url_variables(phone.device, org, now)}")
    browser.send()

    assert browser.ecid_of_cookie() == phone.device.ecid


def test_case_53_a_first_party_id_gives_one_identity_and_a_cookie_wins_over_it(
    service: Running, web: str, opened: ExitStack
) -> None:
    first, second, known = (
        opened.enter_context(closing(browser_of(service, web))) for _ in range(3)
    )
    named = {"identityMap": {"FPID": [{"id": str(uuid4())}]}}
    known.send()
    before = known.ecid_of_cookie()

    for browser in (first, second, known):
        browser.send(xdm=named)

    assert first.ecid_of_cookie() == second.ecid_of_cookie() != before
    assert known.ecid_of_cookie() == before


def test_case_59_a_beacon_of_a_known_visitor_is_kept(
    service: Running, web: str, opened: ExitStack
) -> None:
    browser = opened.enter_context(closing(browser_of(service, web)))
    name = f"left.{uuid4().hex}"
    browser.send()

    sent = browser.beacon(name)

    assert sent is not None
    assert name in service.event_types(web)


def test_case_54_a_bad_datastream_rejects_with_the_servers_text(
    service: Running, opened: ExitStack
) -> None:
    browser = opened.enter_context(closing(browser_of(service, "BOGUS")))

    with pytest.raises(PageError, match="EXEG-0003-400"):
        browser.send()


def test_case_58_a_datastream_override_goes_to_the_other_datastream(
    service: Running, web: str, opened: ExitStack
) -> None:
    other = service.datastream("web")
    browser = opened.enter_context(closing(browser_of(service, web)))
    name = f"other.{uuid4().hex}"

    browser.send(name, overrides={"datastreamId": other})

    assert service.event_types(other) == [name]
    assert name not in service.event_types(web)


def test_a_web_subscription_is_a_token_of_the_person_and_its_clicks_are_tracked(
    service: Running, web: str, opened: ExitStack
) -> None:
    config = {"app_id": "shop-web", "tracking_dataset": "d-1"}
    browser = opened.enter_context(closing(browser_of(service, web, **config)))
    person = f"C-{uuid4().hex}"
    browser.change(lambda held: pages.log_in(held, person))
    browser.send()

    browser.subscribe(f"https://push.example.net/send/{uuid4().hex}", KEYS)
    shown = service_worker.show(
        browser.worker, b'{"web": {"title": "t", "_xdm": {"mixins": {"_experience": {}}}}}'
    )
    assert shown is not None
    took = service_worker.click(browser.worker, shown, Random(1), RisingClock()())

    (token,) = service.person("CRMID", person)["pushTokens"]
    assert (token["platform"], token["appId"], token["owned"]) == ("web", "shop-web", True)
    assert took
    assert service_worker.OPENED in service.event_types(web)


def test_a_preflight_names_the_origin(service: Running, web: str) -> None:
    answer = requests.options(
        f"{service.url}/ee/v1/interact?configId={web}", headers={"Origin": SITE[:-1]}, timeout=5
    )

    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == SITE[:-1]
