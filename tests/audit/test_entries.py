"""Audit entries are written in bulk and read newest first."""

from service.audit import entries
from service.audit.entries import AuditFilter, NewAuditEntry
from service.db.session import SessionFactory, unit_of_work
from service.flows.open_sandbox import open_sandbox
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock


def _entry(clock: FixedClock, subject: str, reason: str = "junkIdentity") -> NewAuditEntry:
    facts = {"value": "null", "nested": {"count": 2}}
    return NewAuditEntry(clock.now(), "ingest", "identity.refuse", subject, reason, facts)


def test_what_was_recorded_is_listed_newest_first(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        entries.record(session, scope, [_entry(clock, "a"), _entry(clock, "b")])
        entries.record(session, scope, [])

    with unit_of_work(store) as session:
        listed = entries.list_page(session, scope, AuditFilter(), limit=10)
    assert [each.subject for each in listed] == ["b", "a"]
    assert listed[0].facts == {"value": "null", "nested": {"count": 2}}
    assert listed[0].at == clock.now()


def test_entries_are_chosen_by_reason_and_subject(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        rows = [_entry(clock, "a"), _entry(clock, "b"), _entry(clock, "a", "wrongPlatform")]
        entries.record(session, scope, rows)

    with unit_of_work(store) as session:
        wanted = AuditFilter(subject="a", reason="wrongPlatform")
        listed = entries.list_page(session, scope, wanted, limit=10)
    assert [(each.subject, each.reason) for each in listed] == [("a", "wrongPlatform")]


def test_a_subject_that_is_too_long_is_cut_and_not_lost(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        entries.record(session, scope, [_entry(clock, "x" * 1000)])

    with unit_of_work(store) as session:
        listed = entries.list_page(session, scope, AuditFilter(), limit=10)
    assert [len(each.subject) for each in listed] == [256]


def test_pages_go_on_where_the_last_one_ended(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        entries.record(session, scope, [_entry(clock, str(i)) for i in range(5)])

    with unit_of_work(store) as session:
        first = entries.list_page(session, scope, AuditFilter(), limit=2)
        second = entries.list_page(session, scope, AuditFilter(), limit=2, after=first[-1].id)
    assert [each.subject for each in (*first, *second)] == ["4", "3", "2", "1"]


def test_another_sandbox_sees_nothing_of_it(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        other = open_sandbox(session, name="dev", title="Dev", type_="development", now=clock.now())
        entries.record(session, scope, [_entry(clock, "a")])

    with unit_of_work(store) as session:
        assert entries.list_page(session, other, AuditFilter(), limit=10) == ()
