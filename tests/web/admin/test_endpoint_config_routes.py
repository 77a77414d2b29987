"""Capping configurations as Adobe's clients send and read them."""

import json
from typing import Any
from uuid import uuid4

import pytest

from service.db.session import SessionFactory, unit_of_work
from service.sandboxes.scope import Scope
from tests.support.admin import AdminClient, AdminServices, signed_in

BASE = "/journey/orchestration/endpointConfigs"
LIST = "/journey/orchestration/list/endpointConfigs"
CONFIG: dict[str, Any] = {
    "url": "https://push.example/v3/messages/*/send",
    "methods": ["POST"],
    "services": {
        "action": {
            "maxHttpConnections": 50,
            "rating": {"maxCallsCount": 500, "periodInMs": 1000},
        }
    },
    "orgId": "EDGEPOST@AdobeOrg",
}


def _changed(count: int, period: int = 1000) -> dict[str, Any]:
    rating = {"maxCallsCount": count, "periodInMs": period}
    return {**CONFIG, "services": {"action": {"maxHttpConnections": 50, "rating": rating}}}


ON_ONE = [
    ("GET", ""),
    ("PUT", ""),
    ("DELETE", ""),
    ("GET", "/canDeploy"),
    ("POST", "/canDeploy"),
    ("POST", "/deploy"),
    ("POST", "/undeploy"),
]
BAD_INPUT: list[tuple[Any, str]] = [
    ([], "ERR_ENDPOINTCONFIG_112"),
    ({**CONFIG, "url": None}, "ERR_ENDPOINTCONFIG_100"),
    ({**CONFIG, "url": "push"}, "ERR_ENDPOINTCONFIG_101"),
    ({**CONFIG, "url": "https://*.example/"}, "ERR_ENDPOINTCONFIG_102"),
    ({**CONFIG, "methods": []}, "ERR_ENDPOINTCONFIG_103"),
    ({**CONFIG, "services": {}}, "ERR_ENDPOINTCONFIG_104"),
    (_changed(0), "ERR_ENDPOINTCONFIG_107"),
    ({**CONFIG, "services": {"push": {}}}, "ERR_AUTHORING_ENDPOINTCONFIG_1"),
    ({**CONFIG, "orgId": 1}, "ERR_ENDPOINTCONFIG_111"),
    ({**CONFIG, "name": []}, "ERR_ENDPOINTCONFIG_111"),
    ({**CONFIG, "name": " "}, "ERR_ENDPOINTCONFIG_111"),
    (_changed(1, period=0), "ERR_ENDPOINTCONFIG_108"),
    ({**CONFIG, "services": {"action": {}}}, "ERR_ENDPOINTCONFIG_104"),
    ({**CONFIG, "_edgepost": {"onExceed": "wait"}}, "ERR_ENDPOINTCONFIG_111"),
]


def _created(client: AdminClient, document: dict[str, Any] = CONFIG) -> str:
    answer = client.post(BASE, json=document)
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
    assert made["uid"] == element["uid"]
    assert made["uri"] == f"{BASE}/{made['uid']}"
    assert {key: element[key] for key in CONFIG} == CONFIG
    assert (element["state"], element["hasBeenDeployed"]) == ("created", False)
    assert (element["sandboxName"], element["authoringFormatVersion"]) == ("prod", "1.0")
    assert _result(client, made["uid"]) == element


def test_a_list_holds_every_config_with_or_without_a_body(client: AdminClient) -> None:
    uids = [_created(client), _created(client, {**CONFIG, "url": "https://other.example/x"})]

    with_body = client.post(LIST, json={}).get_json()["results"]

    assert [each["uid"] for each in with_body] == uids
    assert client.post(LIST).get_json()["results"] == with_body


def test_a_list_shows_the_caps_that_hold_without_a_config(client: AdminClient) -> None:
    built_in = client.post(LIST).get_json()["builtIn"]

    shown = [(each["service"], each["scope"], *each["rating"].values()) for each in built_in]
    assert shown == [("action", "host", 300_000, 60_000), ("dataSource", "host", 15, 1000)]


