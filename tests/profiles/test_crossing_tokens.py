"""Two phones that take over each other's push tokens at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

from sqlalchemy import select

from service.db.session import SessionFactory, unit_of_work
from service.flows.ingest import ingest
from service.profiles.models import PushToken
from tests.support.builders import ecid, event, request, token
from tests.support.clocks import START

ROUNDS = 20


def test_tokens_that_change_places_at_once_wait_for_each_other_in_no_circle(
    postgres_store: SessionFactory,
) -> None:
    together = Barrier(2)

    def move(number: int, text: str, at: int) -> None:
        phone = ecid(number)
        said = request(event(phone, at=at, tokens=(token(phone, text),)))
        together.wait(10)
        with unit_of_work(postgres_store) as session:
            ingest(session, [said], now=START + timedelta(days=1, seconds=at))

    with ThreadPoolExecutor(2) as threads:
        for at in range(ROUNDS):
            texts = ("one", "two") if at % 2 else ("two", "one")
            for each in [threads.submit(move, 1 + place, texts[place], at) for place in (0, 1)]:
                each.result(20)

    with postgres_store.opened() as session:
        tokens = session.scalars(select(PushToken).where(PushToken.sandbox_id == 1)).all()
    assert {(each.token, each.device_id) for each in tokens} == {
        ("one", ecid(1).key),
        ("two", ecid(2).key),
    }
