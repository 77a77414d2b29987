"""What a device says of collecting decides what is kept of it, over a real store."""

import json
from typing import Any

import pytest
from sqlalchemy import func, select

from mobile_stub import answers
from mobile_stub.device import Kind
from service.db.session import SessionFactory, unit_of_work
from service.profiles.models import ExperienceEvent
from service.web.wsgi import Application
from tests.support.clocks import FixedClock
from tests.support.edge_documents import ECID, STREAMING, mobile, web
from tests.support.edge_world import PAGE, consent_body
from tests.support.stored_wire import served
from tests.support.wire import MOBILE_ID, WEB_ID, Reply, call, datastream, edge_query

STREAM = {"konductorConfig": {"streaming": STREAMING}}


def send_event(application: Application, name: str) -> Reply:
    body = json.dumps(mobile(xdm={"_id": name, "eventType": "a"})).encode()
    return call(application, "/ee/v1/interact", body, query=edge_query(MOBILE_ID))


def set_consent(application: Application, choice: str, moment: str) -> Reply:
    value = {"collect": {"val": choice}, "metadata": {"time": moment}}
    document = {
        "meta": STREAM,
        "query": {"consent": {"operation": "update"}},
        "identityMap": {"ECID": [{"id": ECID}]},
        "consent": [{"standard": "Adobe", "version": "2.0", "value": value}],
    }
    body = json.dumps(document).encode()
    return call(application, "/ee/v1/privacy/set-consent", body, query=edge_query(MOBILE_ID))


def codes(reply: Reply) -> list[str]:
    (envelope,) = answers.fragments_of(Kind.IOS, reply.body)
    return [each["type"][-8:] for each in envelope.get("warnings", [])]


def stored(store: SessionFactory) -> int:
    with unit_of_work(store) as session:
        found = select(func.count()).select_from(ExperienceEvent)
        return session.scalar(found.where(ExperienceEvent.sandbox_id == 1)) or 0


@pytest.mark.parametrize("default", ["pending", "out"])
def test_events_are_kept_from_the_consent_on_and_no_longer_after_its_withdrawal(
    store: SessionFactory, clock: FixedClock, default: str
) -> None:
    with served(store, datastream(default_consent=default), clock=clock) as application:
        before = send_event(application, "E-1")
        given = set_consent(application, "y", "2026-07-01T09:59:00.000Z")
        during = send_event(application, "E-2")
        withdrawn = set_consent(application, "n", "2026-07-01T09:59:30.000Z")
        after = send_event(application, "E-3")

    replies = (before, given, during, withdrawn, after)
    assert [each.status for each in replies] == [200] * 5
    assert [codes(each) for each in replies] == [["0301-200"], [], [], [], ["0301-200"]]
    assert stored(store) == 1


def test_a_consent_that_arrives_late_does_not_undo_a_newer_one(
    store: SessionFactory, clock: FixedClock
) -> None:
    with served(store, datastream(), clock=clock) as application:
        set_consent(application, "n", "2026-07-01T09:59:30.000Z")
        set_consent(application, "y", "2026-07-01T09:59:00.000Z")
        reply = send_event(application, "E-1")

    assert codes(reply) == ["0301-200"]
    assert stored(store) == 0


def test_case_55_a_page_that_waited_sends_its_events_after_the_consent(
    store: SessionFactory, clock: FixedClock
) -> None:
    headers = {"Origin": PAGE, "Content-Type": "text/plain"}
    source = datastream("web", default_consent="pending")

    def browse(application: Application, path: str, body: bytes) -> Any:
        return call(application, path, body, query=edge_query(WEB_ID), headers=headers).json()

    with served(store, source, clock=clock) as application:
        answer = browse(application, "/ee/v1/privacy/set-consent", consent_body())
        entries = {each["key"]: each["value"] for each in answer["handle"][1]["payload"]}
        cookie = next(value for key, value in entries.items() if key.endswith("_identity"))
        kept = browse(application, "/ee/v1/interact", json.dumps(web(cookie=cookie)).encode())
        stranger = browse(application, "/ee/v1/interact", json.dumps(web()).encode())

    assert "warnings" not in kept
    assert stranger["warnings"][0]["type"].endswith("EXEG-0301-200")
    assert stranger["handle"] == []
    assert stored(store) == 1


def test_a_withdrawal_of_somebody_who_cannot_be_known_is_refused_and_not_forgotten(
    store: SessionFactory,
) -> None:
    body = consent_body(
        {"standard": "Adobe", "version": "2.0", "value": {"collect": {"val": "n"}}},
        query={},
        meta={},
        identityMap={"Loyalty": [{"id": "L-1"}]},
    )

    with served(store, datastream()) as application:
        path = "/ee/v1/privacy/set-consent"
        reply = call(application, path, body, query=edge_query(MOBILE_ID))

    assert (reply.status, reply.json()["type"][-8:]) == (400, "0305-400")


def test_events_of_one_id_without_consent_are_each_told_and_give_the_page_no_identity(
    store: SessionFactory,
) -> None:
    xdm = {"_id": "same", "eventType": "a"}
    events = [{"xdm": xdm}, {"xdm": xdm}]
    waiting = datastream("web", default_consent="pending")

    with served(store, waiting) as application:
        body = json.dumps(web(events=events)).encode()
        reply = call(application, "/ee/v1/interact", body, query=edge_query(WEB_ID))

    warnings = reply.json()["warnings"]
    assert [each["type"][-8:] for each in warnings] == ["0301-200", "0301-200"]
    assert [each["report"]["eventIndex"] for each in warnings] == [0, 1]
    assert reply.json()["handle"] == []