def test_our_own_terms_come_back_as_they_were_written(client: AdminClient) -> None:
    own = {"onExceed": "queue", "expireAfterMs": 60_000, "weights": {str(uuid4()): 3}}
    uid = _created(client, {**CONFIG, "_edgepost": own})
    client.post(f"{BASE}/{uid}/deploy")

    result = _result(client, uid)

    assert result["_edgepost"] == own
    assert result["deployedConfig"]["_edgepost"] == own


def test_metadata_names_the_client_that_did_it(client: AdminClient) -> None:
    uid = _created(client)
    by = client.headers["x-api-key"]
    created = _result(client, uid)["metadata"]
    other = signed_in(client.app)
    other.call("PUT", f"{BASE}/{uid}", json=CONFIG)
    other.post(f"{BASE}/{uid}/deploy")
    deployed = _result(client, uid)
    client.post(f"{BASE}/{uid}/undeploy")

    assert {created[key] for key in ("createdBy", "createdById", "lastModifiedById")} == {by}
    assert "lastDeployedBy" not in created
    metadata, them = deployed["metadata"], other.headers["x-api-key"]
    assert (metadata["createdBy"], metadata["lastModifiedBy"]) == (by, them)
    assert (metadata["lastDeployedBy"], metadata["lastDeployedById"]) == (them, them)
    assert "metadata" not in deployed["deployedConfig"]
    assert "lastDeployedBy" not in _result(client, uid)["metadata"]


def test_deploying_freezes_a_copy_until_the_next_deployment(client: AdminClient) -> None:
    uid = _created(client)
    deployed = client.post(f"{BASE}/{uid}/deploy")

    updated = client.call("PUT", f"{BASE}/{uid}", json=_changed(900)).get_json()
    between = _result(client, uid)
    client.post(f"{BASE}/{uid}/deploy")
    after = _result(client, uid)

    assert (deployed.status_code, deployed.data) == (204, b"")
    assert (updated["resStatus"], updated["updatedElement"]["state"]) == ("updated", "updated")
    assert between["hasBeenDeployed"] is True
    assert between["deployedConfig"]["services"] == CONFIG["services"]
    assert after["state"] == "deployed"
    assert after["deployedConfig"]["services"] == _changed(900)["services"]
    assert "lastDeployedAt" in after["metadata"]


def test_a_deployed_cap_holds_at_once_in_this_process(
    client: AdminClient, store: SessionFactory, scope: Scope
) -> None:
    services: AdminServices = client.app.extensions["services"]
    url = "https://push.example/v3/messages/1/send"

    def cap() -> int:
        with unit_of_work(store) as session:
            [found] = services.endpoints.limits(session, scope, method="POST", url=url).rates
            return found.cap.max_calls_count

    uid = _created(client)
    before = cap()
    client.post(f"{BASE}/{uid}/deploy")
    deployed = cap()
    client.post(f"{BASE}/{uid}/undeploy")

    assert (before, deployed, cap()) == (300_000, 500, 300_000)


def test_undeploying_returns_to_the_state_before_whether_it_was_deployed_or_not(
    client: AdminClient,
) -> None:
    uid = _created(client)
    not_deployed = client.post(f"{BASE}/{uid}/undeploy")
    client.post(f"{BASE}/{uid}/deploy")

    undeployed = client.post(f"{BASE}/{uid}/undeploy")

    result = _result(client, uid)
    assert (not_deployed.status_code, undeployed.status_code) == (204, 204)
    assert (result["state"], result["hasBeenDeployed"]) == ("created", False)
    assert "deployedConfig" not in result


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_can_deploy_warns_in_adobes_shape(client: AdminClient, method: str) -> None:
    rating = CONFIG["services"]["action"]["rating"]
    uid = _created(client, {**CONFIG, "services": {"action": {"rating": rating}}})

    verdict = client.call(method, f"{BASE}/{uid}/canDeploy").get_json()["canDeploy"]

    [warning] = verdict.pop("warnings")
    assert verdict == {"validationStatus": "ok"}
    assert warning["warningCode"] == "ERR_ENDPOINTCONFIG_106"
    assert warning["scope"] == {
        "endpointConfigService": "action",
        "endpointConfigUrl": CONFIG["url"],
    }


