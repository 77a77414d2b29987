"""The settings of a datastream over HTTP: each has a default, and a secret never comes out."""

import io
import json
import logging
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from service.catalog.models import Datastream
from service.core.secret import Keyring
from service.db.session import SessionFactory, unit_of_work
from service.sandboxes.scope import Scope
from tests.support.admin import KEY, AdminClient
from tests.support.login_proofs import EC, RSA, SECRET, pem_of, private_pem_of

NEW = {"name": "app", "platform": "mobile"}
OFF: dict[str, Any] = {
    "mode": "off",
    "algorithms": [],
    "publicKey": None,
    "jwksUrl": None,
    "audience": None,
    "hasSecret": False,
}
DEFAULTS: dict[str, Any] = {
    "accessType": "mixed",
    "eventDatasetIds": [],
    "ipObfuscation": "full",
    "thirdPartyIds": False,
    "fpidCookie": None,
    "requestsPerSecond": None,
    "loginProof": OFF,
}
SHARED = {"mode": "required", "algorithms": ["HS256"], "secret": SECRET}
PUBLIC = {"mode": "required", "algorithms": ["ES256"], "publicKey": pem_of(EC)}
PUBLISHED = {
    "mode": "optional",
    "algorithms": ["RS256", "ES256", "EdDSA"],
    "jwksUrl": "https://login.shop.test/keys",
}
UNUSABLE: list[dict[str, Any]] = [
    {"accessType": "closed"},
    {"accessType": None},
    {"ipObfuscation": "some"},
    {"thirdPartyIds": "yes"},
    {"fpidCookie": ""},
    {"fpidCookie": "a b"},
    {"fpidCookie": "a=b"},
    {"fpidCookie": "a;b"},
    {"fpidCookie": "a\nb"},
    {"fpidCookie": "x" * 129},
    {"requestsPerSecond": 0},
    {"requestsPerSecond": 100_001},
    {"requestsPerSecond": "10"},
    {"requestsPerSecond": True},
    {"eventDatasetIds": ["x"]},
    {"eventDatasetIds": [str(uuid4())]},
    {"eventDatasetIds": None},
    {"loginProof": None},
    {"loginProof": {"mode": "always"}},
    {"loginProof": {"hasSecret": True}},
    {"loginProof": {"colour": "red"}},
    {"loginProof": {"algorithms": ["none"]}},
    {"loginProof": {"algorithms": ["RS384"]}},
    {"loginProof": {"secret": "too short"}},
    {"loginProof": {"secret": private_pem_of(EC)}},
    {"loginProof": {"publicKey": "nonsense"}},
    {"loginProof": {"publicKey": private_pem_of(RSA)}},
    {"loginProof": {"jwksUrl": "http://login.shop.test/keys"}},
    {"loginProof": {"jwksUrl": "https://127.0.0.1/keys"}},
    {"loginProof": {"jwksUrl": "https://2130706433/keys"}},
    {"loginProof": {"jwksUrl": "https://u:p@login.shop.test/keys"}},
    {"loginProof": {"jwksUrl": "ftp://login.shop.test/keys"}},
    {"loginProof": {"jwksUrl": "nonsense"}},
    {"loginProof": {"mode": "required"}},
    {"loginProof": {"mode": "optional", "algorithms": []}},
    {"loginProof": {"mode": "required", "algorithms": ["HS256"]}},
    {"loginProof": {**SHARED, "algorithms": []}},
    {"loginProof": {**SHARED, "algorithms": ["RS256"]}},
    {"loginProof": {**SHARED, "publicKey": pem_of(EC)}},
    {"loginProof": {**SHARED, "algorithms": ["HS256", "ES256"]}},
    {"loginProof": {**PUBLIC, "algorithms": ["RS256"]}},
    {"loginProof": {**PUBLIC, "algorithms": ["ES256", "RS256"]}},
    {"loginProof": {**PUBLIC, "algorithms": ["HS256"]}},
    {"loginProof": {**PUBLIC, "jwksUrl": PUBLISHED["jwksUrl"]}},
    {"loginProof": {**PUBLISHED, "algorithms": ["HS256"]}},
]


def made(client: AdminClient, **settings: Any) -> dict[str, Any]:
    answer = client.post("/datastreams", json={**NEW, **settings})
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.get_json()
    return document


