from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from mobile_stub import consents, identities, links, sdk
from mobile_stub.device import AuthenticatedState, Device, Identity, Kind, Platform, new_device

NOW = datetime(2026, 7, 1, tzinfo=UTC)
ORG = "972C898555E9F7BC7F000101@AdobeOrg"
ANDROID = new_device(Kind.ANDROID, "com.example.shop", Platform.FCM, 1)
IOS = new_device(Kind.IOS, "com.example.shop", Platform.APNS, 2)
PAGE = "https://www.example.com/"


def test_one_item_is_removed_and_the_others_stay() -> None:
    device = sdk.login(sdk.login(ANDROID, "C-1"), "C-2")

    left = identities.remove(device, "CRMID", "C-1")

    assert [item.id for item in left.identities] == ["C-2"]
    assert identities.remove(left, "Email", "C-2") == left


def test_an_item_that_is_updated_takes_the_new_state() -> None:
    device = sdk.login(ANDROID, "C-1")
    item = Identity("CRMID", "c-1", AuthenticatedState.AMBIGUOUS, primary=True)

    assert sdk.update_identity(device, item).identities == (item,)


@pytest.mark.parametrize(("namespace", "identity_id"), [("", "C-1"), ("CRMID", "")])
def test_an_item_without_namespace_or_id_is_left_out(namespace: str, identity_id: str) -> None:
    item = Identity(namespace, identity_id, AuthenticatedState.AMBIGUOUS)

    assert sdk.update_identity(ANDROID, item) == ANDROID


@pytest.mark.parametrize(("device", "namespace"), [(ANDROID, "GAID"), (IOS, "IDFA")])
def test_the_advertising_id_joins_the_map_and_is_a_consent_while_it_is_there(
    device: Device, namespace: str
) -> None:
    device = consents.with_default(device, "y")

    there, first = identities.set_advertising_identifier(device, "ad-1", NOW)
    changed, second = identities.set_advertising_identifier(there, "ad-2", NOW)
    gone, third = identities.set_advertising_identifier(
        changed, "00000000-0000-0000-0000-000000000000", NOW
    )

    assert sdk.identity_map(changed)[namespace] == [
        {"id": "ad-2", "authenticatedState": "ambiguous", "primary": False}
    ]
    assert namespace not in sdk.identity_map(gone)
    assert second is None
    said = [hit.event["consent"][0]["value"]["adID"] for hit in (first, third) if hit]
    assert said == [{"val": "y", "idType": namespace}, {"val": "n", "idType": namespace}]


def test_a_phone_without_advertising_id_says_nothing_of_it() -> None:
    device = consents.with_default(ANDROID, "y")

    assert identities.set_advertising_identifier(device, "", NOW) == (device, None)


def test_a_link_from_the_app_has_the_documented_form() -> None:
    variables = identities.url_variables(ANDROID, ORG, NOW)

    assert variables == (
        f"adobe_mc=TS%3D1782864000%7CMCMID%3D{ANDROID.ecid}"
        "%7CMCORGID%3D972C898555E9F7BC7F000101%40AdobeOrg"
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (PAGE, f"{PAGE}?"),
        (f"{PAGE}?", f"{PAGE}?"),
        (f"{PAGE}?a=1", f"{PAGE}?a=1&"),
    ],
)
def test_a_link_from_a_page_encodes_the_organisation_twice(url: str, expected: str) -> None:
    link = links.with_identity(url, "4186", ORG, NOW)
    with_fragment = links.with_identity(f"{url}#top", "4186", ORG, NOW)

    assert link.startswith(f"{expected}adobe_mc=TS%3D")
    assert link.endswith("%2540AdobeOrg")
    assert with_fragment == f"{link}#top"


def test_case_52_a_page_takes_the_id_of_a_fresh_link_from_app_or_page() -> None:
    from_app = f"{PAGE}?{identities.url_variables(ANDROID, ORG, NOW)}"
    from_page = links.with_identity(PAGE, ANDROID.ecid, ORG, NOW)
    later = NOW + timedelta(seconds=300)

    assert links.ecid_of(from_app, ORG, later) == ANDROID.ecid
    assert links.ecid_of(from_page, ORG, later) == ANDROID.ecid


@pytest.mark.parametrize(
    "parameter",
    [
        "TS=1782863699|MCMID=4186|MCORGID=" + ORG,
        "TS=now|MCMID=4186|MCORGID=" + ORG,
        "MCMID=4186|MCORGID=" + ORG,
        "TS=1782864000|MCORGID=" + ORG,
        "TS=1782864000|MCMID=4186|MCORGID=OTHER@AdobeOrg",
        "TS=1782864000|MCMID=4186",
        "",
    ],
    ids=["expired", "no number", "no time", "no id", "other org", "no org", "empty"],
)
def test_case_52_any_other_link_brings_none(parameter: str) -> None:
    assert links.ecid_of(f"{PAGE}?adobe_mc={quote(parameter)}", ORG, NOW) is None
    assert links.ecid_of(PAGE, ORG, NOW) is None


def test_of_two_parameters_the_last_one_counts() -> None:
    url = links.with_identity(links.with_identity(PAGE, "1", ORG, NOW), "2", ORG, NOW)

    assert links.ecid_of(url, ORG, NOW) == "2"
