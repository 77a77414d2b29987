"""What the README shows of the API is what the service takes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator

from service.outbound.adapters.contract import variable_names
from service.outbound.adapters.registry import get_adapter
from service.segments.programs import rule_of
from service.web.edge.documents import REQUESTS
from service.web.wire_schemas import edge_request
from tests.support.admin import AdminClient

README = (Path(__file__).parents[2] / "README.md").read_text()
SEGMENTS = "/data/core/ups/segment/definitions"


def _block(kind: str, word: str) -> str:
    blocks = re.findall(rf"^```{kind}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    [found] = [each for each in blocks if word in each]
    return str(found)


def _section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def _rules() -> list[str]:
    return _block("pql", "xEvent").splitlines()


@pytest.mark.parametrize("rule", _rules())
def test_the_rules_can_be_evaluated(rule: str) -> None:
    rule_of(rule)


def test_there_are_three_rules() -> None:
    assert len(_rules()) == 3


def test_the_variables_are_those_that_a_template_may_name() -> None:
    section = _section("Templates of a custom action")
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)
    names = variable_names(get_adapter("push"))

    assert {name for name, _ in rows} == set(names)
    for name, about in rows:
        inner = names[name]
        if inner is not None and name != "tracking":
            assert set(re.findall(r"`\.(\w+)`", about)) == inner


def test_the_phone_says_what_an_edge_request_may_say() -> None:
    [body] = re.findall(r"-d '(\{\n.*?\})'\n", _block("sh", "/v1/interact"), re.DOTALL)
    document = json.loads(body)

    assert OAS31Validator(edge_request(needs_events=True)).is_valid(document)
    assert REQUESTS.decode(body).events is not None


def test_an_app_and_a_page_are_pointed_here(client: AdminClient) -> None:
    section = _section("Point your app here")
    answers: list[Any] = []
    for command in _block("sh", "/mobile-properties").split("curl ")[1:]:
        body = command.partition(" -d '")[2].partition("'")[0]
        path = command.partition("http://127.0.0.1:8080")[2].strip().rstrip('"')
        known = answers[-1].get("id", "") if answers else ""
        url = path.replace("<its id>", known)
        sent = json.loads(body.replace("<its id>", known)) if body else None
        answer = client.post(url, json=sent) if sent else client.get(url)
        assert answer.status_code in {200, 201}, answer.text
        answers.append(answer.get_json())

    app, page = answers[2], answers[4]
    assert len(answers) == 5
    for name in ("kotlin", "swift", "adbMobileConfig", "configurationUrl"):
        assert f"`{name}`" in section
        assert "edge.example.com" in app[name]
    assert "`alloy`" in section
    assert "edge.example.com" in page["alloy"]


def test_the_journey_can_run(client: AdminClient) -> None:
    segment = {
        "name": "Full carts",
        "expression": {"type": "PQL", "format": "pql/text", "value": _rules()[1]},
        "schema": {"name": "_xdm.context.profile"},
        "evaluationInfo": {"continuous": {"enabled": True}},
    }
    action = {"name": "a", "adapter": "push", "url": "https://push.example.com/"}
    made: dict[str, Any] = {
        "<segment id>": client.post(SEGMENTS, json=segment).get_json()["id"],
        "<action id>": client.post("/actions", json=action).get_json()["id"],
    }
    text = _block("json", '"nodes"')
    for name, key in made.items():
        text = text.replace(name, key)

    journey = client.post("/journeys", data=text, content_type="application/json").get_json()
    published = client.post(f"/journeys/{journey['id']}/publish")

    assert published.status_code == 200, published.text
