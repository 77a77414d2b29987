"""Batch runs on demand over HTTP."""

from uuid import uuid4

from service.db.session import SessionFactory
from service.flows import evaluate_segments
from tests.support.admin import AdminClient
from tests.support.clocks import FixedClock

DEFINITIONS = "/data/core/ups/segment/definitions"
PATH = "/data/core/ups/segment/jobs"


def _segment(client: AdminClient) -> str:
    rule = {"type": "PQL", "format": "pql/text", "value": 'city = "Bonn"'}
    schema = {"name": "_xdm.context.profile"}
    made = client.post(DEFINITIONS, json={"name": "Bonn", "expression": rule, "schema": schema})
    identifier: str = made.get_json()["id"]
    return identifier


def test_a_run_on_demand_is_queued_and_reports_what_it_changed(
    client: AdminClient,
    store: SessionFactory,
    clock: FixedClock,
) -> None:
    segment = _segment(client)

    job = client.post(PATH, json=[{"segmentId": segment}]).get_json()
    while evaluate_segments.run_due(store, "test", clock):
        pass
    ended = client.get(f"{PATH}/{job['id']}").get_json()

    assert (job["status"], job["segments"]) == ("QUEUED", [segment])
    assert ended["status"] == "SUCCEEDED"
    assert ended["metrics"]["realized"] == 0


def test_a_segment_that_does_not_exist_is_not_evaluated(client: AdminClient) -> None:
    assert client.post(PATH, json=[{"segmentId": str(uuid4())}]).status_code == 404
    assert client.get(f"{PATH}/{uuid4()}").status_code == 404
