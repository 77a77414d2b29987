"""A sandbox is ready for facts from its first moment."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import delete, func, select

from service.db.base import Base
from service.db.session import SessionFactory, unit_of_work
from service.flows.open_sandbox import ensure_default_sandbox, open_sandbox
from service.identity import namespaces
from service.jobs.models import Schedule
from service.jobs.queue import JobKind
from service.profiles.models import MergePolicy
from service.sandboxes import registry
from service.sandboxes.models import Sandbox
from tests.support.clocks import FixedClock


def test_a_new_sandbox_has_what_no_fact_may_lack(store: SessionFactory, clock: FixedClock) -> None:
    with unit_of_work(store) as session:
        opened = open_sandbox(
            session,
            name="dev",
            title="Dev",
            type_="development",
            now=clock.now(),
        )

    with unit_of_work(store) as session:
        codes = [each.code for each in namespaces.list_all(session, opened)]
        mine = MergePolicy.sandbox_id == opened.sandbox_id
        policies = session.scalars(select(MergePolicy).where(mine)).all()
        due = select(Schedule).where(Schedule.sandbox_id == opened.sandbox_id)
        schedules = session.scalars(due).all()
    assert codes[:3] == ["CRMID", "Email", "Phone"]
    assert "ECID" in codes
    assert [(each.is_default, each.identity_graph) for each in policies] == [(True, "pdg")]
    [daily] = schedules
    assert (daily.kind, daily.is_active) == (JobKind.EVALUATE_SEGMENTS, True)
    assert daily.payload == {"segments": ["*"]}


def test_processes_that_start_together_open_prod_once(
    store: SessionFactory,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        for table in reversed(Base.metadata.sorted_tables):
            if "sandbox_id" in table.columns:
                session.execute(delete(table).where(table.c.sandbox_id == 1))
        session.execute(delete(Sandbox))

    with ThreadPoolExecutor(4) as pool:
        starts = [pool.submit(ensure_default_sandbox, store, now=clock.now()) for _ in range(4)]
    for start in starts:
        start.result()

    with unit_of_work(store) as session:
        assert session.scalar(select(func.count()).select_from(Sandbox)) == 1
        assert registry.find(session, "prod") is not None
