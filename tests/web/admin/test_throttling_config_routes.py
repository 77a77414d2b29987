"""Throttling configurations as Adobe's clients send and read them."""

import json
from typing import Any
from uuid import uuid4

import pytest

from service.db.session import SessionFactory, unit_of_work
from service.sandboxes.scope import Scope
from tests.support.admin import AdminClient, AdminServices

BASE = "/journey/orchestration/throttlingConfigs"
LIST = "/journey/orchestration/list/throttlingConfigs"
CAPS = "/journey/orchestration/endpointConfigs"
CONFIG: dict[str, Any] = {
    "name": "throttling-config-external",
    "description": "example of throttling config for an external endpoint",
    "urlPattern": "https://api.example.org/data/2.5/*",
    "methods": ["POST", "PUT"],
    "maxThroughput": 4000,
}
CAP: dict[str, Any] = {
    "url": CONFIG["urlPattern"],
    "methods": ["POST"],
    "services": {"action": {"rating": {"maxCallsCount": 9000, "periodInMs": 1000}}},
}
ON_ONE = [
    ("GET", ""),
    ("PUT", ""),
    ("DELETE", ""),
    ("GET", "/canDeploy"),
    ("POST", "/canDeploy"),
    ("POST", "/deploy"),
    ("POST", "/undeploy"),
    ("GET", "/usage"),
]
BAD_INPUT: list[tuple[Any, int]] = [
    ([], 106),
    ({**CONFIG, "urlPattern": None}, 100),
    ({**CONFIG, "methods": []}, 100),
    ({**CONFIG, "maxThroughput": None}, 101),
    ({**CONFIG, "maxThroughput": 0}, 101),
    ({**CONFIG, "urlPattern": "api.example.org"}, 104),
    ({**CONFIG, "urlPattern": "https://*.example.org/"}, 105),
    ({**CONFIG, "methods": ["FETCH"]}, 106),
    ({**CONFIG, "name": 1}, 106),
    ({**CONFIG, "_edgepost": {"onExceed": "drop"}}, 106),
]


def _created(client: AdminClient, document: dict[str, Any] = CONFIG, base: str = BASE) -> str:
    answer = client.post(base, json=document)
    assert answer.status_code == 200, answer.text
    uid: str = answer.get_json()["uid"]
    return uid


def _result(client: AdminClient, uid: str) -> dict[str, Any]:
    result: dict[str, Any] = client.get(f"{BASE}/{uid}").get_json()["result"]
    return result


def test_creating_answers_in_adobes_shape(client: AdminClient) -> None:
    made = client.post(BASE, json=CONFIG).get_json()

    element = made["createdElement"]
    assert (made["resStatus"], made["canDeploy"]) == ("created", {"validationStatus": "ok"})
    assert made["uri"] == f"{BASE}/{made['uid']}"
    assert {key: element[key] for key in CONFIG} == CONFIG
    assert element["uid"] == made["uid"]
    assert element["_id"] == f"{made['uid']}_{element['sandboxId']}"
    assert (element["state"], element["hasBeenDeployed"]) == ("created", False)
    assert (element["sandboxName"], element["authoringFormatVersion"]) == ("prod", "1.0")
    assert element["orgId"] == client.headers["x-gw-ims-org-id"]
    assert element["metadata"]["createdById"] == client.headers["x-api-key"]
    assert "version" not in element
    assert _result(client, made["uid"]) == element


def test_deploying_shows_a_version_and_when(client: AdminClient) -> None:
    uid = _created(client)

    answer = client.post(f"{BASE}/{uid}/deploy")

    result = _result(client, uid)
    assert (answer.status_code, answer.data) == (204, b"")
    assert (result["state"], result["hasBeenDeployed"], result["version"]) == (
        "deployed",
        True,
        "1.0",
    )
    assert result["metadata"]["lastDeployedBy"] == client.headers["x-api-key"]
    assert "lastDeployedAt" in result["metadata"]


def test_each_kind_has_a_list_of_its_own(client: AdminClient) -> None:
    throttles = [_created(client), _created(client, {**CONFIG, "name": "second"})]
    cap = _created(client, CAP, CAPS)

    found = client.post(LIST, json={}).get_json()["results"]
    caps = client.post("/journey/orchestration/list/endpointConfigs").get_json()["results"]

    assert [each["uid"] for each in found] == throttles
    assert [each["uid"] for each in caps] == [cap]
    assert client.post(LIST).get_json()["results"] == found
    for method, path in ON_ONE:
        options = {"json": CONFIG} if method == "PUT" else {}
        assert client.call(method, f"{BASE}/{cap}{path}", **options).status_code == 404
        assert client.call(method, f"{CAPS}/{throttles[0]}{path}", **options).status_code in {
            400 if method == "PUT" else 404,
            404,
        }


