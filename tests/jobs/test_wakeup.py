"""Waiting workers hear of work when it is committed, and not before."""

import psycopg

from service.db.session import SessionFactory, unit_of_work
from service.jobs import wakeup


def test_a_notice_comes_with_the_commit_and_once_per_transaction(
    postgres_store: SessionFactory,
) -> None:
    url = postgres_store.engine.url.set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as listener:
        listener.execute(f"LISTEN {wakeup.CHANNEL}".encode())

        with postgres_store.opened() as session:
            wakeup.notify(session)
        rolled_back = list(listener.notifies(timeout=0))
        with unit_of_work(postgres_store) as session:
            wakeup.notify(session)
            wakeup.notify(session)
        committed = list(listener.notifies(timeout=0.2))

    assert rolled_back == []
    assert [each.channel for each in committed] == [wakeup.CHANNEL]


def test_on_sqlite_nothing_is_sent(sqlite_store: SessionFactory) -> None:
    with unit_of_work(sqlite_store) as session:
        wakeup.notify(session)

        assert not session.in_transaction()
