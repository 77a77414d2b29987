"""Segments over HTTP, in the shape of Adobe's Segmentation Service API."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support.admin import AdminClient
from tests.support.journeys import by_segment

PATH = "/data/core/ups/segment/definitions"
RULE = 'person.name.firstName.equals("Jo", true)'


def _segment(rule: str = RULE, **more: Any) -> dict[str, Any]:
    return {
        "name": "Jos",
        "expression": {"type": "PQL", "format": "pql/text", "value": rule},
        "schema": {"name": "_xdm.context.profile"},
        **more,
    }


def _asking(method: str) -> dict[str, Any]:
    return {"evaluationInfo": {method: {"enabled": True}}}


def test_a_segment_is_created_read_changed_listed_and_removed(client: AdminClient) -> None:
    made = client.post(PATH, json=_segment()).get_json()
    path = f"{PATH}/{made['id']}"

    changed = client.patch(path, json={"description": "Everybody called Jo"})

    assert changed.status_code == 200
    expected = {**made, "description": "Everybody called Jo"}
    assert client.get(path).get_json() == expected
    assert client.get(PATH).get_json()["segments"] == [expected]
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.get(PATH).get_json()["segments"] == []


def test_the_answer_repeats_the_rule_as_it_was_written(client: AdminClient) -> None:
    answer = client.post(PATH, json=_segment())

    made = answer.get_json()
    assert answer.status_code == 200
    assert made["expression"] == {"type": "PQL", "format": "pql/text", "value": RULE}
    assert made["schema"] == {"name": "_xdm.context.profile"}


@pytest.mark.parametrize(
    ("asked", "mode"),
    [({}, "batch"), (_asking("batch"), "batch"), (_asking("continuous"), "streaming")],
)
def test_the_answer_says_how_it_is_evaluated_and_why(
    client: AdminClient,
    asked: dict[str, Any],
    mode: str,
) -> None:
    made = client.post(PATH, json=_segment(**asked)).get_json()

    assert made["evaluation"]["mode"] == mode
    assert made["evaluation"]["reason"]
    enabled = {name for name, method in made["evaluationInfo"].items() if method["enabled"]}
    assert enabled == {"continuous" if mode == "streaming" else "batch"}


def test_edge_evaluation_is_refused_and_not_forgotten(client: AdminClient) -> None:
    answer = client.post(PATH, json=_segment(**_asking("synchronous")))

    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["path"] == "evaluationInfo.synchronous"
    assert client.get(PATH).get_json()["segments"] == []


def test_two_methods_at_once_are_refused(client: AdminClient) -> None:
    both: dict[str, Any] = {
        "evaluationInfo": {"batch": {"enabled": True}, "continuous": {"enabled": True}}
    }

    assert client.post(PATH, json=_segment(**both)).status_code == 422


def test_streaming_is_refused_where_it_could_not_be_kept(client: AdminClient) -> None:
    rule = (
        'CHAIN(xEvent, timestamp, [C0: WHAT(eventType.equals("app.launch", true)) '
        "WHEN(<= 30 days before now)])"
    )

    answer = client.post(PATH, json=_segment(rule, **_asking("continuous")))

    assert answer.status_code == 422
    assert "streaming" in answer.get_json()["detail"]
    assert client.post(PATH, json=_segment(rule)).status_code == 200


def test_a_fault_in_a_rule_is_shown_at_its_place(client: AdminClient) -> None:
    rule = 'homeAddress.country = "CA" and\nperson.name ?? 3'

    answer = client.post(PATH, json=_segment(rule))

    body = answer.get_json()
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    assert body["code"].startswith("PQL-")
    assert body["range"]["line"] == 2
    line, caret = body["caret"].splitlines()[:2]
    assert line[caret.index("^")] == "?"
    assert client.get(PATH).get_json()["segments"] == []


def test_a_fault_in_a_changed_rule_leaves_the_old_one(client: AdminClient) -> None:
    made = client.post(PATH, json=_segment()).get_json()
    path = f"{PATH}/{made['id']}"

    answer = client.patch(path, json={"expression": _segment("person.")["expression"]})

    assert answer.status_code == 422
    assert "^" in answer.get_json()["caret"]
    assert client.get(path).get_json() == made


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"expression": {"type": "PQL", "format": "pql/json", "value": "{}"}}, "expression.format"),
        ({"expression": {"type": "SQL", "format": "pql/text", "value": "x"}}, "expression.type"),
        ({"expression": {"type": "PQL", "format": "pql/text"}}, "expression.value"),
        ({"schema": {"name": "_xdm.context.account"}}, "schema.name"),
        ({"name": ""}, "name"),
        ({"mergePolicyId": "x"}, "mergePolicyId"),
    ],
)
def test_a_definition_of_the_wrong_shape_names_the_place(
    client: AdminClient,
    change: dict[str, Any],
    path: str,
) -> None:
    answer = client.post(PATH, json={**_segment(), **change})

    assert answer.status_code == 422
    assert path in {each["path"] for each in answer.get_json()["errors"]}


def test_a_name_is_taken_once(client: AdminClient) -> None:
    client.post(PATH, json=_segment())

    assert client.post(PATH, json=_segment()).status_code == 409


def test_an_unknown_segment_is_404(client: AdminClient) -> None:
    path = f"{PATH}/{uuid4()}"

    assert client.get(path).status_code == 404
    assert client.patch(path, json={}).status_code == 404
    assert client.delete(path).status_code == 404


def test_a_segment_that_a_live_journey_uses_stays_and_the_journey_is_named(
    client: AdminClient,
) -> None:
    path = f"{PATH}/{client.post(PATH, json=_segment()).get_json()['id']}"
    document = by_segment(segment=UUID(path.rpartition("/")[2]), name="Cart reminder")
    journey = client.post("/journeys", json=document).get_json()["id"]
    client.post(f"/journeys/{journey}/publish")

    kept = client.delete(path)
    client.post(f"/journeys/{journey}/stop")
    gone = client.delete(path)

    body = kept.get_json()
    assert (kept.status_code, gone.status_code) == (409, 204)
    assert "Cart reminder" in body["detail"]
    assert body["journeys"] == [{"id": journey, "name": "Cart reminder", "version": 1}]
    entries = client.get(f"/audit/entries?subject={path.rpartition('/')[2]}").get_json()["items"]
    assert [each["action"] for each in entries] == ["segment.delete", "segment.create"]


def test_another_sandbox_neither_sees_nor_removes_it(client: AdminClient) -> None:
    dev = {"name": "dev", "title": "Dev", "type": "development"}
    client.post("/sandbox-management/sandboxes", json=dev)
    made = client.post(PATH, json=_segment()).get_json()
    other = client.having(x_sandbox_name="dev")

    assert other.get(PATH).get_json()["segments"] == []
    assert other.delete(f"{PATH}/{made['id']}").status_code == 404
    assert client.get(f"{PATH}/{made['id']}").status_code == 200
