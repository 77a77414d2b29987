"""One visitor on two sites: the ECID travels in a link."""

from tests.browser.conftest import Shop
from tests.browser.stored import key_of
from tests.browser.visitors import HOME, IDENTITY_COOKIE, PAGE_VIEW

OTHER_SITE = "https://www.brand.test/landing?from=shop#top"


def test_case_52_a_link_takes_the_ecid_to_another_site(shop: Shop) -> None:
    visitor = shop.visitor()
    tab = visitor.visit()
    tab.alloy("sendEvent", PAGE_VIEW)
    link = tab.alloy("appendIdentityToUrl", {"url": OTHER_SITE})["url"]
    ecid = tab.ecid()

    landing = visitor.visit(link)
    landing.alloy("sendEvent", PAGE_VIEW)

    (landed,) = landing.exchanges("v1/interact")
    assert landed.cookies == {}
    assert landed.body["xdm"]["identityMap"] == {"ECID": [{"id": ecid}]}
    assert landing.ecid() == ecid
    assert {each.identity_id for each in shop.events()} == {key_of("ECID", ecid)}
    assert {each["domain"] for each in visitor.context.cookies()} == {".shop.test", ".brand.test"}


def test_case_52_the_cookie_that_is_there_wins_over_a_link(shop: Shop) -> None:
    somebody, other = shop.visitor(), shop.visitor()
    there = somebody.visit()
    there.alloy("sendEvent", PAGE_VIEW)
    link = there.alloy("appendIdentityToUrl", {"url": HOME})["url"]
    tab = other.visit()
    tab.alloy("sendEvent", PAGE_VIEW)
    own = tab.ecid()

    tab.load(link)
    tab.alloy("sendEvent", PAGE_VIEW)

    assert own != there.ecid()
    assert tab.ecid() == own
    assert tab.exchanges()[-1].handles("identity:result")[0]["id"] == own


def test_case_52_a_link_of_another_organisation_is_not_followed(shop: Shop) -> None:
    tab = shop.visitor().visit()
    tab.alloy("sendEvent", PAGE_VIEW)
    link = tab.alloy("appendIdentityToUrl", {"url": OTHER_SITE})["url"]

    landing = shop.visitor().visit(link.replace("EDGEPOST", "OTHERORG"))
    landing.alloy("sendEvent", PAGE_VIEW)

    assert "xdm" not in landing.exchanges()[0].body
    assert landing.ecid() != tab.ecid()


def test_a_link_made_before_any_event_acquires_the_ecid_first(shop: Shop) -> None:
    visitor = shop.visitor()
    tab = visitor.visit()

    link = tab.alloy("appendIdentityToUrl", {"url": OTHER_SITE})["url"]
    landing = visitor.visit(link)

    assert [each.action for each in tab.exchanges()] == ["v1/identity/acquire"]
    assert landing.ecid() == tab.ecid()
    assert landing.exchanges()[0].body["xdm"]["identityMap"] == {"ECID": [{"id": tab.ecid()}]}
    assert IDENTITY_COOKIE in visitor.cookies()
