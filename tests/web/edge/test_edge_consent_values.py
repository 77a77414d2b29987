"""Which consents are refused, with which code, and what a TC string says."""

import base64
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.web.edge import tcf
from tests.support.edge_world import DOCUMENTED, World, consent_body
from tests.support.wire import JSON_VALUES

PATH = "/ee/v1/privacy/set-consent"
# of the Web SDK's own test suite
PURPOSE_1_AND_10 = "CO052l-O052l-DGAMBFRACBgAIBAAAAAAIYgEawAQEagAAAA"
NO_PURPOSE_1 = "CO052oTO052oTDGAMBFRACBgAABAAAAAAIYgEawAQEagAAAA"
PARTS = ("general", "collect", "marketing", "personalize", "metadata")
NO_PURPOSE_10 = "CO052kIO052kIDGAMBFRACBgAIAAAAAAAIYgEawAQEagAAAA"


def iab(value: Any, **changes: Any) -> dict[str, Any]:
    return {"standard": "IAB TCF", "version": "2.0", "value": value} | changes


def adobe(version: Any, value: Any) -> dict[str, Any]:
    return {"standard": "Adobe", "version": version, "value": value}


@pytest.mark.parametrize(
    ("item", "code", "words"),
    [
        (iab(PURPOSE_1_AND_10, standard="IAB"), "0104-422", "Allowed standards"),
        (iab(PURPOSE_1_AND_10, version="6.9"), "0104-422", "Allowed IAB TCF version is 2.0"),
        (adobe("3.0", {"general": "in"}), "0104-422", "for standard 'Adobe' at index 1"),
        (iab(""), "0104-422", "malformed"),
        (iab("COnotatcstring"), "0104-422", "malformed"),
        (adobe("1.0", {"general": "maybe"}), "0104-422", "Allowed values of general"),
        (adobe("2.0", {"collect": {"val": "maybe"}}), "0104-422", "collect.val"),
        (adobe("2.0", {"marketing": {"push": {"val": "x"}}}), "0104-422", "marketing.push.val"),
        ({"standard": "IAB TCF", "version": "2.0"}, "0103-400", "$.consent[1].value"),
        (iab(None), "0103-400", "$.consent[1].value"),
        ({"version": "2.0", "value": {}}, "0103-400", "$.consent[1].standard"),
        ({"standard": "Adobe", "value": {}}, "0103-400", "$.consent[1].version"),
        (adobe("1.0", {}), "0103-400", "$.consent[1].value.general"),
        (adobe("2.0", {"collect": {}}), "0103-400", "$.consent[1].value.collect.val"),
        (iab({"a": 1}), "0102-400", "$.consent[1].value"),
        (adobe("1.0", "in"), "0102-400", "$.consent[1].value"),
        (adobe("1.0", {"general": 1}), "0102-400", "$.consent[1].value.general"),
        (adobe("2.0", {"collect": "y"}), "0102-400", "$.consent[1].value.collect"),
        (adobe("2.0", {"marketing": {"push": "y"}}), "0102-400", "$.consent[1].value.marketing"),
        (adobe("2.0", {"metadata": {"time": 5}}), "0102-400", "$.consent[1].value.metadata.time"),
        (adobe(2, {}), "0102-400", "$.consent[1].version"),
        ("in", "0102-400", "$.consent[1]"),
    ],
)
def test_case_56_a_consent_that_cannot_be_right_is_refused_with_its_code(
    item: Any, code: str, words: str
) -> None:
    world = World()
    good = adobe("1.0", {"general": "in"})

    reply = world.browse(consent_body(good, item), path=PATH)

    said = reply.json()
    assert said["type"] == f"https://ns.adobe.com/aep/errors/EXEG-{code}"
    assert reply.status == int(code[-3:])
    assert words in said["detail"] + " ".join(said["report"].get("errors", ()))
    assert world.committer.requests == []


def test_all_that_is_wrong_is_listed_with_its_index() -> None:
    items = (adobe("9", {}), adobe("1.0", {"general": "in"}), iab("x"))

    reply = World().browse(consent_body(*items), path=PATH)

    listed = reply.json()["report"]["errors"]
    assert [each[-1] for each in listed] == ["0", "2"]