def row_of(store: SessionFactory, scope: Scope, datastream_id: str) -> Datastream:
    with unit_of_work(store) as session:
        return session.get_one(Datastream, (scope.sandbox_id, UUID(datastream_id)))


def test_each_setting_has_a_default(client: AdminClient) -> None:
    document = made(client)

    assert {name: document[name] for name in DEFAULTS} == DEFAULTS


def test_settings_are_kept_read_and_listed(client: AdminClient) -> None:
    other = made(client, name="site")["eventDatasetId"]
    wanted = {
        "accessType": "authenticated",
        "eventDatasetIds": [other],
        "ipObfuscation": "partial",
        "thirdPartyIds": True,
        "fpidCookie": "DEVICE-ID",
        "requestsPerSecond": 100_000,
        "loginProof": {**PUBLIC, "audience": "shop"},
    }

    document = made(client, **wanted)

    shown = {**wanted, "loginProof": {**OFF, **PUBLIC, "audience": "shop"}}
    assert {name: document[name] for name in shown} == shown
    assert client.get(f"/datastreams/{document['id']}").get_json() == document
    assert client.get("/datastreams").get_json()["items"][1] == document


def test_a_change_leaves_the_other_settings_as_they_were(client: AdminClient) -> None:
    before = made(client, fpidCookie="id", requestsPerSecond=5, loginProof=SHARED)
    path = f"/datastreams/{before['id']}"

    client.patch(path, json={"accessType": "authenticated"})
    client.patch(path, json={"loginProof": {"audience": "shop"}})
    after = client.patch(path, json={"name": "renamed", "requestsPerSecond": None}).get_json()

    assert after == {
        **before,
        "name": "renamed",
        "accessType": "authenticated",
        "requestsPerSecond": None,
        "loginProof": {**before["loginProof"], "audience": "shop"},
    }
    assert after["loginProof"]["hasSecret"] is True


def test_null_removes_what_may_be_absent(client: AdminClient) -> None:
    before = made(client, fpidCookie="id", loginProof={**PUBLISHED, "audience": "shop"})

    gone = {"mode": "off", "jwksUrl": None, "audience": None, "secret": None}
    change = {"fpidCookie": None, "loginProof": gone}
    after = client.patch(f"/datastreams/{before['id']}", json=change).get_json()

    assert after["fpidCookie"] is None
    assert after["loginProof"] == {**OFF, "algorithms": PUBLISHED["algorithms"]}


def test_a_key_is_replaced_in_one_change(client: AdminClient) -> None:
    path = f"/datastreams/{made(client, loginProof=SHARED)['id']}"

    both = client.patch(path, json={"loginProof": PUBLIC})
    one = client.patch(path, json={"loginProof": {**PUBLIC, "secret": None}})

    assert both.status_code == 422
    assert both.get_json()["detail"] == (
        "loginProof has secret and publicKey: set publicKey or jwksUrl for ES256, and the others "
        "to null."
    )
    assert one.get_json()["loginProof"] == {**OFF, **PUBLIC}


def test_a_public_key_is_shown_without_what_stood_beside_it(client: AdminClient) -> None:
    sloppy = {**PUBLIC, "publicKey": pem_of(EC) + private_pem_of(EC)}

    document = made(client, loginProof=sloppy)

    assert document["loginProof"]["publicKey"] == pem_of(EC)


@pytest.mark.parametrize("proof", [SHARED, PUBLIC, PUBLISHED])
def test_a_proof_may_be_switched_off_and_on_again(
    client: AdminClient, proof: dict[str, Any]
) -> None:
    before = made(client, loginProof=proof)
    path = f"/datastreams/{before['id']}"

    off = client.patch(path, json={"loginProof": {"mode": "off"}})
    on = client.patch(path, json={"loginProof": {"mode": proof["mode"]}})

    assert off.get_json()["loginProof"]["mode"] == "off"
    assert on.get_json()["loginProof"] == before["loginProof"]


