from datetime import timedelta
from typing import Any

import pytest

from service.identity.identity_map import ClaimedIdentity
from service.web.edge.clients import ClientKind
from service.web.edge.identity_cookie import cookie_name, encode_cookie
from tests.support.clocks import START
from tests.support.edge_documents import ECID, OTHER_ECID, mobile, one_event, parsed, web
from tests.support.wire import ORG


@pytest.mark.parametrize(
    ("document", "platform", "origin", "kind"),
    [
        (mobile(), "mobile", None, ClientKind.MOBILE),
        (mobile(), "web", None, ClientKind.MOBILE),
        (web(), "web", None, ClientKind.WEB),
        (web(), "mobile", None, ClientKind.WEB),
        (one_event(xdm={}), "mobile", "https://a.example", ClientKind.WEB),
        (one_event(xdm={}), "mobile", None, ClientKind.SERVER),
        (
            one_event(
                xdm={"implementationDetails": {"name": "https://ns.adobe.com/experience/alloy"}}
            ),
            "mobile",
            None,
            ClientKind.WEB,
        ),
        (
            one_event(xdm={}, data={})
            | {
                "xdm": {
                    "implementationDetails": {
                        "name": "https://ns.adobe.com/experience/mobilesdk/roku"
                    }
                }
            },
            "mobile",
            None,
            ClientKind.ROKU,
        ),
    ],
)
def test_the_client_is_known_by_what_it_sends(
    document: dict[str, Any], platform: str, origin: str | None, kind: ClientKind
) -> None:
    assert parsed(document, platform=platform, origin=origin).client is kind


def test_a_browser_without_identity_gets_one_that_its_retry_gets_again() -> None:
    document = web()

    first, again, other = (
        parsed(document, platform="web", request_id=name) for name in ("r-1", "r-1", "r-2")
    )

    assert first.device.is_new
    assert first.device.is_cookie_due
    assert first.device == again.device
    assert first.device.ecid != other.device.ecid
    assert first.incoming.events[0].identities == (
        ClaimedIdentity("ECID", first.device.ecid or ""),
    )


def test_nothing_is_minted_for_who_does_not_ask() -> None:
    request = parsed(one_event(xdm={"eventType": "a"}), platform="web")

    assert request.device.ecid is None
    assert request.incoming.events[0].identities == ()


@pytest.mark.parametrize("place", ["state", "header"])
def test_the_identity_cookie_names_the_device(place: str) -> None:
    value = encode_cookie(ECID, START - timedelta(hours=1), is_new=False)
    header = f"a=b; {cookie_name(ORG)}={value}; c=d" if place == "header" else ""

    request = parsed(
        web(cookie=value if place == "state" else None), platform="web", cookie_header=header
    )

    assert request.device.ecid == ECID
    assert not request.device.is_cookie_due
    assert request.incoming.events[0].identities == (ClaimedIdentity("ECID", ECID),)


@pytest.mark.parametrize(
    ("age", "is_due"),
    [(timedelta(hours=23), False), (timedelta(hours=24), False), (timedelta(hours=25), True)],
)
def test_the_cookie_is_written_again_after_a_day(age: timedelta, *, is_due: bool) -> None:
    value = encode_cookie(ECID, START - age, is_new=False)

    assert parsed(web(cookie=value), platform="web").device.is_cookie_due is is_due


def test_a_cookie_outranks_the_ecid_that_a_link_brought() -> None:
    value = encode_cookie(ECID, START, is_new=False)
    migrated = {"xdm": {"identityMap": {"ECID": [{"id": OTHER_ECID}]}}}

    (event,) = parsed(web(cookie=value) | migrated, platform="web").incoming.events

    assert event.identities == (ClaimedIdentity("ECID", ECID),)
    assert [(each.value, each.reason) for each in event.refused] == [
        (OTHER_ECID, "outrankedByCookie")
    ]


def test_without_a_cookie_the_ecid_of_a_link_becomes_the_browsers() -> None:
    migrated = {"xdm": {"identityMap": {"ECID": [{"id": OTHER_ECID}]}}}

    device = parsed(web() | migrated, platform="web").device

    assert (device.ecid, device.is_new, device.is_cookie_due) == (OTHER_ECID, False, True)


@pytest.mark.parametrize("cookie", ["junk", "CgNhYmM=", ""])
def test_an_unreadable_cookie_is_as_good_as_none(cookie: str) -> None:
    assert parsed(web(cookie=cookie), platform="web").device.is_new


def test_one_first_party_id_is_one_ecid_and_another_is_another() -> None:
    def device_of(fpid: str, request_id: str) -> str | None:
        document = web() | {"xdm": {"identityMap": {"FPID": [{"id": fpid}]}}}
        return parsed(document, platform="web", request_id=request_id).device.ecid

    first, again, other = device_of("f-1", "r-1"), device_of("f-1", "r-2"), device_of("f-2", "r-1")

    assert first == again
    assert first != other


def test_a_junk_first_party_id_does_not_make_strangers_one() -> None:
    first, second = (
        parsed(web(), platform="web", request_id=name, cookie_header="FPID=undefined").device.ecid
        for name in ("r-1", "r-2")
    )

    assert first != second


def test_an_event_that_names_its_own_ecid_keeps_it() -> None:
    own = {"ECID": [{"id": OTHER_ECID}]}
    events = [{"xdm": {"identityMap": own}}, {"xdm": {}}]
    value = encode_cookie(ECID, START, is_new=False)

    first, second = parsed(web(cookie=value) | {"events": events}, platform="web").incoming.events

    assert first.identities == (ClaimedIdentity("ECID", OTHER_ECID),)
    assert second.identities == (ClaimedIdentity("ECID", ECID),)


def test_a_phone_keeps_both_ecids_of_the_old_and_the_new_extension() -> None:
    document = mobile()
    document["xdm"]["identityMap"]["ECID"].append({"id": OTHER_ECID})

    request = parsed(document)

    assert request.device.ecid == ECID
    assert [each.value for each in request.incoming.events[0].identities] == [ECID, OTHER_ECID]


def test_a_minted_ecid_has_38_digits() -> None:
    ecid = parsed(web(), platform="web").device.ecid

    assert ecid is not None
    assert len(ecid) == 38
    assert ecid.isdigit()
