"""Consent on a page: what waits, what leaves, and what the answer's cookie decides."""

import pytest

from mobile_stub import web_consent
from mobile_stub.fetch import PageError
from mobile_stub.web_consent import Gate
from mobile_stub.web_events import DeclinedError
from tests.mobile_stub.pages import ORG_PREFIX, OpenPage, known_as, stored
from tests.mobile_stub.phones import VirtualTime
from tests.mobile_stub.scripted_edge import ScriptedEdge, for_pages

IN = web_consent.adobe("in")
OUT = web_consent.adobe("out")


def agreed(value: str = "general=in") -> tuple[dict[str, object], ...]:
    return (*known_as(), stored("consent", value))


def test_a_consent_has_the_documented_shape(edge: ScriptedEdge, open_page: OpenPage) -> None:
    edge.replies = [for_pages(200, *agreed())]

    open_page().set_consent(
        web_consent.preferences("y", personalize={"content": {"val": "n"}}),
        identity_map={"CRMID": [{"id": "C-1"}]},
    )

    (request,) = edge.requests
    assert request.path == "/ee/v1/privacy/set-consent"
    assert edge.bodies == [
        {
            "meta": {"state": {"domain": "example.com", "cookiesEnabled": True}},
            "query": {"identity": {"fetch": ["ECID"]}},
            "consent": [
                {
                    "standard": "Adobe",
                    "version": "2.0",
                    "value": {"collect": {"val": "y"}, "personalize": {"content": {"val": "n"}}},
                }
            ],
            "identityMap": {"CRMID": [{"id": "C-1"}]},
        }
    ]


def test_case_55_events_wait_for_consent_and_follow_it(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(200, *agreed())]
    browser = open_page(default_consent=Gate.PENDING)

    early = [browser.send(path="/1"), browser.send(path="/2")]
    browser.set_consent(IN)

    assert early == [None, None]
    assert [request.path.rpartition("/")[2] for request in edge.requests] == [
        "set-consent",
        "interact",
        "interact",
    ]
    assert browser.gate is Gate.IN
    assert browser.waiting_count == 0


def test_case_55_events_are_forgotten_when_the_answer_is_no(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(200, *agreed("general=out"))]
    browser = open_page(default_consent=Gate.PENDING)

    browser.send()
    browser.set_consent(OUT)

    assert len(edge.requests) == 1
    with pytest.raises(DeclinedError):
        browser.send()


@pytest.mark.parametrize("default", [Gate.IN, Gate.PENDING])
def test_case_56_a_refused_consent_falls_back_to_the_default(
    edge: ScriptedEdge, open_page: OpenPage, default: Gate
) -> None:
    edge.replies = [for_pages(422)]
    browser = open_page(default_consent=default)

    with pytest.raises(PageError):
        browser.set_consent(web_consent.iab("junk"))
    sent = browser.send()

    assert browser.gate is default
    assert (sent is None) is (default is Gate.PENDING)


def test_case_60_what_waited_says_how_long(
    edge: ScriptedEdge, open_page: OpenPage, time: VirtualTime
) -> None:
    edge.replies = [for_pages(200, *agreed())]
    browser = open_page(default_consent=Gate.PENDING)

    browser.send()
    time.wait(2.5)
    browser.set_consent(IN)
    browser.send()

    queued = [body["meta"].get("queueTimeMillis") for body in edge.bodies]
    assert queued == [None, 2500, 0]
    assert edge.bodies[1]["events"][0]["xdm"]["timestamp"] == "2026-07-01T00:00:00.000Z"


def test_case_60_it_never_says_more_than_five_minutes(
    edge: ScriptedEdge, open_page: OpenPage, time: VirtualTime
) -> None:
    edge.replies = [for_pages(200, *agreed())]
    browser = open_page(default_consent=Gate.PENDING)

    browser.send()
    time.wait(3600)
    browser.set_consent(IN)

    assert edge.bodies[1]["meta"]["queueTimeMillis"] == 300_000


def test_an_answer_without_the_cookie_leaves_the_page_waiting_for_ever(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(200, *known_as())]
    browser = open_page()

    browser.set_consent(IN)

    assert browser.gate is Gate.PENDING
    assert browser.send() is None
    assert len(edge.requests) == 1


def test_the_same_consent_is_not_sent_twice_while_both_cookies_live(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.usual = for_pages(200, *agreed())
    browser = open_page()

    sent = [browser.set_consent(IN), browser.set_consent(IN), browser.set_consent(OUT)]
    browser.reload()
    sent.append(browser.set_consent(OUT))

    assert [each is not None for each in sent] == [True, False, True, False]


def test_a_page_without_its_identity_forgets_the_consent_too(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.usual = for_pages(200, *agreed("general=out"))
    browser = open_page()
    browser.set_consent(OUT)

    browser.jar.remove(f"{ORG_PREFIX}identity", "www.example.com")
    browser.reload()

    assert browser.gate is Gate.IN
    assert browser.set_consent(OUT) is not None


def test_a_page_that_is_loaded_again_knows_what_was_chosen(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    edge.replies = [for_pages(200, *agreed("general=out"))]
    browser = open_page()
    browser.set_consent(OUT)

    browser.reload()

    assert browser.gate is Gate.OUT


def test_a_cookie_that_comes_with_a_refusal_counts(edge: ScriptedEdge, open_page: OpenPage) -> None:
    cookie = f"{ORG_PREFIX}consent=general=out; Domain=example.com; Secure; SameSite=None"
    edge.replies = [for_pages(403, headers=(f"Set-Cookie: {cookie}",))]
    browser = open_page(edge_domain="edge.example.com")

    with pytest.raises(PageError):
        browser.send()

    assert browser.gate is Gate.OUT


def test_nothing_is_told_of_a_visitor_who_has_not_agreed(
    edge: ScriptedEdge, open_page: OpenPage
) -> None:
    browser = open_page(default_consent=Gate.PENDING)

    assert browser.link_to("https://www.example.net/") == "https://www.example.net/"
    with pytest.raises(DeclinedError):
        browser.get_identity()
    assert browser.beacon() is None
    assert edge.requests == []


@pytest.mark.parametrize(
    ("cookie", "gate"),
    [
        ("general=in", Gate.IN),
        ("other=out;general=out", Gate.OUT),
        ("general=pending", None),
        ("", None),
        (None, None),
    ],
)
def test_only_in_and_out_are_read_from_the_cookie(cookie: str | None, gate: Gate | None) -> None:
    assert web_consent.gate_of(cookie) is gate
