"""A load of devices against a scripted Edge Network: what it sends, counts and shows."""

import json
from collections import Counter
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mobile_stub import load_report
from mobile_stub.__main__ import main
from mobile_stub.gateway_http import Ending, answer
from mobile_stub.load import NO_ANSWER, UNREADABLE, Plan, Tally, play
from mobile_stub.load_clients import ClientName
from mobile_stub.load_report import histogram
from tests.mobile_stub.pages import entries_of, known_as
from tests.mobile_stub.phones import OK, handle, refusal
from tests.mobile_stub.scripted_edge import ScriptedEdge, for_pages


def plan(edge: ScriptedEdge, client: ClientName = ClientName.ANDROID, **change: Any) -> Plan:
    usual = {"devices": 3, "rate": 200.0, "duration_s": 0.06}
    return Plan(url=edge.url, datastream="ds-1", client=client, **usual | change)


def shown(what: Plan, tally: Tally) -> str:
    text = StringIO()
    load_report.show(what, tally, Console(file=text, width=100))
    return text.getvalue()


@pytest.mark.parametrize("client", [ClientName.ANDROID, ClientName.IOS])
def test_each_phone_announces_its_token_and_then_is_somebody(
    edge: ScriptedEdge, client: ClientName
) -> None:
    tally = play(plan(edge, client))

    by_device: dict[str, list[dict[str, Any]]] = {}
    for body in edge.bodies:
        by_device.setdefault(body["xdm"]["identityMap"]["ECID"][0]["id"], []).append(body)
    assert tally.outcomes == Counter({"200": 12})
    assert tally.failed == 0
    assert [len(bodies) for bodies in by_device.values()] == [4, 4, 4]
    for first, *rest in by_device.values():
        assert "pushNotificationDetails" in first["events"][0]["data"]
        assert all("CRMID" in body["xdm"]["identityMap"] for body in rest)
    ids = [body["events"][0]["xdm"]["_id"] for body in edge.bodies]
    assert len(set(ids)) == 12


def test_the_same_seed_plays_the_same_phones(edge: ScriptedEdge) -> None:
    for seed in ("a", "a", "b"):
        play(plan(edge, devices=1, rate=100.0, duration_s=0.01, seed=seed))

    first, second, other = (body["xdm"]["identityMap"] for body in edge.bodies)
    assert first == second != other


def test_what_the_service_gives_a_phone_comes_back(edge: ScriptedEdge) -> None:
    edge.replies = [handle("state:store", {"key": "a", "value": "1", "maxAge": 60})]

    play(plan(edge, devices=1, rate=50.0, duration_s=0.04))

    first, second = (body["meta"].get("state") for body in edge.bodies)
    assert first is None
    assert second == {"entries": [{"key": "a", "value": "1", "maxAge": 60}]}


def test_pages_keep_their_identity_and_log_in(edge: ScriptedEdge) -> None:
    edge.usual = for_pages(200, *known_as())

    tally = play(plan(edge, ClientName.WEB, devices=1, rate=50.0, duration_s=0.04))

    first, second = edge.requests
    assert tally.failed == 0
    assert first.headers[b"content-type"] == b"text/plain; charset=UTF-8"
    assert first.headers[b"origin"] == b"https://www.example.com"
    assert (bool(entries_of(first.body)), bool(entries_of(second.body))) == (False, True)
    assert "identityMap" in json.loads(second.body)["events"][0]["xdm"]


def test_every_kind_of_failure_is_counted_as_what_it_was(edge: ScriptedEdge) -> None:
    edge.replies = [
        refusal(503),
        refusal(422),
        OK._replace(ending=Ending.CLOSED),
        answer(200, b'{"handle": []}'),
        answer(204),
    ]

    tally = play(plan(edge, devices=1, rate=100.0, duration_s=0.06))

    assert tally.outcomes == Counter({"200": 1, "204": 1, "503": 1, "422": 1}) + Counter(
        {NO_ANSWER: 1, UNREADABLE: 1}
    )
    assert tally.failed == 4
    assert len(tally.latencies_ms) == 5