@pytest.mark.parametrize("body", [{"consent": None}, {"consent": []}, {"consent": {}}])
def test_a_request_without_a_consent_is_refused(body: dict[str, Any]) -> None:
    assert World().browse(consent_body(**body), path=PATH).status == 400


def test_an_operation_is_update_or_replace() -> None:
    query = {"consent": {"operation": "upsert"}}

    reply = World().browse(consent_body(query=query), path=PATH)

    assert reply.json()["type"].endswith("EXEG-0102-400")


@pytest.mark.parametrize(
    ("text", "gdpr", "collect"),
    [
        (PURPOSE_1_AND_10, {"gdprApplies": True}, "in"),
        (PURPOSE_1_AND_10, {"gdprApplies": True, "gdprContainsPersonalData": True}, "in"),
        (PURPOSE_1_AND_10, {}, "in"),
        (NO_PURPOSE_10, {"gdprApplies": True}, "in"),
        (NO_PURPOSE_1, {"gdprApplies": True}, "out"),
        (NO_PURPOSE_1, {}, "out"),
        (NO_PURPOSE_1, {"gdprApplies": False}, "in"),
    ],
)
def test_purpose_1_decides_where_the_gdpr_applies(
    text: str, gdpr: dict[str, bool], collect: str
) -> None:
    world = World()

    reply = world.browse(consent_body(iab(text, **gdpr)), path=PATH)

    (consent,) = world.committer.requests[0].consents
    (kept,) = consent.preferences["consentStrings"]
    assert reply.status == 200
    assert consent.collect == collect
    assert kept["consentStringValue"] == text


@pytest.mark.parametrize(("choice", "collect"), [("li", "in"), ("VI", "in"), ("dn", "out")])
def test_every_choice_of_adobe_2_has_a_meaning_for_collecting(choice: str, collect: str) -> None:
    world = World()

    world.browse(consent_body(adobe("2.0", {"collect": {"val": choice}})), path=PATH)

    assert world.committer.requests[0].consents[0].collect == collect


def test_what_is_not_provided_says_nothing() -> None:
    world = World()

    world.browse(consent_body(adobe("1.0", {"general": "not_provided"})), path=PATH)

    (consent,) = world.committer.requests[0].consents
    assert (consent.collect, consent.preferences) == (None, {})


@given(st.integers(0, 2**24 - 1), st.integers(0, 2**200 - 1))
def test_the_first_purpose_is_read_wherever_the_other_bits_stand(purposes: int, rest: int) -> None:
    head = 2 << 146 | rest & (1 << 146) - 1
    bits = (head << 24 | purposes) << 88 | rest >> 112
    text = base64.urlsafe_b64encode(bits.to_bytes(33, "big")).decode().rstrip("=")

    assert tcf.allows_storage(f"{text}.IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQ") is (
        purposes >> 23 == 1
    )


@pytest.mark.parametrize(
    "text",
    ["", ".", "C", "CO052", "BO" + NO_PURPOSE_1[2:], "CO05 2", NO_PURPOSE_1[:-1] + "=", "C" * 45],
)
def test_what_is_no_tc_string_is_told_from_one(text: str) -> None:
    with pytest.raises(tcf.MalformedTcStringError):
        tcf.allows_storage(text)


@given(st.text(max_size=80))
def test_any_text_is_a_tc_string_or_malformed(text: str) -> None:
    with suppress(tcf.MalformedTcStringError):
        assert tcf.allows_storage(text) in {True, False}


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "standard": st.sampled_from(["Adobe", "IAB TCF"]) | JSON_VALUES,
                "version": st.sampled_from(["1.0", "2.0"]) | JSON_VALUES,
                "value": JSON_VALUES
                | st.fixed_dictionaries(
                    {},
                    optional=dict.fromkeys(PARTS, JSON_VALUES),
                ),
            },
        ),
        max_size=2,
    ),
    JSON_VALUES,
)
def test_any_consent_has_a_documented_answer(items: Any, identity_map: Any) -> None:
    world = World()

    reply = world.browse(consent_body(consent=items, identityMap=identity_map), path=PATH)

    assert reply.status in DOCUMENTED
    assert (reply.status == 200) == (len(world.committer.requests) == 1)
