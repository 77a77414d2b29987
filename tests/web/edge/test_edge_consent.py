import json
from typing import Any

import pytest

from mobile_stub import answers
from mobile_stub.device import Kind
from service.identity.identity_map import ClaimedIdentity
from service.profiles.incoming import IncomingConsent
from service.web.edge.identity_cookie import cookie_name, decode_cookie, encode_cookie
from tests.support.clocks import START
from tests.support.edge_documents import ECID, MOBILE_SDK, OTHER_ECID, STREAMING
from tests.support.edge_world import World, consent_body
from tests.support.wire import MOBILE_ID, ORG, Reply, datastream, edge_query

PATH = "/ee/v1/privacy/set-consent"
CONSENT_COOKIE = cookie_name(ORG, "consent")
EARLIER = "2026-07-01T09:59:58.000Z"


def ecid_map(ecid: str = ECID) -> dict[str, Any]:
    return {"ECID": [{"id": ecid, "authenticatedState": "ambiguous", "primary": False}]}


def adobe_2(**value: Any) -> dict[str, Any]:
    return {"standard": "Adobe", "version": "2.0", "value": value}


def phone_consent(**value: Any) -> bytes:
    document = {
        "meta": {"konductorConfig": {"streaming": STREAMING}},
        "query": {"consent": {"operation": "update"}},
        "identityMap": ecid_map(),
        "consent": [adobe_2(metadata={"time": EARLIER}, **value)],
    }
    return json.dumps(document).encode()


def given(world: World) -> IncomingConsent:
    (request,) = world.committer.requests
    (consent,) = request.consents
    assert request.events == ()
    return consent


def stored(reply: Reply) -> dict[str, dict[str, Any]]:
    handles = [each for each in reply.json()["handle"] if each["type"] == "state:store"]
    return {entry["key"]: entry for each in handles for entry in each["payload"]}


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(("choice", "collect"), [("n", "out"), ("y", "in"), ("p", "pending")])
def test_case_25_a_phones_choice_is_kept_and_comes_back_as_its_preferences(
    kind: Kind, choice: str, collect: str
) -> None:
    world = World()
    path = "/ee/or2/v1/privacy/set-consent"

    reply = world.post(phone_consent(collect={"val": choice}), path=path)

    consent = given(world)
    (envelope,) = answers.fragments_of(kind, reply.body)
    (handle,) = envelope["handle"]
    told = {"collect": {"val": choice}, "metadata": {"time": EARLIER}}
    assert reply.status == 200
    assert (handle["type"], handle["payload"]) == ("consent:preferences", [told])
    assert consent.identities == (ClaimedIdentity("ECID", ECID),)
    assert (consent.collect, consent.replaces) == (collect, False)
    assert consent.preferences == told
    assert (START - consent.at).total_seconds() == 2


def test_case_26_a_consent_is_answered_whatever_the_datastreams_default_is() -> None:
    world = World(datastream(default_consent="pending"))

    reply = world.post(phone_consent(collect={"val": "y"}), path=PATH)

    assert reply.status == 200
    assert given(world).collect == "in"


def test_a_choice_beyond_collecting_leaves_collecting_alone() -> None:
    world = World()

    reply = world.post(phone_consent(adID={"val": "y", "idType": "GAID"}), path=PATH)

    assert reply.status == 200
    assert given(world).collect is None
    assert given(world).preferences["adID"] == {"val": "y", "idType": "GAID"}


def test_the_device_stands_before_the_people_who_consent() -> None:
    world = World()
    people = {"CRMID": [{"id": "C-1", "authenticatedState": "authenticated"}]}

    world.post(consent_body(identityMap=people | ecid_map()), path=PATH)

    assert [each.namespace for each in given(world).identities] == ["ECID", "CRMID"]


def test_a_choice_from_a_clock_that_is_ahead_counts_from_now() -> None:
    world = World()
    future = adobe_2(collect={"val": "y"}, metadata={"time": "2031-01-01T00:00:00Z"})

    world.post(consent_body(future, identityMap=ecid_map()), path=PATH)

    assert given(world).at == START


@pytest.mark.parametrize(
    ("item", "general"),
    [
        ({"standard": "Adobe", "version": "1.0", "value": {"general": "in"}}, "in"),
        ({"standard": "Adobe", "version": "1.0", "value": {"general": "out"}}, "out"),
        (adobe_2(collect={"val": "y"}), "in"),
        (adobe_2(collect={"val": "n"}), "out"),
    ],
)
def test_case_55_a_new_browser_gets_its_consent_and_its_identity_to_keep(
    item: dict[str, Any], general: str
) -> None:
    world = World()

    reply = world.browse(consent_body(item), path=PATH)

    consent = given(world)
    (ecid,) = consent.identities
    entries = stored(reply)
    decoded = decode_cookie(entries[cookie_name(ORG)]["value"])
    assert reply.json()["handle"][0]["payload"][0]["id"] == ecid.value
    assert entries[CONSENT_COOKIE]["value"] == f"general={general}"
    assert entries[CONSENT_COOKIE]["maxAge"] == 15_552_000
    assert decoded is not None
    assert decoded.ecid == ecid.value
    assert consent.collect == general


def test_a_browser_with_a_fresh_identity_cookie_is_given_its_consent_only() -> None:
    world = World()
    cookie = f"{cookie_name(ORG)}={encode_cookie(ECID, START, is_new=False)}"

    reply = world.browse(consent_body(), path=PATH, headers={"Origin": "x", "Cookie": cookie})

    assert set(stored(reply)) == {CONSENT_COOKIE}
    assert given(world).identities == (ClaimedIdentity("ECID", ECID),)


