"""How destinations stand: the rules, and the row that all processes share."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.db.session import SessionFactory, unit_of_work
from service.outbound import destination_standing, destinations
from service.outbound.destination_standing import Breaker, Probe, Report, Standing
from service.outbound.destinations import DestinationDirectory
from service.sandboxes.scope import Scope
from tests.support.clocks import START

HOST = "push.example"
STEP = timedelta(seconds=1)
OPEN = Standing(breaker=Breaker.OPEN, breaker_until=START + timedelta(seconds=10), reason="x")
TRIPPED = Report(tripped="fcm.500.internal")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def after(standing: Standing, report: Report, seconds: float = 0) -> Standing:
    return destination_standing.after(standing, report, now=at(seconds), raise_after=STEP)


def test_an_open_breaker_holds_for_its_time_and_then_lets_one_probe_out() -> None:
    opened = after(Standing(), TRIPPED)
    probing = opened.probing(at(10))

    assert (opened.held_until(at(9.9)), opened.held_until(at(10))) == (at(10), None)
    assert opened.needs_probe
    assert probing.held_until(at(11)) == at(70)
    assert opened.reason == "fcm.500.internal"


def test_a_probe_that_worked_closes_and_one_that_failed_opens_for_longer() -> None:
    probing = OPEN.probing(at(10))

    closed = after(probing, Report(probe=Probe.WORKED), 11)
    again = after(probing, Report(probe=Probe.FAILED), 11)
    unmade = after(probing, Report(probe=Probe.NOT_MADE), 11)

    assert (closed.breaker, closed.held_until(at(11)), closed.reason) == (
        Breaker.CLOSED,
        None,
        None,
    )
    assert (again.breaker, again.held_until(at(11)), again.reason) == (Breaker.OPEN, at(41), "x")
    assert (unmade.breaker, unmade.held_until(at(11))) == (Breaker.OPEN, None)


def test_answers_from_before_do_not_move_an_open_breaker() -> None:
    assert after(OPEN, Report(probe=Probe.WORKED), 5) == OPEN
    assert after(OPEN, TRIPPED, 5) == OPEN
    assert after(OPEN.probing(at(10)), TRIPPED, 11).breaker is Breaker.HALF_OPEN


def test_the_pace_falls_by_a_factor_once_a_second_and_rises_by_a_step_each_period() -> None:
    overrun, well = Report(is_overrun=True), Report(is_well=True)

    once = after(Standing(), overrun)
    twice = after(once, overrun, 0.5)
    later = after(twice, overrun, 1)
    up = after(later, well, 2)
    early = after(up, well, 2.5)

    assert [round(each.pace, 3) for each in (once, twice, later, up, early)] == [
        0.7,
        0.7,
        0.49,
        0.54,
        0.54,
    ]


@given(
    st.lists(
        st.builds(
            Report,
            st.sampled_from([None, "rule"]),
            st.sampled_from([None, *Probe]),
            st.booleans(),
            st.booleans(),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_the_pace_stays_between_a_twentieth_and_the_whole(reports: list[Report]) -> None:
    standing = Standing()

    for second, report in enumerate(reports):
        standing = after(standing, report, second)

        assert 0.05 <= standing.pace <= 1


def test_what_a_vendor_asked_for_is_never_shortened() -> None:
    asked = after(Standing(), Report(not_before=at(60)))

    shorter = after(asked, Report(not_before=at(5)), 1)

    assert (shorter.held_until(at(59)), shorter.held_until(at(60))) == (at(60), None)


def test_latency_alone_never_takes_the_pace_below_a_quarter() -> None:
    standing = Standing()

    for second in range(40):
        standing = after(standing, Report(is_slow=True), second * 2)

    assert standing.pace == 0.25
    assert after(replace(standing, pace=0.1), Report(is_slow=True), 100).pace == 0.1


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Push.Example:8443/send", "push.example"),
        ("https://*/push", None),
        ("https://push.example/*/send", "push.example"),
    ],
)
def test_a_destination_is_a_host_that_does_not_vary(url: str, host: str | None) -> None:
    assert destinations.host_of(url) == host


def tell(store: SessionFactory, scope: Scope, report: Report, seconds: float = 0) -> Standing:
    with unit_of_work(store) as session:
        return destinations.report(session, scope, HOST, report, now=at(seconds), raise_after=STEP)


def probe(store: SessionFactory, scope: Scope, seconds: float) -> Standing | None:
    with unit_of_work(store) as session:
        return destinations.take_probe(session, scope, HOST, now=at(seconds))


def test_what_one_process_tells_the_others_read(store: SessionFactory, scope: Scope) -> None:
    told = tell(store, scope, replace(TRIPPED, latency_ms=900, not_before=at(5)))

    with unit_of_work(store) as session:
        seen = DestinationDirectory().find(session, scope, HOST, at=0.0)
        elsewhere = destinations.read(session, Scope(2, "dev"), HOST)

    assert seen == told
    assert (told.breaker, told.latency_ms) == (Breaker.OPEN, 900)
    assert elsewhere == Standing()


def test_a_directory_looks_again_after_a_second(store: SessionFactory, scope: Scope) -> None:
    directory = DestinationDirectory()
    found = []
    for moment in (0.0, 0.9, 1.0):
        with unit_of_work(store) as session:
            found.append(directory.find(session, scope, HOST, at=moment).breaker)
        tell(store, scope, TRIPPED)

    assert found == [Breaker.CLOSED, Breaker.CLOSED, Breaker.OPEN]


def test_the_probe_goes_to_one_until_it_reports_or_its_lease_is_over(
    store: SessionFactory, scope: Scope
) -> None:
    tell(store, scope, TRIPPED)

    taken = [probe(store, scope, second) is not None for second in (9, 10, 11, 69, 70, 71)]
    tell(store, scope, Report(probe=Probe.WORKED), 72)

    assert taken == [False, True, False, False, True, False]
    assert probe(store, scope, 200) is None


def test_a_probe_given_back_is_anybodys(store: SessionFactory, scope: Scope) -> None:
    tell(store, scope, TRIPPED)
    probe(store, scope, 10)

    with unit_of_work(store) as session:
        destinations.give_probe_back(session, scope, HOST, now=at(11))

    assert probe(store, scope, 11) is not None


def test_of_many_who_race_one_probes(postgres_store: SessionFactory, scope: Scope) -> None:
    tell(postgres_store, scope, TRIPPED)

    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: probe(postgres_store, scope, 10), range(24)))

    assert sum(each is not None for each in taken) == 1


def test_of_many_who_report_first_each_is_heard(
    postgres_store: SessionFactory, scope: Scope
) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(
            threads.map(
                lambda second: tell(postgres_store, scope, Report(not_before=at(second))),
                range(24),
            )
        )

    with unit_of_work(postgres_store) as session:
        assert destinations.read(session, scope, HOST).not_before == at(23)