def test_a_rate_holds_at_once_in_this_process_also_when_it_is_changed(
    client: AdminClient, store: SessionFactory, scope: Scope
) -> None:
    services: AdminServices = client.app.extensions["services"]
    url = "https://api.example.org/data/2.5/x"

    def rate() -> list[int]:
        with unit_of_work(store) as session:
            found = services.endpoints.limits(session, scope, method="POST", url=url).rates
        return [each.cap.max_calls_count for each in found if each.kind.value == "throttling"]

    uid = _created(client)
    before = rate()
    client.post(f"{BASE}/{uid}/deploy")
    deployed = rate()
    updated = client.call("PUT", f"{BASE}/{uid}", json={**CONFIG, "maxThroughput": 7}).get_json()
    changed = rate()
    client.post(f"{BASE}/{uid}/undeploy")

    assert (before, deployed, changed, rate()) == ([], [4000], [7], [])
    assert (updated["resStatus"], updated["updatedElement"]["state"]) == ("updated", "deployed")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_can_deploy_warns_of_adobes_bounds(client: AdminClient, method: str) -> None:
    uid = _created(client, {**CONFIG, "maxThroughput": 3})

    verdict = client.call(method, f"{BASE}/{uid}/canDeploy").get_json()["canDeploy"]

    [warning] = verdict.pop("warnings")
    assert verdict == {"validationStatus": "ok"}
    assert warning["warningCode"] == "ERR_THROTTLING_CONFIG_101"
    assert warning["scope"] == {
        "endpointConfigService": "action",
        "endpointConfigUrl": CONFIG["urlPattern"],
    }


def test_can_deploy_warns_of_a_cap_on_the_same_pattern(client: AdminClient) -> None:
    cap = _created(client, CAP, CAPS)
    client.post(f"{CAPS}/{cap}/deploy")

    made = client.post(BASE, json=CONFIG).get_json()

    [warning] = made["canDeploy"]["warnings"]
    assert warning["warningCode"] == "EDGEPOST_CAP_ABOVE_THROTTLE"


def test_bad_input_is_400_with_adobes_code_in_an_object(client: AdminClient) -> None:
    uid = _created(client)

    for document, number in BAD_INPUT:
        for method, path in (("POST", BASE), ("PUT", f"{BASE}/{uid}")):
            answer = client.call(method, path, json=document)
            said = answer.get_json()
            assert (answer.status_code, said["status"]) == (400, 400)
            codes = [each["errorCode"] for each in said["error"]["errors"]]
            assert codes == [f"ERR_THROTTLING_CONFIG_{number}"]
            assert said["requestId"]
    assert [each["uid"] for each in client.post(LIST).get_json()["results"]] == [uid]
    assert _result(client, uid)["maxThroughput"] == 4000


def test_what_a_state_does_not_allow_is_409_with_adobes_code(client: AdminClient) -> None:
    uid = _created(client)

    not_deployed = client.post(f"{BASE}/{uid}/undeploy")
    client.post(f"{BASE}/{uid}/deploy")
    already = client.post(f"{BASE}/{uid}/deploy")
    forbidden = client.delete(f"{BASE}/{uid}")

    answers = (not_deployed, already, forbidden)
    assert [each.status_code for each in answers] == [409, 409, 409]
    said = [each.get_json()["error"] for each in answers]
    assert [each["code"] for each in said] == [14468, 14466, 1456]
    assert {each["family"] for each in said} == {"INPUT_OUTPUT_ERROR"}
    assert said[0]["message"] == "Can't undeploy throttling config: not deployed yet"


def test_an_old_client_can_ask_for_every_error_as_text(client: AdminClient) -> None:
    uid = _created(client)

    bad = client.post(f"{BASE}?compat=ajo", json={})
    not_deployed = client.post(f"{BASE}/{uid}/undeploy?compat=ajo")
    unknown = client.get(f"{BASE}/{uuid4()}?compat=ajo")

    assert json.loads(bad.get_json()["error"])["errors"]
    assert json.loads(not_deployed.get_json()["error"])["code"] == 14468
    assert json.loads(unknown.get_json()["error"])["code"] == 14467


def test_a_deployed_config_is_deleted_by_force_and_holds_no_longer(client: AdminClient) -> None:
    uid = _created(client)
    client.post(f"{BASE}/{uid}/deploy")

    forced = client.delete(f"{BASE}/{uid}?forceDelete=true")

    assert (forced.status_code, forced.get_json()) == (200, {})
    assert client.post(LIST).get_json()["results"] == []


def test_an_unknown_config_is_404_here_and_in_another_sandbox(client: AdminClient) -> None:
    dev = {"name": "dev", "title": "Dev", "type": "development"}
    client.post("/sandbox-management/sandboxes", json=dev)
    uid = _created(client)
    other = client.having(x_sandbox_name="dev")

    for method, path in ON_ONE:
        options = {"json": CONFIG} if method == "PUT" else {}
        for answer in (
            client.call(method, f"{BASE}/{uuid4()}{path}", **options),
            other.call(method, f"{BASE}/{uid}{path}", **options),
        ):
            assert answer.status_code == 404
            assert answer.get_json()["error"]["code"] == 14467
    assert other.post(LIST).get_json()["results"] == []
    assert _result(client, uid)["state"] == "created"


def test_a_sandbox_that_is_not_for_production_has_as_many_configs_as_it_wants(
    client: AdminClient,
) -> None:
    dev = {"name": "dev", "title": "Dev", "type": "development"}
    client.post("/sandbox-management/sandboxes", json=dev)
    other = client.having(x_sandbox_name="dev")

    uids = [_created(other), _created(other), _created(client)]

    assert len(set(uids)) == 3
    assert client.having(x_sandbox_name="gone").post(BASE, json=CONFIG).status_code == 404


def test_changes_leave_audit_entries(client: AdminClient) -> None:
    uid = _created(client)
    client.call("PUT", f"{BASE}/{uid}", json=CONFIG)
    client.post(f"{BASE}/{uid}/deploy")
    client.post(f"{BASE}/{uid}/undeploy")
    client.delete(f"{BASE}/{uid}")

    entries = client.get(f"/audit/entries?subject={uid}").get_json()["items"]

    names = [each["action"].removeprefix("throttlingConfig.") for each in entries]
    assert names[::-1] == ["create", "update", "deploy", "undeploy", "delete"]