def test_a_browsers_consent_without_an_operation_replaces_and_with_one_may_add() -> None:
    item = adobe_2(marketing={"push": {"val": "n"}})
    replaced, added, general = World(), World(), World()
    update = {"identity": {"fetch": ["ECID"]}, "consent": {"operation": "update"}}

    replaced.browse(consent_body(item), path=PATH)
    added.browse(consent_body(item, query=update), path=PATH)
    general.browse(consent_body(), path=PATH)

    assert given(replaced).replaces
    assert not given(added).replaces
    assert not given(general).replaces, "it speaks of collecting only"


def test_a_pending_consent_takes_the_cookie_away() -> None:
    item = adobe_2(collect={"val": "p"})

    reply = World().browse(consent_body(item), path=PATH)

    assert stored(reply)[CONSENT_COOKIE]["maxAge"] == 0


@pytest.mark.parametrize(
    ("cookie", "default", "general"),
    [
        ("", "in", "general=in"),
        ("", "out", "general=out"),
        ("general=out", "in", "general=out"),
        ("general=in", "out", "general=in"),
        ("", "pending", None),
    ],
)
def test_a_consent_that_leaves_collecting_alone_keeps_the_page_from_waiting_for_ever(
    cookie: str, default: str, general: str | None
) -> None:
    world = World(datastream("web", default_consent=default))
    headers = {"Origin": "https://a.example", "Cookie": f"{CONSENT_COOKIE}={cookie}"}

    reply = world.browse(consent_body(adobe_2(share={"val": "n"})), path=PATH, headers=headers)

    entry = stored(reply).get(CONSENT_COOKIE)
    assert (entry and entry["value"]) == general


def test_of_several_consents_the_strictest_counts_for_collecting() -> None:
    world = World()
    opt_out = {"standard": "Adobe", "version": "1.0", "value": {"general": "out"}}
    wide = adobe_2(collect={"val": "y"}, marketing={"push": {"val": "y"}})

    reply = world.browse(consent_body(opt_out, wide), path=PATH)

    assert given(world).collect == "out"
    assert given(world).preferences["collect"] == {"val": "n"}
    assert given(world).preferences["marketing"] == {"push": {"val": "y"}}
    assert stored(reply)[CONSENT_COOKIE]["value"] == "general=out"


def test_a_rokus_consent_names_its_device_in_the_xdm_and_is_not_framed() -> None:
    details = {"name": f"{MOBILE_SDK}roku", "environment": "app", "version": "1.1.0"}
    world = World()
    body = consent_body(
        adobe_2(collect={"val": "n"}),
        xdm={"identityMap": ecid_map(), "implementationDetails": details},
        meta={},
        query={"consent": {"operation": "update"}},
    )

    reply = world.post(body, path=PATH)

    assert [each["type"] for each in reply.json()["handle"]] == ["consent:preferences"]
    assert given(world).identities == (ClaimedIdentity("ECID", ECID),)


def test_a_consent_of_nobody_is_refused() -> None:
    body = consent_body(query={}, meta={})
    junk = consent_body(query={}, meta={}, identityMap={"CRMID": [{"id": "null"}]})
    world = World()

    nobody, junk_only = (
        world.post(each, path=PATH, query=edge_query(MOBILE_ID)) for each in (body, junk)
    )

    assert nobody.json()["type"].endswith("EXEG-0103-400")
    assert junk_only.json()["type"].endswith("EXEG-0305-400")
    assert world.committer.requests == []


def test_a_consent_may_name_another_device_than_the_top_level_map_only_once() -> None:
    world = World()
    both = {"identityMap": ecid_map(ECID)}

    world.browse(consent_body(identityMap=ecid_map(OTHER_ECID), xdm=both), path=PATH)

    assert [each.namespace for each in given(world).identities] == ["ECID"]


def test_a_consent_carries_no_events() -> None:
    world = World()

    reply = world.browse(consent_body(events=[{"xdm": {"eventType": "a"}}]), path=PATH)

    assert reply.json()["type"].endswith("EXEG-0102-400")
    assert world.committer.requests == []


@pytest.mark.parametrize(("sent", "kept"), [("N", "n"), ("DN", "dn"), ("P", "p"), ("y", "y")])
def test_a_choice_in_capitals_is_kept_as_it_is_acted_on(sent: str, kept: str) -> None:
    world = World()

    choice = {"collect": {"val": sent}, "marketing": {"push": {"val": sent}}}
    world.post(phone_consent(**choice), path=PATH)

    said = given(world).preferences
    assert said["collect"] == {"val": kept}
    assert said["marketing"] == {"push": {"val": kept}}


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({f"u{each}": 1 for each in range(64)}, "The preferences hold 65 values"),
        ({"note": "x" * 8200}, "The preferences take more than 8192 bytes"),
        ({"k" * 4000: {"a": 1, "b": 2, "c": 3}}, "The preferences take more than 8192 bytes"),
    ],
)
def test_preferences_that_nobody_has_are_refused_with_what_is_wrong(
    more: dict[str, Any], problem: str
) -> None:
    world = World()

    reply = world.browse(consent_body(adobe_2(marketing={"push": {"val": "n"}}, **more)), path=PATH)

    assert (reply.status, reply.json()["type"][-8:]) == (422, "0104-422")
    assert reply.json()["report"]["errors"][0].startswith(problem)
    assert world.committer.requests == []


def test_as_many_preferences_as_are_kept_are_taken() -> None:
    world = World()

    choice = {f"u{each}": "x" * 100 for each in range(63)}
    reply = world.browse(consent_body(adobe_2(collect={"val": "y"}, **choice)), path=PATH)

    assert reply.status == 200