def test_a_data_source_is_capped_apart_and_warned_of_by_name(client: AdminClient) -> None:
    rating = {"maxCallsCount": 5, "periodInMs": 1000}
    services = {**CONFIG["services"], "dataSource": {"rating": rating}}
    made = client.post(BASE, json={**CONFIG, "services": services}).get_json()
    client.post(f"{BASE}/{made['uid']}/deploy")

    usage = client.get(f"{BASE}/{made['uid']}/usage").get_json()

    [warning] = made["canDeploy"]["warnings"]
    assert warning["warningCode"] == "ERR_ENDPOINTCONFIG_106"
    assert warning["scope"]["endpointConfigService"] == "dataSource"
    assert _result(client, made["uid"])["services"] == services
    counts = {each["service"]: each["maxCallsCount"] for each in usage["services"]}
    assert counts == {"action": 500, "dataSource": 5}


def test_bad_input_is_400_with_adobes_code_in_an_object(client: AdminClient) -> None:
    uid = _created(client)

    for document, code in BAD_INPUT:
        for method, path in (("POST", BASE), ("PUT", f"{BASE}/{uid}")):
            answer = client.call(method, path, json=document)
            said = answer.get_json()
            assert (answer.status_code, said["status"]) == (400, 400)
            assert answer.content_type == "application/problem+json"
            assert [each["errorCode"] for each in said["error"]["errors"]] == [code]
            assert said["requestId"]
    assert [each["uid"] for each in client.post(LIST).get_json()["results"]] == [uid]
    assert _result(client, uid)["state"] == "created"


def test_an_old_client_can_ask_for_the_error_as_text(client: AdminClient) -> None:
    answer = client.post(f"{BASE}?compat=ajo", json=_changed(0))

    said = json.loads(answer.get_json()["error"])
    assert answer.status_code == 400
    assert said["errors"][0]["errorCode"] == "ERR_ENDPOINTCONFIG_107"
    assert client.post(f"{BASE}?compat=other", json=CONFIG).status_code == 422


def test_what_is_not_json_is_refused(client: AdminClient) -> None:
    broken = client.post(BASE, data="{", content_type="application/json")
    text = client.post(BASE, data="{}", content_type="text/plain")

    assert (broken.status_code, text.status_code) == (400, 415)


def test_a_deployed_config_is_deleted_only_by_force(client: AdminClient) -> None:
    uid = _created(client)
    client.post(f"{BASE}/{uid}/deploy")

    refused = client.delete(f"{BASE}/{uid}")
    forced = client.delete(f"{BASE}/{uid}?forceDelete=true")

    assert refused.status_code == 409
    assert refused.get_json()["error"]["code"] == 1451
    assert (forced.status_code, forced.get_json()) == (200, {})
    assert client.get(f"{BASE}/{uid}").status_code == 404


def test_a_config_that_was_never_deployed_is_simply_deleted(client: AdminClient) -> None:
    uid = _created(client)

    assert client.delete(f"{BASE}/{uid}?forceDelete=perhaps").status_code == 422
    assert client.delete(f"{BASE}/{uid}?forceDelete=false").status_code == 200
    assert client.delete(f"{BASE}/{uid}").status_code == 404


def test_an_unknown_config_is_404_here_and_in_another_sandbox(client: AdminClient) -> None:
    dev = {"name": "dev", "title": "Dev", "type": "development"}
    client.post("/sandbox-management/sandboxes", json=dev)
    uid = _created(client)
    other = client.having(x_sandbox_name="dev")

    for method, path in ON_ONE:
        options = {"json": CONFIG} if method == "PUT" else {}
        assert client.call(method, f"{BASE}/{uuid4()}{path}", **options).status_code == 404
        assert other.call(method, f"{BASE}/{uid}{path}", **options).status_code == 404
    assert _result(client, uid)["state"] == "created"


def test_changes_leave_audit_entries(client: AdminClient) -> None:
    uid = _created(client)
    client.call("PUT", f"{BASE}/{uid}", json=CONFIG)
    client.post(f"{BASE}/{uid}/deploy")
    client.post(f"{BASE}/{uid}/undeploy")
    client.delete(f"{BASE}/{uid}")

    entries = client.get(f"/audit/entries?subject={uid}").get_json()["items"]

    names = [each["action"].removeprefix("endpointConfig.") for each in entries]
    assert names[::-1] == ["create", "update", "deploy", "undeploy", "delete"]
