"""Code to paste says what the configuration says, and no name can end its literals."""

import json
import re
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.catalog.datastreams import DefaultConsent
from service.catalog.mobile_settings import Extension
from service.catalog.sdk_configuration import configuration
from service.catalog.sdk_snippets import (
    Page,
    alloy,
    bundled,
    javascript_text,
    kotlin,
    kotlin_text,
    swift,
    swift_text,
)
from tests.catalog.test_sdk_configuration import APP, DATASTREAM

PAGE = Page(DATASTREAM, "EDGEPOST@AdobeOrg", "edge.mysite.com", DefaultConsent.PENDING)
ODD = [
    'Ada\'s "shop"',
    "back\\slash \\",
    "$price ${System.exit(1)}",
    "\\(exit(1))",
    "two\nlines\r\n\u2028\u2029\x0b\x0c\x85",
    "</script><!--<script>",
    "\u202ereversed\u200b",
    "\U0001f6cd️ café",
    "*/ /* //",
    "\ud800",
]
_LINE_ENDS = re.compile("[\n\r\u2028\u2029\x0b\x0c\x85]")


def _of_kotlin(literal: str) -> str:
    """Read a Kotlin literal as its grammar says; fail where it would end or begin a template."""
    body = re.fullmatch(r'"((?:[^"\\$\n\r]|\\[\\"$nrt]|\\u[0-9A-F]{4})*)"', literal)
    assert body is not None, literal
    return str(json.loads('"' + body[1].replace("\\$", "$") + '"'))


def _of_swift(literal: str) -> str:
    body = re.fullmatch(r'"((?:[^"\\\n\r]|\\[\\"nrt]|\\u\{[0-9A-F]{1,8}\})*)"', literal)
    assert body is not None, literal
    plain = {"\\\\": "\\", '\\"': '"', "\\n": "\n", "\\r": "\r", "\\t": "\t"}
    return re.sub(
        r"\\(?:u\{([0-9A-F]+)\}|.)",
        lambda found: chr(int(found[1], 16)) if found[1] else plain[found[0]],
        body[1],
    )


def _of_javascript(literal: str) -> str:
    assert "<" not in literal
    return str(json.loads(literal))


@given(st.text() | st.sampled_from(ODD))
def test_a_literal_holds_any_text_and_nothing_ends_it(text: str) -> None:
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    assert _of_kotlin(kotlin_text(whole)) == whole
    assert _of_swift(swift_text(whole)) == whole
    assert _of_javascript(javascript_text(whole)) == whole


@pytest.mark.parametrize("literal", [kotlin_text, swift_text, javascript_text])
def test_a_literal_shows_nothing_that_cannot_be_seen(literal: Any) -> None:
    for text in ODD:
        assert literal(text).isprintable()


@pytest.mark.parametrize("title", ODD)
def test_a_name_changes_the_comment_and_no_code(title: str) -> None:
    for odd, plain in (
        (kotlin(title, APP), kotlin("Shop", APP)),
        (swift(title, APP), swift("Shop", APP)),
        (alloy(title, PAGE), alloy("Shop", PAGE)),
    ):
        first, _, code = odd.partition("\n")
        assert code == plain.partition("\n")[2]
        assert first.startswith("// ")
        assert not _LINE_ENDS.search(first)
        assert "<" not in first


def test_an_android_app_is_told_its_configuration() -> None:
    code = kotlin("Shop", APP)

    pairs = dict(re.findall(r'^ {8}("[\w.]+") to (.*),$', code, re.MULTILINE))
    read = {_of_kotlin(key): value for key, value in pairs.items()}
    consent = read.pop("consent.default")
    assert {key: json.loads(value) for key, value in read.items()} == {
        key: value for key, value in configuration(APP).items() if key != "consent.default"
    }
    assert consent == 'mapOf("consents" to mapOf("collect" to mapOf("val" to "y")))'
    assert _balanced(code)
    assert "com.adobe.marketing.mobile.MobileCore.updateConfiguration(" in code


def test_an_ios_app_is_told_its_configuration() -> None:
    code = swift("Shop", APP)

    pairs = dict(re.findall(r'^ {4}("[\w.]+"): (.*),$', code, re.MULTILINE))
    read = {_of_swift(key): value for key, value in pairs.items()}
    consent = read.pop("consent.default")
    assert {key: json.loads(value) for key, value in read.items()} == {
        key: value for key, value in configuration(APP).items() if key != "consent.default"
    }
    assert consent == '["consents": ["collect": ["val": "y"]]]'
    assert _balanced(code)
    assert "MobileCore.updateConfigurationWith(configDict: [" in code


def test_only_the_chosen_extensions_are_registered() -> None:
    app = replace(APP, extensions=(Extension.CORE, Extension.EDGE_IDENTITY, Extension.EDGE))

    android, ios = kotlin("Shop", app), swift("Shop", app)

    assert re.findall(r"(\S+)\.EXTENSION", android) == [
        "com.adobe.marketing.mobile.edge.identity.Identity",
        "com.adobe.marketing.mobile.Edge",
    ]
    assert re.findall(r"import (\w+)", ios) == ["AEPCore", "AEPEdgeIdentity", "AEPEdge"]
    assert re.findall(r"(\S+)\.self", ios) == ["AEPEdgeIdentity.Identity", "AEPEdge.Edge"]


def test_the_bundled_file_is_the_configuration() -> None:
    assert json.loads(bundled(APP)) == configuration(APP)


def test_a_page_is_told_where_to_send_and_to_leave_adobe_out() -> None:
    code = alloy("Shop", PAGE)

    [settings] = re.findall(r'alloy\("configure", (\{.*\})\);', code, re.DOTALL)
    quoted = re.sub(r"^  (\w+):", r'  "\1":', settings, flags=re.MULTILINE)
    assert json.loads(re.sub(r",\s*\}", "}", quoted)) == {
        "datastreamId": str(DATASTREAM),
        "orgId": "EDGEPOST@AdobeOrg",
        "edgeDomain": "edge.mysite.com",
        "edgeBasePath": "ee",
        "thirdPartyCookiesEnabled": False,
        "idMigrationEnabled": False,
        "defaultConsent": "pending",
    }


def test_a_page_of_an_odd_organisation_is_told_so() -> None:
    page = replace(PAGE, org_id='x"; alert(1); "</script>', datastream_id=UUID(int=1))

    assert r'orgId: "x\"; alert(1); \"\u003C/script>",' in alloy("Shop", page)


def _balanced(code: str) -> bool:
    return code.count("(") == code.count(")") and code.count("[") == code.count("]")