def test_what_the_service_says_is_counted_in_its_words(edge: ScriptedEdge) -> None:
    warned = {
        "handle": [],
        "warnings": [
            {"title": "A push token was not taken", "report": {"cause": {"message": "tokenEmpty"}}},
            {"title": "User consent missing"},
        ],
    }
    problem = {"title": "Invalid datastream ID", "detail": "It does not exist."}
    edge.replies = [
        answer(400, json.dumps(problem).encode()),
        answer(400, json.dumps(problem).encode()),
        answer(502, b"<html>"),
        answer(200, b"\x00" + json.dumps({"requestId": "r", **warned}).encode() + b"\n"),
    ]

    tally = play(plan(edge, devices=1, rate=100.0, duration_s=0.05))

    assert tally.refusals == Counter(
        {"400 Invalid datastream ID: It does not exist.": 2, "502 <html>": 1}
    )
    assert tally.warnings == Counter(
        {"A push token was not taken: tokenEmpty": 1, "User consent missing": 1}
    )
    assert tally.warned == 1
    text = shown(plan(edge), tally)
    assert "Refused (2): 400 Invalid datastream ID: It does not exist." in text
    assert "Warned (1): A push token was not taken: tokenEmpty" in text


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "localhost", "ftp://a", "http://"])
def test_an_address_without_a_scheme_is_refused(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["load", "--url", url, "--datastream", "ds"])

    assert "such as http://127.0.0.1:8080" in capsys.readouterr().err


def test_a_service_that_is_away_ends_the_load_all_the_same() -> None:
    away = Plan("http://127.0.0.1:1", "ds", ClientName.IOS, 2, 100.0, 0.05)

    tally = play(away)

    assert tally.outcomes == Counter({NO_ANSWER: 5})
    assert tally.latencies_ms == []


def test_latency_counts_from_when_a_request_was_due(edge: ScriptedEdge) -> None:
    edge.usual = OK._replace(delay_s=0.1)

    tally = play(plan(edge, devices=1, rate=100.0, duration_s=0.03))

    assert min(tally.latencies_ms) >= 95
    assert max(tally.latencies_ms) >= 270


def test_what_cannot_be_sent_in_time_is_counted_and_not_piled_up(edge: ScriptedEdge) -> None:
    edge.usual = OK._replace(delay_s=0.2)

    tally = play(plan(edge, devices=1, rate=5000.0, duration_s=0.1, patience_s=0.5))

    assert tally.answered + tally.unsent == 500
    assert tally.unsent > 400
    assert tally.failed == tally.unsent
    assert "not sent in time" in shown(plan(edge), tally)


def test_progress_is_told_while_it_goes_on(edge: ScriptedEdge) -> None:
    told: list[int] = []

    play(
        plan(edge, rate=50.0, duration_s=0.6),
        lambda tally: told.append(tally.answered),
    )

    assert told == sorted(told)
    assert told[-1] == 30
    assert any(0 < count < 30 for count in told)


def test_the_report_names_outcomes_percentiles_and_a_histogram(edge: ScriptedEdge) -> None:
    tally = Tally(
        Counter({"200": 99, "503": 1}), [float(number) for number in range(1, 101)], 0, 2.0
    )

    text = shown(plan(edge, rate=50.0, duration_s=2.0), tally)

    assert "100 of 100 requests ended in 2.0 s: 50.0 per second" in text
    assert "p50 51.0  p90 91.0  p99 100.0  max 100.0 ms" in text
    assert "503" in text
    assert text.count("█") > 10


@given(latencies=st.lists(st.floats(0.01, 20_000), min_size=1))
def test_the_histogram_counts_each_latency_once(latencies: list[float]) -> None:
    counts = tuple(histogram(latencies).values())

    assert sum(counts) == len(latencies)
    assert counts[0] > 0
    assert counts[-1] > 0


@given(latencies=st.lists(st.floats(0.01, 20_000), min_size=1), percent=st.integers(0, 100))
def test_a_percentile_is_one_of_the_latencies_and_rises(
    latencies: list[float], percent: int
) -> None:
    tally = Tally(latencies_ms=latencies)

    assert tally.percentile_ms(percent) in latencies
    assert tally.percentile_ms(percent) <= tally.percentile_ms(100) == max(latencies)


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_command_ends_with_one_when_something_was_no_success(
    edge: ScriptedEdge, capsys: pytest.CaptureFixture[str], status: int, code: int
) -> None:
    edge.replies = [OK if status == 200 else refusal(status)]
    arguments = ["--devices", "2", "--rate", "50", "--duration", "0.1"]

    ended = main(["load", "--url", edge.url, "--datastream", "ds", *arguments])

    printed = capsys.readouterr().out
    assert ended == code
    assert "2 android devices, 5 of 5 requests ended" in printed
    assert str(status) in printed


@pytest.mark.parametrize(
    "wrong", [["--devices", "0"], ["--rate", "0"], ["--duration", "-1"], ["--duration", "inf"]]
)
def test_a_load_of_nothing_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["load", "--url", "http://127.0.0.1:1", "--datastream", "ds", *wrong])