def test_what_cannot_be_used_is_refused_and_nothing_is_kept(client: AdminClient) -> None:
    path = f"/datastreams/{made(client, name='kept', loginProof=PUBLISHED)['id']}"
    before = client.get("/datastreams").get_json()

    for settings in UNUSABLE:
        answer = client.post("/datastreams", json={**NEW, **settings})

        assert answer.status_code == 422, settings
        assert answer.content_type == "application/problem+json"
        assert answer.get_json()["detail"]
    assert client.patch(path, json={"loginProof": {"algorithms": []}}).status_code == 422
    assert client.patch(path, json={"loginProof": {"jwksUrl": None}}).status_code == 422
    assert client.get("/datastreams").get_json() == before


def test_a_dataset_of_profiles_or_of_another_sandbox_takes_no_events(client: AdminClient) -> None:
    dev = {"name": "dev", "title": "Dev", "type": "development"}
    client.post("/sandbox-management/sandboxes", json=dev)
    mine = made(client, name="mine")
    other = made(client.having(x_sandbox_name="dev"))

    for dataset in (mine["profileDatasetId"], other["eventDatasetId"]):
        answer = client.post("/datastreams", json={**NEW, "eventDatasetIds": [dataset]})

        assert answer.status_code == 422
        assert answer.get_json()["at"] == "eventDatasetIds"
        assert dataset in answer.get_json()["detail"]


def test_the_secret_is_in_no_answer_no_audit_no_log_and_no_row_in_clear(
    client: AdminClient,
    store: SessionFactory,
    scope: Scope,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    first = client.post("/datastreams", json={**NEW, "loginProof": SHARED})
    path = f"/datastreams/{first.get_json()['id']}"
    answers = [
        first,
        client.get(path),
        client.get("/datastreams"),
        client.patch(path, json={"loginProof": {"secret": SECRET}}),
        client.patch(path, json={"loginProof": {"secret": SECRET, "publicKey": "x"}}),
        client.patch(path, json={"loginProof": {"secret": SECRET, "colour": "red"}}),
        client.post("/datastreams", json={**NEW, "loginProof": SHARED}),
        client.get("/audit/entries"),
    ]

    seen = io.StringIO()
    seen.writelines(answer.text for answer in answers)
    seen.write(caplog.text)
    seen.write("".join(capsys.readouterr()))
    with unit_of_work(store) as session:
        mine = Datastream.sandbox_id == scope.sandbox_id
        [row] = session.execute(select(Datastream.__table__).where(mine)).all()
    seen.write(json.dumps(tuple(row), default=str))

    assert [each.status_code for each in answers] == [201, 200, 200, 200, 422, 422, 409, 200]
    assert SECRET not in seen.getvalue()


def test_the_secret_is_kept_for_those_who_hold_the_key(
    client: AdminClient, store: SessionFactory, scope: Scope
) -> None:
    key = made(client, loginProof=SHARED)["id"]
    client.patch(f"/datastreams/{key}", json={"loginProof": {"audience": "shop"}})

    ciphertext = row_of(store, scope, key).login_key

    assert ciphertext is not None
    assert Keyring.of([KEY]).decrypt(ciphertext).reveal() == SECRET


def test_a_change_of_settings_leaves_their_names_in_the_audit(client: AdminClient) -> None:
    key = made(client, loginProof=SHARED, accessType="mixed")["id"]
    client.patch(f"/datastreams/{key}", json={"loginProof": {"mode": "off"}})
    client.patch(f"/datastreams/{key}", json={"enabled": False})

    entries = client.get(f"/audit/entries?subject={key}").get_json()["items"]

    facts = [
        {name: each["facts"].get(name) for name in ("settings", "loginProof")} for each in entries
    ]
    assert facts == [
        {"settings": None, "loginProof": None},
        {
            "settings": ["loginProof.mode"],
            "loginProof": {"mode": "off", "algorithms": ["HS256"]},
        },
        {
            "settings": [
                "accessType",
                "loginProof.algorithms",
                "loginProof.mode",
                "loginProof.secret",
            ],
            "loginProof": {"mode": "required", "algorithms": ["HS256"]},
        },
    ]


def test_the_document_marks_the_secret_as_write_only(client: AdminClient) -> None:
    document = client.app.test_client().get("/openapi.json").get_json()

    shape = document["components"]["schemas"]["LoginProof"]["properties"]

    assert shape["secret"]["writeOnly"] is True
    assert shape["hasSecret"]["readOnly"] is True
