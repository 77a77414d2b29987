"""The OpenAPI document is valid, complete, and true of the service."""

from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, seed, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from service.access.permissions import Permission
from service.web import sdk_paths
from service.web.wire_paths import PATHS
from tests.support.admin import AdminClient

_UNDOCUMENTED = {"/openapi.json", "/docs", "/docs/", "/docs/files/<path:name>"}
# well-formed input that the domain may refuse: a rank above people, a rule that does not parse
_MAY_REFUSE = {
    "/idnamespace/identities",
    "/ims/token/v3",
    "/data/core/ups/segment/definitions",
    "/data/core/ups/segment/definitions/{segment_id}",
    "/data/core/ups/segment/jobs",
    "/actions",
    "/actions/{action_id}",
    "/actions/{action_id}/preview",
    "/actions/{action_id}/test",
    "/datastreams",
    "/datastreams/{datastream_id}",
    "/deliveries",
    "/dead-letters",
    "/dead-letters/replay",
    "/halts",
    "/receipt-sources",
    "/mobile-properties",
    "/mobile-properties/{property_id}",
    "/journey/orchestration/endpointConfigs",
    "/journey/orchestration/endpointConfigs/{uid}",
    "/journey/orchestration/endpointConfigs/explain",
    "/journey/orchestration/throttlingConfigs",
    "/journey/orchestration/throttlingConfigs/{uid}",
    "/journeys",
    "/journeys/{journey_id}",
}


@pytest.fixture
def document(app: Flask) -> Any:
    return app.test_client().get("/openapi.json").get_json()


def _operations(document: Any) -> list[tuple[str, str, Any]]:
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    ]


def test_every_parameter_says_what_it_is(document: Any) -> None:
    told = [
        (path, each["name"])
        for path, methods in document["paths"].items()
        for operation in methods.values()
        for each in (operation if isinstance(operation, list) else operation.get("parameters", []))
        if "name" in each and not each.get("description")
    ]

    assert told == []


def test_summaries_hold_no_markup_that_the_page_would_show(document: Any) -> None:
    summaries = [operation["summary"] for _, _, operation in _operations(document)]

    assert [each for each in summaries if "`" in each] == []


def test_the_document_is_valid_openapi_3_1(document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_is_documented(app: Flask, document: Any) -> None:
    rules = {rule.rule for rule in app.url_map.iter_rules()} - _UNDOCUMENTED

    assert len(document["paths"]) == len(rules) + len(PATHS)


def test_every_operation_says_what_it_does_and_how_it_fails(document: Any) -> None:
    for path, method, operation in _operations(document):
        assert operation["summary"], f"{method} {path}"
        if path in sdk_paths.PATHS:  # a phone would take a JSON error for a configuration
            assert list(operation["responses"]["default"]["content"]) == ["text/plain"]
            continue
        failed = operation["responses"]["default"]["$ref"].rsplit("/", 1)[1]
        [(kind, content)] = document["components"]["responses"][failed]["content"].items()
        assert kind == "application/problem+json"
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_every_operation_documents_its_permission(document: Any) -> None:
    known = {each.value for each in Permission}
    for path, method, operation in _operations(document):
        if path in PATHS:
            continue
        for needs in operation["security"]:
            assert set(needs) == {"accessToken", "apiKey", "organisation"}
            assert set(needs["accessToken"]) <= known, f"{method} {path}"


def test_the_page_is_found_with_a_slash_behind_it_too(app: Flask) -> None:
    answer = app.test_client().get("/docs/")

    assert (answer.status_code, answer.headers["Location"]) == (308, "/docs")


def test_the_page_needs_no_other_host(app: Flask) -> None:
    client = app.test_client()
    page = client.get("/docs").text

    assert "http://" not in page
    assert "https://" not in page
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"):
        assert f"/docs/files/{name}" in page
        with client.get(f"/docs/files/{name}") as answer:
            assert answer.status_code == 200
    assert client.get("/docs/files/../../pyproject.toml").status_code == 404


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_service_answers_as_the_document_says(
    app: Flask,
    client: AdminClient,
    mode: GenerationMode,
) -> None:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    operations = [each for each in operations if each.path not in PATHS]
    asked = [each for each in operations if mode is GenerationMode.POSITIVE or len(each.body)]
    assert len(asked) > 5
    headers = dict(client.headers)
    if mode is GenerationMode.POSITIVE:
        headers["x-sandbox-name"] = "prod"
    for operation in asked:

        @seed(1)
        @settings(
            max_examples=5,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def answers(case: Any) -> None:
            case.call_and_validate(
                headers=headers,
                excluded_checks=[positive_data_acceptance] if case.path in _MAY_REFUSE else [],
            )

        answers()
